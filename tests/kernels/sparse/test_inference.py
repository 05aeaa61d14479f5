"""Compiled networks against the modules they come of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from coevo.errors import ConfigError, InputError  # noqa: E402
from coevo.kernels.sparse.inference import CapacityWarning, compile_for_inference  # noqa: E402
from coevo.kernels.sparse.inference.folding import fold  # noqa: E402
from coevo.kernels.sparse.modules import SPVCNN, BatchNorm, Conv3d, MinkUNet  # noqa: E402
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.float32 if DEVICE == "cuda" else torch.float64
LIMIT = 1e-2 if DEVICE == "cuda" else 1e-6
TINY = (3, 4, 5, 6, 7, 6, 5, 4, 3)
ROOM = (200,) * 5  # scattered voxels have as many parents


def make_scan(seed=0, most=150, extent=9, batches=2):
    rng = np.random.default_rng(seed)
    coords = np.column_stack([rng.integers(0, batches, most), rng.integers(-extent, extent, (most, 3))])
    coords = torch.tensor(rng.permutation(np.unique(coords, axis=0)), dtype=torch.int32, device=DEVICE)
    torch.manual_seed(seed)
    return torch.randn(len(coords), 4, dtype=DTYPE, device=DEVICE), coords


def make_net(kind=MinkUNet, **options):
    """With statistics that have moved, and norms that do something."""
    torch.manual_seed(3)
    net = kind(5, channels=TINY, **options).to(DEVICE, DTYPE)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
            torch.nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(layer.running_var, 0.1, 0.5)
    return net.eval()


def eager(net, feats, coords):
    if isinstance(net, SPVCNN) and net.points == "raw":
        return net(PointTensor(feats, coords))
    x = SparseTensor.of(feats, coords)
    return x.with_feats(net(x)).in_given_order()


@pytest.mark.parametrize("kind", [MinkUNet, SPVCNN])
def test_compiled_is_eager(kind):
    net = make_net(kind)
    static = compile_for_inference(net, ROOM, DTYPE)
    for seed, most in ((0, 150), (1, 180), (2, 1), (3, 0), (4, 60)):
        feats, coords = make_scan(seed, most)
        wanted = eager(net, feats, coords)
        found = static(feats, coords)
        assert found.shape == wanted.shape and not found.requires_grad
        assert torch.allclose(found, wanted, atol=LIMIT)
    x = SparseTensor.of(feats, coords)
    assert torch.allclose(static(x), net(x), atol=LIMIT)


def test_compiled_raw_points_are_eager():
    net = make_net(SPVCNN, points="raw")
    static = compile_for_inference(net, (400,) * 5, DTYPE)
    for seed, most in ((0, 150), (1, 1), (2, 120)):
        feats, coords = make_scan(seed, most)
        places = coords.to(DTYPE).repeat(2, 1)
        places[:, 1:] += torch.rand(len(places), 3, dtype=DTYPE, device=DEVICE) * 0.99
        feats = torch.randn(len(places), 4, dtype=DTYPE, device=DEVICE)
        assert torch.allclose(static(feats, places.float()), eager(net, feats, places.float().to(DTYPE)), atol=1e-4)


def test_the_compiled_network_keeps_the_weights_it_was_made_of():
    net = make_net()
    feats, coords = make_scan()
    static = compile_for_inference(net, ROOM, DTYPE)
    before = static(feats, coords)
    with torch.no_grad():
        net.classifier[0].weight.zero_()
    assert torch.equal(static(feats, coords), before)


def test_a_result_outlives_the_next_call():
    static = compile_for_inference(make_net(), ROOM, DTYPE)
    first = static(*make_scan(0))
    kept = first.clone()
    static(*make_scan(1))
    assert torch.equal(first, kept)


def test_a_scan_over_the_capacity_warns_and_is_right():
    net = make_net()
    feats, coords = make_scan()
    wanted = eager(net, feats, coords)
    static = compile_for_inference(net, 100, DTYPE)
    with pytest.warns(CapacityWarning, match=f"{len(coords)} rows, the capacity is 100"):
        assert torch.allclose(static(feats, coords), wanted, atol=LIMIT)
    levels = compile_for_inference(net, (200, 200, 30, 30, 30), DTYPE)
    with pytest.warns(CapacityWarning, match=r"more voxels than the capacities \(200, 200, 30, 30, 30\)"):
        assert torch.allclose(levels(feats, coords), wanted, atol=LIMIT)
    small = make_scan(most=25)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.allclose(levels(*small), eager(net, *small), atol=LIMIT)


def test_coordinates_beyond_the_extent_warn_and_are_right():
    net = make_net()
    feats, coords = make_scan()
    wanted = eager(net, feats, coords)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide = compile_for_inference(net, ROOM, DTYPE, extent=(16, 16, 16), batches=2)
        assert torch.allclose(wide(feats, coords), wanted, atol=LIMIT)
    narrow = compile_for_inference(net, ROOM, DTYPE, extent=4, batches=2)
    with pytest.warns(CapacityWarning, match="beyond the extent 4"):
        assert torch.allclose(narrow(feats, coords), wanted, atol=LIMIT)


def test_bad_input():
    net = make_net()
    static = compile_for_inference(net, ROOM, DTYPE)
    feats, coords = make_scan()
    with pytest.raises(InputError, match="features \\[N, C\\] and coordinates"):
        static(feats[:-1], coords)
    with pytest.raises(InputError, match="4 channels and 4 coordinates, got 3"):
        static(feats[:, :3], coords)
    with pytest.raises(InputError, match="takes whole coordinates"):
        static(feats, coords.float())
    with pytest.raises(InputError, match="same coordinates"):
        static(feats, torch.cat([coords[:-1], coords[:1]]))
    with pytest.raises(InputError, match="outside what can be packed"):
        static(feats, coords * 2**20)
    with pytest.raises(ConfigError, match="dtype must be one of"):
        compile_for_inference(net, 200, torch.int32)
    with pytest.raises(ConfigError, match="5 of them"):
        compile_for_inference(net, (200, 100))
    with pytest.raises(InputError, match="takes a MinkUNet or an SPVCNN, got Linear"):
        compile_for_inference(torch.nn.Linear(3, 3), 100)
    if DEVICE == "cpu":
        with pytest.raises(InputError, match="needs a network on a CUDA device"):
            compile_for_inference(net, 200, graph=True)


def test_folding_refuses_what_the_dtype_does_not_hold():
    conv, norm = Conv3d(3, 4), BatchNorm(4)
    norm.running_var.fill_(1e-12)
    norm.eps = 1e-14
    with pytest.raises(InputError, match=r"compile with torch.bfloat16"):
        fold(conv, norm, torch.float16, relu=False)
    with pytest.raises(InputError, match="track_running_stats"):
        fold(conv, BatchNorm(4, track_running_stats=False), torch.float16, relu=False)


def test_half_precision_is_close():
    net = make_net(SPVCNN)
    feats, coords = make_scan()
    wanted = eager(net, feats, coords)
    found = compile_for_inference(net, ROOM, torch.float16)(feats, coords)
    assert found.dtype == torch.float16
    assert (found.to(DTYPE) - wanted).norm() / wanted.norm() < 5e-3
