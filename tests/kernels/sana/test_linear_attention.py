"""Kernels of linear attention against plain torch in float64."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.linear_attention import relu_linear_attention  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [torch.float32, torch.float16] + ([torch.bfloat16] if DEVICE == "cuda" else [])
TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 2e-2}


def case(batch, tokens, width, normed, dtype, seed=0):
    """Query, key, value, and the norm's weights (or None), and a gradient. Few queries have no positive channel."""
    made = torch.Generator().manual_seed(seed)
    query, key, value, gradient = (torch.randn(batch, tokens, width, generator=made) for _ in range(4))
    weights = [torch.randn(width, generator=made) if normed else None for _ in range(2)]
    return [None if each is None else each.to(DEVICE, dtype) for each in (query, key, value, *weights, gradient)]


def with_gradients(tensors, gradient, heads, backend):
    leaves = [None if each is None else each.detach().clone().requires_grad_() for each in tensors]
    out = relu_linear_attention(
        *leaves[:3], heads, query_weight=leaves[3], key_weight=leaves[4], backend=backend
    )  # fmt: skip
    out.backward(gradient)
    return [out.detach(), *(None if leaf is None else leaf.grad for leaf in leaves)]


def assert_close(found, expected, tolerance):
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        if other is None:
            assert one is None
            continue
        assert one.shape == other.shape
        away = (one.double() - other).abs().max()
        assert away <= tolerance * (1 + other.abs().max()), (index, away)


CASES = [(1, 1, 2, 16, True), (2, 9, 3, 32, True), (1, 140, 1, 24, False), (1, 3, 5, 16, False)]
CASES = [(*each, torch.float32) for each in CASES] + [(1, 70, 3, 32, True, dtype) for dtype in DTYPES]
CASES += [(1, 9, 1, 128, True, torch.float16)]


@pytest.mark.parametrize(("batch", "tokens", "heads", "head", "normed", "dtype"), CASES)
def test_kernels_equal_the_reference(batch, tokens, heads, head, normed, dtype):
    *tensors, gradient = case(batch, tokens, heads * head, normed, dtype)
    wide = [None if each is None else each.double() for each in tensors]
    expected = with_gradients(wide, gradient.double(), heads, "reference")
    found = with_gradients(tensors, gradient, heads, "triton")
    assert_close(found, expected, TOLERANCE[dtype])


def test_slices_of_one_product():
    qkv = case(2, 20, 96, False, torch.float32)[0]
    parts = qkv.chunk(3, dim=2)
    assert not parts[1].is_contiguous()
    found = relu_linear_attention(*parts, 2, backend="triton")
    assert torch.equal(found, relu_linear_attention(*(each.contiguous() for each in parts), 2, backend="triton"))


def test_queries_and_keys_without_positive_channels():
    query, key, value, *weights, gradient = case(1, 12, 32, True, torch.float32)
    query[0, 3] = -1.0
    weights[0] = weights[0].abs()
    weights[1][5] = 0.0
    expected = with_gradients([each.double() for each in (query, key, value, *weights)], gradient.double(), 1, None)
    found = with_gradients([query, key, value, *weights], gradient, 1, "triton")
    assert not found[0][0, 3].any()
    assert_close(found, expected, 2e-5)
    dark = relu_linear_attention(query, -key.abs(), value, 1, backend="triton")
    assert not dark.any()


def test_nothing_and_heads_too_wide():
    query, key, value, *_ = case(1, 0, 32, False, torch.float32)
    assert relu_linear_attention(query, key, value, 1, backend="triton").shape == (1, 0, 32)
    query, key, value, *_ = case(1, 2, 160, False, torch.float16)
    with pytest.raises(InputError, match="at most 128 channels"):
        relu_linear_attention(query, key, value, 1, backend="triton")
