"""Modules over sparse tensors against their dense counterparts of torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.sparse.maps.offsets import offsets  # noqa: E402
from coevo.kernels.sparse.modules import (  # noqa: E402
    AvgPool3d,
    BatchNorm,
    Conv3d,
    ConvBlock,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool3d,
    ReLU,
    ResidualBlock,
    concatenate,
)
from coevo.kernels.sparse.modules.batch_norm import normalize_rows  # noqa: E402
from coevo.kernels.sparse.tensors import SparseTensor  # noqa: E402

SIDE = 12


def make_tensor(seed=0, channels=3, most=150, dtype=torch.float64):
    """Distinct voxels of 0 .. SIDE - 1, some on the border."""
    rng = np.random.default_rng(seed)
    coords = np.unique(rng.integers(0, SIDE, (most, 3)), axis=0)
    coords = torch.tensor(np.column_stack([np.zeros(len(coords)), coords]), dtype=torch.int32)
    return SparseTensor.of(torch.randn(len(coords), channels, dtype=dtype), coords)


def dense(x):
    """[1, C, SIDE, SIDE, SIDE] of a tensor of any stride, in its own voxels."""
    grid = torch.zeros(1, x.feats.shape[1], SIDE, SIDE, SIDE, dtype=x.feats.dtype)
    a, b, c = (x.coords[:, 1:] // torch.tensor(x.stride)).long().T
    grid[0, :, a, b, c] = x.feats.T
    return grid


def dense_weight(conv):
    """[C_out, C_in, kx, ky, kz]."""
    weight = torch.zeros(conv.out_channels, conv.in_channels, *conv.kernel_size, dtype=conv.kernel.dtype)
    lowest = [-(size // 2) if size % 2 else 0 for size in conv.kernel_size]
    for k, at in enumerate(offsets(conv.kernel_size)):
        x, y, z = (each - low for each, low in zip(at, lowest, strict=True))
        weight[:, :, x, y, z] = (conv.kernel[k] if conv.kernel.dim() == 3 else conv.kernel).T
    return weight


@pytest.mark.parametrize(
    ("kernel_size", "stride", "dilation"),
    [(1, 1, 1), (3, 1, 1), (5, 1, 1), (3, 1, 2), (2, 2, 1), (3, 2, 1), ((3, 1, 5), 1, 1), ((2, 1, 3), (2, 1, 3), 1)],
)
def test_conv_is_the_dense_one_where_there_are_voxels(kernel_size, stride, dilation):
    torch.manual_seed(0)
    x = make_tensor()
    conv = Conv3d(3, 4, kernel_size, stride, dilation, bias=True).double()
    found = conv(x)
    padding = [dilation * (size // 2) if size % 2 else 0 for size in conv.kernel_size]
    wanted = torch.nn.functional.conv3d(
        dense(x), dense_weight(conv), conv.bias, stride=conv.stride, padding=padding, dilation=dilation
    )
    at = (found.coords[:, 1:] // torch.tensor(found.stride)).long()
    inside = (at < torch.tensor(wanted.shape[2:])).all(dim=1) & (at >= 0).all(dim=1)
    a, b, c = at[inside].T
    assert inside.sum() > 10
    assert torch.allclose(found.feats[inside], wanted[0, :, a, b, c].T)


def test_transposed_conv_goes_back_to_the_finer_voxels():
    torch.manual_seed(0)
    x = make_tensor()
    down, up = Conv3d(3, 5, 2, 2).double(), Conv3d(5, 4, 2, 2, transposed=True).double()
    coarse = down(x)
    found = up(coarse)
    assert found.stride == (1, 1, 1) and torch.equal(found.coords, x.coords)
    weight = dense_weight(up).transpose(0, 1)
    wanted = torch.nn.functional.conv_transpose3d(dense(coarse)[:, :, :6, :6, :6], weight, stride=2)
    a, b, c = x.coords[:, 1:].long().T
    assert torch.allclose(found.feats, wanted[0, :, a, b, c].T)


def test_a_second_input_stands_for_a_concatenation():
    torch.manual_seed(0)
    x = make_tensor(channels=3)
    y = x.with_feats(torch.randn(len(x.feats), 2, dtype=torch.float64))
    for layer in (Conv3d(5, 4, 3), Conv3d(5, 4, 1), ResidualBlock(5, 4)):
        layer = layer.double()
        assert torch.allclose(layer(x, y).feats, layer(concatenate([x, y])).feats)


def test_conv_refuses_what_does_not_fit():
    x = make_tensor()
    with pytest.raises(InputError, match=r"Conv3d\(4, 2, kernel_size=\(3, 3, 3\)\) got features with 3 channels"):
        Conv3d(4, 2).double()(x)
    with pytest.raises(InputError, match="no voxels of stride"):
        Conv3d(3, 2, 2, 2, transposed=True).double()(SparseTensor.of(x.feats, 2 * x.coords, 2))
    with pytest.raises(InputError, match="multiple"):
        Conv3d(3, 2, 2, 2, transposed=True).double()(x)
    with pytest.raises(InputError, match="kernel_size"):
        Conv3d(3, 2, 0)
    with pytest.raises(InputError, match="at least one channel"):
        Conv3d(0, 2)
    coarse = Conv3d(3, 3, 2, 2).double()(x)
    with pytest.raises(InputError, match="same voxels"):
        Conv3d(6, 2).double()(x, coarse)


def norms(channels, seed=0, **options):
    """A norm of coevo and torch's own, with the same parameters and statistics."""
    torch.manual_seed(seed)
    ours, torchs = BatchNorm(channels, **options), torch.nn.BatchNorm1d(channels, **options)
    for each in ours.state_dict().values():
        if each.is_floating_point():
            each.copy_(torch.rand(channels) + 0.5)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


@pytest.mark.parametrize("backend", ["reference", "triton"])
@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("padding", [0, 50])
def test_norm_residual_and_relu(backend, options, training, padding):
    channels, rows = 21, 150
    ours, torchs = norms(channels, **options)
    ours.train(training), torchs.train(training)
    values = torch.randn(rows + padding, channels) * 3 + 5
    residual = torch.randn(rows + padding, channels)
    values[rows:], residual[rows:] = float("nan"), float("nan")  # nothing may be read there
    slope = torch.randn(rows, channels)
    count = torch.tensor([rows], dtype=torch.int32)
    given = [each.clone().requires_grad_() for each in (values, residual)]
    wanted = [each[:rows].clone().requires_grad_() for each in (values, residual)]
    for _ in range(2):  # the second time with moved statistics
        found = normalize_rows(given[0], count, ours, given[1], relu=True, backend=backend)
        expected = torch.relu(torchs(wanted[0]) + wanted[1])
    assert torch.allclose(found[:rows], expected, atol=1e-5)
    assert (found[rows:] == 0).all()
    found[:rows].backward(slope)
    expected.backward(slope)
    for one, other in zip(given, wanted, strict=True):
        assert torch.allclose(one.grad[:rows], other.grad, atol=1e-5)
        assert (one.grad[rows:] == 0).all()
    for one, other in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-4)
    for name, each in ours.state_dict().items():
        assert torch.allclose(each, torchs.state_dict()[name], atol=1e-5), name


@pytest.mark.parametrize("backend", ["reference", "triton"])
def test_norm_without_residual_or_relu_in_half_precision(backend):
    ours, torchs = norms(9)
    values = torch.randn(70, 9) + 2
    found = normalize_rows(values.half(), torch.tensor([70], dtype=torch.int32), ours, backend=backend)
    assert found.dtype == torch.float16
    assert torch.allclose(found.float(), torchs(values.half().float()), atol=5e-3)


@pytest.mark.parametrize("backend", ["reference", "triton"])
def test_norm_of_one_row_and_of_none(backend):
    norm = BatchNorm(4)
    torch.nn.init.constant_(norm.bias, 3)
    one = normalize_rows(torch.randn(1, 4), torch.tensor([1], dtype=torch.int32), norm, backend=backend)
    assert torch.allclose(one, torch.full((1, 4), 3.0))
    statistics = {name: each.clone() for name, each in norm.state_dict().items() if "running" in name}
    none = torch.zeros(0, 4, requires_grad=True)
    normalize_rows(none, torch.tensor([0], dtype=torch.int32), norm, backend=backend).sum().backward()
    assert none.grad.shape == (0, 4)
    for name, each in statistics.items():
        assert torch.equal(each, norm.state_dict()[name])


def test_a_norm_far_from_zero_keeps_its_digits():
    """Sums of squares in single precision would lose the variance of values around 1,000."""
    values = torch.randn(300, 16, dtype=torch.float64) * 0.1 + 1000
    found = normalize_rows(values.float(), torch.tensor([300], dtype=torch.int32), BatchNorm(16), backend="triton")
    held = values.float().double()
    wanted = (held - held.mean(0)) / held.std(0, unbiased=False)
    assert torch.allclose(found.double(), wanted, atol=5e-3)


def test_norm_refuses_other_channels_and_residuals():
    count = torch.tensor([5], dtype=torch.int32)
    with pytest.raises(InputError, match=r"features \[N, 4\], got \(5, 3\)"):
        normalize_rows(torch.zeros(5, 3), count, BatchNorm(4))
    with pytest.raises(InputError, match="residual must be"):
        normalize_rows(torch.zeros(5, 4), count, BatchNorm(4), torch.zeros(4, 4))


def test_blocks_are_their_layers_one_by_one():
    torch.manual_seed(1)
    x = make_tensor()
    block = ConvBlock(3, 4).double()
    assert torch.allclose(block(x).feats, block.net(x).feats)
    for channels in (3, 5):
        block = ResidualBlock(3, channels).double()
        shortcut = x if block.downsample is None else block.downsample(x)
        assert torch.allclose(block(x).feats, torch.relu(block.net(x).feats + shortcut.feats))


def test_modules_stand_in_a_sequential():
    x = make_tensor()
    net = torch.nn.Sequential(Conv3d(3, 8), BatchNorm(8), ReLU(), MaxPool3d(2), AvgPool3d(3, 1), GlobalAvgPool())
    found = net.double()(x)
    assert found.shape == (1, 8)
    pooled = net[:5](x)
    assert torch.allclose(found[0], pooled.feats.mean(0))
    assert torch.allclose(GlobalMaxPool(2)(pooled), torch.stack([pooled.feats.amax(0), torch.zeros(8).double()]))


def test_pooling_is_the_dense_one():
    x = make_tensor()
    x = x.with_feats(x.feats.abs())  # an absent voxel is 0 in the dense grid
    found = MaxPool3d(2)(x)
    wanted = torch.nn.functional.max_pool3d(dense(x), 2)
    a, b, c = (found.coords[:, 1:] // 2).long().T
    assert torch.equal(found.feats, wanted[0, :, a, b, c].T)


def test_under_autocast_the_weights_gradient_is_not_rounded():
    torch.manual_seed(0)
    x = make_tensor(dtype=torch.float32, channels=4)
    conv = Conv3d(4, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = conv(x)
    assert found.feats.dtype == torch.bfloat16
    slope = torch.randn(found.feats.shape).bfloat16()
    found.feats.backward(slope)
    exact = Conv3d(4, 5).double()
    with torch.no_grad():
        exact.kernel.copy_(conv.kernel.bfloat16())
    exact(x.with_feats(x.feats.bfloat16().double())).feats.backward(slope.double())
    assert conv.kernel.grad.dtype == torch.float32
    assert torch.allclose(conv.kernel.grad.double(), exact.kernel.grad, rtol=1e-5, atol=1e-4)
