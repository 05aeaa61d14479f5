"""Kernels of the GLU convolution against plain torch in float64."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.kernels.glu_convolution import glu_convolution, launch  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [torch.float32, torch.float16] + ([torch.bfloat16] if DEVICE == "cuda" else [])
TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 2e-2}
CASES = [((1, 1, 1, 2), torch.float32), ((2, 5, 3, 6), torch.float32), ((1, 2, 1, 260), torch.float32)]
CASES += [((1, 3, 4, 6), dtype) for dtype in DTYPES]


def case(shape, dtype, seed=0):
    """Values, weight, bias and a gradient, in `dtype`."""
    made = torch.Generator().manual_seed(seed)
    channels = shape[3]
    shapes = (shape, (channels, 1, 3, 3), (channels,), (*shape[:3], channels // 2))
    return [torch.randn(each, generator=made).to(DEVICE, dtype) for each in shapes]


def with_gradients(tensors, gradient, backend):
    leaves = [each.detach().clone().requires_grad_() for each in tensors]
    out = glu_convolution(*leaves, backend=backend)
    out.backward(gradient)
    return [out.detach(), *(leaf.grad for leaf in leaves)]


def assert_close(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        away = (one.double() - other).abs().max() if one.numel() else torch.zeros(())
        assert away <= tolerance * (1 + other.abs().max()), away


@pytest.mark.parametrize(("shape", "dtype"), CASES)
def test_kernels_equal_the_reference(shape, dtype):
    *tensors, gradient = case(shape, dtype)
    expected = with_gradients([each.double() for each in tensors], gradient.double(), "reference")
    assert_close(with_gradients(tensors, gradient, "triton"), expected, TOLERANCE[dtype])


def test_extreme_values_and_zeros():
    values, weight, bias, _ = case((1, 4, 4, 4), torch.float32)
    values[0, 0, 0] = torch.tensor([-200.0, 200.0, -60.0, 0.0])
    expected = glu_convolution(values.double(), weight.double(), bias.double())
    assert_close([glu_convolution(values, weight, bias, backend="triton")], [expected], 1e-5)
    nothing = torch.zeros_like(values)
    assert not glu_convolution(nothing, weight, torch.zeros_like(bias), backend="triton").any()


def test_plans_give_the_same():
    values, weight, bias, gradient = case((1, 3, 5, 12), torch.float32, 3)
    plan = launch.Plan(2, 16, 1)
    assert torch.equal(launch.convolve(values, weight, bias, None, plan), launch.convolve(values, weight, bias))
    slopes = launch.convolve(values, weight, bias, gradient)
    assert_close(launch.gradients(values, weight, slopes, plan), launch.gradients(values, weight, slopes), 1e-5)


def test_empty_and_sliced_inputs():
    _, weight, bias, _ = case((1, 2, 2, 4), torch.float32)
    assert glu_convolution(torch.zeros(0, 2, 2, 4, device=DEVICE), weight, bias, backend="triton").shape == (0, 2, 2, 2)
    wide = case((1, 3, 3, 8), torch.float32)[0]
    found = glu_convolution(wide[..., 2:6], weight, bias, backend="triton")
    assert torch.equal(found, glu_convolution(wide[..., 2:6].contiguous(), weight, bias, backend="triton"))
