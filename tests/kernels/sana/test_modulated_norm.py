"""Kernels of modulated norms and gated residuals against plain torch in float64."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.modulated_norm import gated_residual, gated_residual_norm, modulated_norm, rms_norm  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [torch.float32, torch.float16] + ([torch.bfloat16] if DEVICE == "cuda" else [])
TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
SHAPES = [(1, 1, 1), (2, 3, 40), (1, 130, 96)]


def case(shape, dtype, seed=0):
    """Values, update, a table of three rows an image, and two gradients."""
    made = torch.Generator().manual_seed(seed)
    batch, _, width = shape
    shapes = (shape, shape, (batch, 3, width), shape, shape)
    return [(torch.randn(each, generator=made) + 0.5).to(DEVICE, dtype) for each in shapes]


def run(which, values, update, table, first, second, backend):
    values, update, table = (each.detach().clone().requires_grad_() for each in (values, update, table))
    scale, shift, gate = table.unbind(1)  # slices of a table, as a model has them
    if which == "norm":
        made = (modulated_norm(values, scale, shift, backend=backend),)
    elif which == "gate":
        made = (gated_residual(values, update, gate, backend=backend),)
    elif which == "residual":
        made = (gated_residual(values, update, backend=backend),)
    elif which == "both":
        made = gated_residual_norm(values, update, gate, scale, shift, backend=backend)
    else:
        made = gated_residual_norm(values, update, None, scale, shift, backend=backend)
    sum((one * other).sum() for one, other in zip(made, (first, second), strict=False)).backward()
    return [*(each.detach() for each in made), values.grad, update.grad, table.grad]


@pytest.mark.parametrize("which", ["norm", "gate", "residual", "both", "both without gate"])
@pytest.mark.parametrize(
    ("shape", "dtype"), [(each, torch.float32) for each in SHAPES] + [(SHAPES[1], d) for d in DTYPES]
)
def test_kernels_equal_the_reference(which, shape, dtype):
    tensors = case(shape, dtype)
    expected = run(which, *(each.double() for each in tensors), "reference")
    for found, other in zip(run(which, *tensors, "triton"), expected, strict=True):
        if other is None:
            assert found is None
            continue
        assert found.shape == other.shape and found.dtype == dtype
        away = (found.double() - other).abs().max()
        assert away <= TOLERANCE[dtype] * (1 + other.abs().max()), away


@pytest.mark.parametrize(
    ("shape", "dtype"), [(each, torch.float32) for each in SHAPES] + [(SHAPES[1], d) for d in DTYPES]
)
def test_rms_norm_equals_the_reference(shape, dtype):
    values, _, table, gradient, _ = case(shape, dtype)
    weight = table[0, 0]
    results = []
    for backend, made in (("reference", torch.float64), ("triton", dtype)):
        leaf, scale = values.to(made).requires_grad_(), weight.to(made).detach().requires_grad_()
        out = rms_norm(leaf, scale, backend=backend)
        out.backward(gradient.to(made))
        results.append((out.detach(), leaf.grad, scale.grad))
    for other, found in zip(*results, strict=True):
        assert found.dtype == dtype
        assert (found.double() - other).abs().max() <= TOLERANCE[dtype] * (1 + other.abs().max())


def test_constant_tokens_and_large_means():
    values = torch.full((1, 2, 64), 3.0, device=DEVICE)
    zeros = torch.zeros(1, 64, device=DEVICE)
    assert not modulated_norm(values, zeros, zeros, backend="triton").any()
    values = torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(1)).to(DEVICE) + 1000.0
    found = modulated_norm(values, zeros, zeros, backend="triton")
    assert (found.double() - modulated_norm(values.double(), zeros.double(), zeros.double())).abs().max() < 1e-4


def test_an_update_of_a_narrower_dtype_and_nothing():
    values, update, table, *_ = case((2, 3, 8), torch.float32)
    found = gated_residual(values, update.half(), table[:, 2], backend="triton")
    assert found.dtype == torch.float32
    assert torch.allclose(found, gated_residual(values, update.half(), table[:, 2], backend="reference"), atol=1e-6)
    empty = values[:, :0]
    assert modulated_norm(empty, table[:, 0], table[:, 1], backend="triton").shape == (2, 0, 8)


def test_too_many_channels():
    values = torch.zeros(1, 1, 8200, device=DEVICE)
    with pytest.raises(InputError, match="at most 8192"):
        modulated_norm(values, values[:, 0], values[:, 0], backend="triton")
