"""The plain convolution against torch's dense one, and its gradients against differences."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.sparse.convolution import reference  # noqa: E402
from coevo.kernels.sparse.convolution.autograd import convolve  # noqa: E402
from coevo.kernels.sparse.convolution.epilogue import Epilogue  # noqa: E402
from coevo.kernels.sparse.convolution.plan import Plan  # noqa: E402
from coevo.kernels.sparse.maps.offsets import offsets  # noqa: E402
from coevo.kernels.sparse.tensors import SparseTensor  # noqa: E402

_spec = importlib.util.spec_from_file_location("conv_cases", Path(__file__).with_name("conv_cases.py"))
conv_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conv_cases)
drawn, maps, padded, voxels = (conv_cases.drawn, conv_cases.maps, conv_cases.padded, conv_cases.voxels)

REFERENCE = Plan(dataflow="reference")


def dense_kernel(weight, kernel):
    """[K, C_in, C_out] as conv3d's [C_out, C_in, x, y, z]."""
    low = [-(size // 2) if size % 2 else 0 for size in kernel]
    held = torch.zeros((weight.shape[2], weight.shape[1], *kernel), dtype=weight.dtype)
    for k, step in enumerate(offsets(kernel)):
        held[:, :, step[0] - low[0], step[1] - low[1], step[2] - low[2]] = weight[k].T
    return held


def dense(feats, coords, side):
    grid = torch.zeros((2, feats.shape[1], side, side, side), dtype=feats.dtype)
    b, x, y, z = coords.long().T
    grid[b, :, x + side // 2, y + side // 2, z + side // 2] = feats
    return grid


@pytest.mark.parametrize(("kernel", "dilation"), [((3, 3, 3), 1), ((1, 3, 5), 1), ((3, 3, 3), 2), ((1, 1, 1), 1)])
def test_submanifold_convolution_is_the_dense_one_at_its_voxels(kernel, dilation):
    side = 16
    coords = voxels(1, 120)
    x = SparseTensor.of(drawn(2, len(coords), 5, dtype=torch.float64), coords)
    made = x.caches.kernel_map(1, kernel, 1, dilation)
    weight = drawn(3, made.volume, 5, 7, dtype=torch.float64)
    found = convolve(x.feats, weight, made, plan=REFERENCE)
    padding = [dilation * (size // 2) for size in kernel]
    whole = torch.nn.functional.conv3d(
        dense(x.feats, x.coords, side), dense_kernel(weight, kernel), padding=padding, dilation=dilation
    )
    b, i, j, k = x.coords.long().T
    expected = whole[b, :, i + side // 2, j + side // 2, k + side // 2]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_strided_and_transposed_convolutions_are_the_dense_ones():
    side = 16
    coords = voxels(4, 90)
    x = SparseTensor.of(drawn(5, len(coords), 3, dtype=torch.float64), coords)
    made = x.caches.kernel_map(1, 2, 2)
    coarse = x.caches.level(2).coords
    weight = drawn(6, 8, 3, 4, dtype=torch.float64)
    found = convolve(x.feats, weight, made, plan=REFERENCE)
    held = dense_kernel(weight, (2, 2, 2))
    whole = torch.nn.functional.conv3d(dense(x.feats, x.coords, side), held, stride=2)
    b, i, j, k = (torch.cat([coarse[:, :1], coarse[:, 1:] // 2 + side // 4], dim=1)).long().T
    torch.testing.assert_close(found, whole[b, :, i, j, k], rtol=1e-12, atol=1e-12)
    back = drawn(7, 8, 4, 3, dtype=torch.float64)
    up = convolve(found, back, made.inverse(), plan=REFERENCE)
    grid = torch.zeros((2, 4, side // 2, side // 2, side // 2), dtype=torch.float64)
    grid[b, :, i, j, k] = found
    turned = dense_kernel(back.transpose(1, 2), (2, 2, 2))
    whole = torch.nn.functional.conv_transpose3d(grid, turned, stride=2)
    b, i, j, k = x.coords.long().T
    expected = whole[b, :, i + side // 2, j + side // 2, k + side // 2]
    torch.testing.assert_close(up, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "transposed"), [(3, 1, False), (2, 2, False), (2, 2, True), (3, 2, False)]
)
def test_gradients_are_those_of_differences(kernel, stride, transposed):
    made = maps(8, 14, kernel, stride, transposed, side=2)
    features = drawn(9, made.capacity_in, 3, dtype=torch.float64).requires_grad_()
    second = drawn(10, made.capacity_in, 2, dtype=torch.float64).requires_grad_()
    weight = drawn(11, made.volume, 5, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f, w, s: convolve(f, w, made, second=s, plan=REFERENCE), (features, weight, second)
    )


def test_slices_and_index_lists_of_a_wide_weight_get_its_gradient():
    made = maps(12, 12, side=2)
    wide = drawn(13, 27, 4, 3, dtype=torch.float64).requires_grad_()
    features = drawn(14, made.capacity_in, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda f, w: convolve(f, w[:, :2, :2], made, plan=REFERENCE), (features, wide))
    channels = torch.tensor([3, 0])
    assert torch.autograd.gradcheck(
        lambda f, w: convolve(f, w[:, :, :2], made, channels=channels, plan=REFERENCE), (features, wide)
    )


def test_rows_beyond_the_counts_are_neither_read_nor_counted_on():
    exact = maps(15, 40)
    made = padded(exact, 9)
    features, gradient = drawn(16, exact.capacity_in, 4), drawn(17, exact.capacity_out, 3)
    weight = drawn(18, 27, 4, 3)
    poisoned = torch.cat([features, torch.full((9, 4), float("nan"))])
    spoiled = torch.cat([gradient, torch.full((9, 3), float("nan"))])
    rows = exact.capacity_out
    torch.testing.assert_close(
        reference.forward(poisoned, weight, made)[:rows], reference.forward(features, weight, exact)
    )
    torch.testing.assert_close(
        reference.weight_gradient(poisoned, spoiled, made), reference.weight_gradient(features, gradient, exact)
    )


def test_the_epilogue_scales_shifts_adds_and_cuts():
    made = maps(19, 30)
    features, weight = drawn(20, made.capacity_in, 4), drawn(21, 27, 4, 3)
    scale, shift, residual = drawn(22, 3), drawn(23, 3), drawn(24, made.capacity_out, 3)
    shortcut, by = drawn(25, made.capacity_out, 5), drawn(26, 5, 3)
    sums = convolve(features, weight, made, plan=REFERENCE)
    found = convolve(
        features, weight, made, plan=REFERENCE, epilogue=Epilogue(scale, shift, residual, True, shortcut, by)
    )
    torch.testing.assert_close(found, torch.relu((sums + shortcut @ by) * scale + shift + residual))


def test_bad_operands_are_one_clear_error():
    made = maps(27, 20)
    features, weight = drawn(28, made.capacity_in, 4), drawn(29, 27, 4, 3)
    with pytest.raises(InputError, match=r"weight must be \[27, 4, C_out\]"):
        convolve(features, weight[:8], made)
    with pytest.raises(InputError, match="slice it, or give `channels`"):
        convolve(features, drawn(0, 27, 5, 3), made)
    with pytest.raises(InputError, match="rows of the map's input side"):
        convolve(features[:-1], weight, made)
    with pytest.raises(InputError, match="cast one of them"):
        convolve(features, weight.double(), made)
    with pytest.raises(InputError, match="must be floats"):
        convolve(features.long(), weight, made)
    with pytest.raises(InputError, match=r"scale must be \[3\]"):
        convolve(features, weight, made, epilogue=Epilogue(scale=drawn(0, 4)))
    with pytest.raises(InputError, match="shortcut and its weight"):
        convolve(features, weight, made, epilogue=Epilogue(shortcut=features))
    with pytest.raises(InputError, match="no gradient"):
        convolve(features.requires_grad_(), weight, made, epilogue=Epilogue(relu=True))
    with pytest.raises(InputError, match="a power of two"):
        Plan(rows=48)
    with pytest.raises(InputError, match="dataflow"):
        Plan(dataflow="winograd")  # type: ignore[arg-type]
