"""MinkUNet and SPVCNN: topology, the published wiring, weights from outside, training that repeats to the byte."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from coevo.errors import ConfigError, InputError  # noqa: E402
from coevo.kernels.sparse.modules import (  # noqa: E402
    SPVCNN,
    Conv3d,
    MinkUNet,
    ResidualBlock,
    concatenate,
    load_torchsparse,
)
from coevo.kernels.sparse.modules.macs import count_macs  # noqa: E402
from coevo.kernels.sparse.points import devoxelize, find_corners, find_voxels, scatter_mean  # noqa: E402
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor  # noqa: E402

TINY = (3, 4, 5, 6, 7, 6, 5, 4, 3)
SCAN = "COEVO_SEMANTICKITTI_SCAN"


def make_scan(seed=0, most=120, extent=9, batches=2, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    coords = np.column_stack([rng.integers(0, batches, most), rng.integers(-extent, extent, (most, 3))])
    coords = torch.tensor(rng.permutation(np.unique(coords, axis=0)), dtype=torch.int32)
    torch.manual_seed(seed)
    return torch.randn(len(coords), 4, dtype=dtype), coords


@pytest.mark.parametrize(
    ("kind", "width", "parameters"),
    [
        (MinkUNet, 0.5, 5.435), (MinkUNet, 0.64, 8.771), (MinkUNet, 1.0, 21.723),
        (SPVCNN, 0.5, 5.449), (SPVCNN, 0.64, 8.794), (SPVCNN, 1.0, 21.778),
    ],
)  # fmt: skip
def test_published_sizes(kind, width, parameters):
    with torch.device("meta"):
        net = kind(19, width=width)
    assert sum(each.numel() for each in net.parameters()) / 1e6 == pytest.approx(parameters, abs=5e-4)
    assert sum(isinstance(each, Conv3d) for each in net.modules()) == 49


@pytest.mark.skipif(SCAN not in os.environ, reason=f"${SCAN} does not name a scan (.bin of SemanticKITTI)")
def test_published_macs():
    points = np.fromfile(Path(os.environ[SCAN]), dtype=np.float32).reshape(-1, 4)
    voxels = np.unique(np.round(points[:, :3] / 0.05).astype(np.int32), axis=0)
    voxels = torch.tensor(np.column_stack([np.zeros(len(voxels)), voxels - voxels.min(0)]), dtype=torch.int32)
    x = SparseTensor.of(torch.zeros(len(voxels), 4), voxels)
    for kind, published in ((MinkUNet, (34.5, 55.5, 137.7)), (SPVCNN, (35.7, 57.6, 142.7))):
        for width, macs in zip((0.5, 0.64, 1.0), published, strict=True):
            with torch.device("meta"):
                net = kind(19, width=width)
            assert sum(count_macs(net, x).values()) / 1e9 == pytest.approx(macs, abs=0.06)


def test_macs_are_those_of_the_products():
    feats, coords = make_scan()
    x = SparseTensor.of(feats, coords)
    net = SPVCNN(5, channels=TINY).double()
    counted = count_macs(net, x)
    multiplied = {}

    def watch(name, layer):
        def hook(_, args, output):
            if isinstance(layer, torch.nn.Linear):
                multiplied[name] = len(args[0]) * layer.in_features * layer.out_features
            elif layer.is_pointwise:
                multiplied[name] = len(args[0].feats) * layer.in_channels * layer.out_channels
            else:
                pairs = int((layer.kernel_map(args[0]).neighbours >= 0).sum())
                multiplied[name] = pairs * layer.in_channels * layer.out_channels

        layer.register_forward_hook(hook)

    for name, layer in net.named_modules():
        if isinstance(layer, Conv3d | torch.nn.Linear):
            watch(name, layer)
    net(SparseTensor.of(feats, coords))
    assert counted == multiplied and len(counted) == 54


def released_spvcnn(net, x):
    """The forward of SPVNAS's core/models/semantic_kitti/spvcnn.py, operation by operation, with nothing skipped."""
    points, known = x.coords.double(), {}

    def to_points(voxels):
        return devoxelize(voxels.feats, find_corners(points, voxels.level))

    def to_voxels(voxels, features):
        if voxels.stride not in known:
            known[voxels.stride] = find_voxels(points, voxels.level)
        return voxels.with_feats(scatter_mean(features, known[voxels.stride]))

    x0 = net.stem(x)
    z0 = to_points(x0)
    x1 = net.stage1(to_voxels(x0, z0))
    x2 = net.stage2(x1)
    x3 = net.stage3(x2)
    x4 = net.stage4(x3)
    z1 = to_points(x4) + net.point_transforms[0](z0)
    y1 = net.up1[1](concatenate([net.up1[0](to_voxels(x4, z1)), x3]))
    y2 = net.up2[1](concatenate([net.up2[0](y1), x2]))
    z2 = to_points(y2) + net.point_transforms[1](z1)
    y3 = net.up3[1](concatenate([net.up3[0](to_voxels(y2, z2)), x1]))
    y4 = net.up4[1](concatenate([net.up4[0](y3), x0]))
    return net.classifier(to_points(y4) + net.point_transforms[2](z2))


def test_spvcnn_is_wired_as_released():
    x = SparseTensor.of(*make_scan())
    net = SPVCNN(5, channels=TINY).double()
    net.dropout.p = 0.0
    for mode in (True, False):
        net.train(mode)
        assert torch.allclose(net(x), released_spvcnn(net, x), atol=1e-6)


def test_raw_points_at_the_corners_of_voxels_are_the_voxels():
    feats, coords = make_scan()
    net = SPVCNN(5, channels=TINY).double().eval()
    x = SparseTensor.of(feats, coords)
    wanted = x.with_feats(net(x)).in_given_order()
    net.points = "raw"
    assert torch.allclose(net(PointTensor(feats, coords.double())), wanted, atol=1e-6)


def test_raw_points_inside_voxels_are_told_apart():
    feats, coords = make_scan(most=40)
    places = coords.double().repeat(3, 1)
    places[:, 1:] += torch.rand(len(places), 3)
    net = SPVCNN(5, channels=TINY, points="raw").double()
    found = net(PointTensor(feats.repeat(3, 1), places))
    assert found.shape == (len(places), 5)
    assert not torch.allclose(found[: len(coords)], found[len(coords) : 2 * len(coords)])
    found.sum().backward()
    assert all(each.grad is not None and torch.isfinite(each.grad).all() for each in net.parameters())


def test_inputs_of_another_kind():
    feats, coords = make_scan()
    x = SparseTensor.of(feats, coords)
    with pytest.raises(InputError, match="takes a SparseTensor, got a PointTensor"):
        SPVCNN(5, channels=TINY)(PointTensor(feats, coords.double()))
    with pytest.raises(InputError, match="takes a PointTensor, got a SparseTensor"):
        SPVCNN(5, channels=TINY, points="raw")(x)
    with pytest.raises(ConfigError, match="points must be one of voxels, raw"):
        SPVCNN(5, points="floats")
    with pytest.raises(InputError, match="4 channels, got stride"):
        MinkUNet(5, channels=TINY)(x.with_feats(feats[:, :3]))
    with pytest.raises(InputError, match="stride \\(1, 1, 1\\)"):
        MinkUNet(5, channels=TINY)(SparseTensor.of(feats, 2 * coords // torch.tensor([2, 1, 1, 1]), 2))
    with pytest.raises(InputError, match="every stage a channel"):
        MinkUNet(5, width=0.01)
    with pytest.raises(InputError, match="nine numbers"):
        MinkUNet(5, channels=(1, 2, 3))


@pytest.mark.parametrize("kind", [MinkUNet, SPVCNN])
@pytest.mark.parametrize("most", [0, 1, 2])
def test_scans_of_next_to_nothing(kind, most):
    feats, coords = make_scan(most=most)
    net = kind(5, channels=TINY).double()
    for mode in (True, False):
        found = net.train(mode)(SparseTensor.of(feats, coords))
        assert found.shape == (len(coords), 5) and torch.isfinite(found).all()


def test_scans_of_a_batch_do_not_see_each_other():
    feats, coords = make_scan()
    for net in (MinkUNet(5, channels=TINY).double().eval(), SPVCNN(5, channels=TINY).double().eval()):
        x = SparseTensor.of(feats, coords)
        both = x.with_feats(net(x)).in_given_order()
        for scan in (0, 1):
            own = coords[:, 0] == scan
            alone = SparseTensor.of(feats[own], coords[own])
            assert torch.allclose(alone.with_feats(net(alone)).in_given_order(), both[own])


def test_the_order_of_rows_does_not_matter():
    feats, coords = make_scan()
    net = MinkUNet(5, channels=TINY).double().eval()
    moved = torch.randperm(len(coords))
    x, y = SparseTensor.of(feats, coords), SparseTensor.of(feats[moved], coords[moved])
    assert torch.equal(x.with_feats(net(x)).in_given_order()[moved], y.with_feats(net(y)).in_given_order())


def train_some_steps(kind, steps=4):
    torch.manual_seed(7)
    net = kind(5, channels=TINY)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for step in range(steps):
        feats, coords = make_scan(step, dtype=torch.float32)
        labels = torch.arange(len(coords)) % 5
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(SparseTensor.of(feats, coords)), labels).backward()
        optimizer.step()
    return b"".join(each.detach().numpy().tobytes() for each in net.state_dict().values())


@pytest.mark.parametrize("kind", [MinkUNet, SPVCNN])
def test_two_trainings_give_the_same_bytes(kind):
    assert train_some_steps(kind) == train_some_steps(kind)


@pytest.mark.parametrize("kind", [MinkUNet, SPVCNN])
def test_weights_go_through_a_checkpoint(kind):
    feats, coords = make_scan()
    net, other = kind(5, channels=TINY).double().eval(), kind(5, channels=TINY).double().eval()
    state = {f"module.{name}": each for name, each in net.state_dict().items()}
    for name in state:
        if name.endswith("downsample.0.kernel"):
            state[name] = state[name][None]
    load_torchsparse(other, {"model": state, "epoch": 3})
    x = SparseTensor.of(feats, coords)
    assert torch.equal(net(x), other(x))


def test_names_and_layouts_are_those_of_spvnas():
    shapes = {name: tuple(each.shape) for name, each in SPVCNN(19).state_dict().items()}
    assert shapes["stem.0.kernel"] == (27, 4, 32)
    assert shapes["stem.1.running_var"] == (32,)
    assert shapes["stage1.0.net.0.kernel"] == (8, 32, 32)
    assert shapes["stage2.1.net.3.kernel"] == (27, 64, 64)
    assert shapes["stage2.1.downsample.0.kernel"] == (32, 64)
    assert shapes["up1.0.net.0.kernel"] == (8, 256, 256)
    assert shapes["up1.1.0.net.0.kernel"] == (27, 384, 256)
    assert shapes["up4.1.0.downsample.1.weight"] == (96,)
    assert shapes["point_transforms.1.0.weight"] == (128, 256)
    assert shapes["classifier.0.bias"] == (19,)


def test_a_released_minkunet_carries_perceptrons_that_are_left_out():
    state = SPVCNN(5, channels=TINY).state_dict()
    net = MinkUNet(5, channels=TINY)
    load_torchsparse(net, state)
    assert torch.equal(net.stem[0].kernel, state["stem.0.kernel"])


def test_checkpoints_that_do_not_fit_change_nothing():
    net = SPVCNN(5, channels=TINY)
    before = {name: each.clone() for name, each in net.state_dict().items()}
    good = SPVCNN(5, channels=TINY).state_dict()
    with pytest.raises(InputError, match=r"missing: stem.0.kernel"):
        load_torchsparse(net, {name: each for name, each in good.items() if name != "stem.0.kernel"})
    with pytest.raises(InputError, match=r"not in the network: extra"):
        load_torchsparse(net, {**good, "extra": torch.zeros(1)})
    with pytest.raises(InputError, match=r"stem.0.kernel is \(27, 3, 4\), expected \(27, 4, 3\)"):
        load_torchsparse(net, {**good, "stem.0.kernel": good["stem.0.kernel"].transpose(1, 2)})
    with pytest.raises(InputError, match=r"and \d+ more"):
        load_torchsparse(net, SPVCNN(5, width=0.5).state_dict())
    with pytest.raises(InputError, match="expected a state dict"):
        load_torchsparse(net, {"weights": [1, 2]})
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())


def test_a_residual_block_needs_a_shortcut_only_where_channels_change():
    assert ResidualBlock(4, 4).downsample is None and ResidualBlock(4, 5).downsample is not None


@pytest.mark.parametrize("kind", [MinkUNet, SPVCNN])
def test_a_captured_step_is_a_step(kind):
    """Capacity above the batch's voxels, rows in another order: the same loss and gradients."""
    from coevo.kernels.sparse.training import TrainingStep

    def loss_of(logits, labels):
        return torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)

    feats, coords = make_scan(dtype=torch.float32)
    labels = torch.arange(len(coords)) % 5
    nets = [kind(5, channels=TINY) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    for net in nets:
        if kind is SPVCNN:
            net.dropout.p = 0.0
    x = SparseTensor.of(feats, coords)
    wanted = loss_of(nets[0](x), labels[x.caches.order])
    wanted.backward()
    step = TrainingStep(nets[1], loss_of, (150,) * 5, dtype=None)
    found = step(feats, coords, labels)
    assert torch.allclose(found, wanted.detach(), atol=1e-5)
    for (name, one), other in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-5), name
    for one, other in zip(nets[0].buffers(), nets[1].buffers(), strict=True):
        assert torch.allclose(one.double(), other.double(), atol=1e-5)
    with pytest.raises(InputError, match="151 voxels, the capacity is 150"):
        step(torch.zeros(151, 4), torch.zeros(151, 4, dtype=torch.int32), torch.zeros(151, dtype=torch.int64))
    with pytest.raises(InputError, match="same coordinates"):
        step(feats, torch.cat([coords[1:], coords[1:2]]), labels)
    with pytest.raises(InputError, match=r"labels \[N\]"):
        step(feats, coords, labels[1:])
    with pytest.raises(ConfigError, match="capacity must be"):
        TrainingStep(nets[1], loss_of, (3, 4))
