"""The plain references of the generative kernels: against sums written out, and their gradients against differences."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from coevo.errors import ConfigError, InputError  # noqa: E402
from coevo.kernels.glu_convolution import glu_convolution  # noqa: E402
from coevo.kernels.linear_attention import relu_linear_attention  # noqa: E402
from coevo.kernels.modulated_norm import gated_residual, gated_residual_norm, modulated_norm  # noqa: E402


def random(*shape, seed=0, gradient=False):
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.requires_grad_(gradient)


def test_attention_is_a_weighted_mean_of_values():
    batch, tokens, heads, width = 2, 5, 2, 6
    query, key, value = (random(batch, tokens, heads * width, seed=seed) for seed in range(3))
    found = relu_linear_attention(query, key, value, heads)
    for b in range(batch):
        for h in range(heads):
            at = slice(h * width, (h + 1) * width)
            weights = torch.relu(query[b, :, at]) @ torch.relu(key[b, :, at]).T
            expected = weights @ value[b, :, at] / (weights.sum(1, keepdim=True) + 1e-15)
            assert torch.allclose(found[b, :, at], expected, rtol=1e-12, atol=1e-12)


def test_query_norm_cancels_but_for_epsilon():
    query, key, value = (random(1, 7, 8, seed=seed) for seed in range(3))
    ones, weight = torch.ones(8, dtype=torch.float64), random(8, seed=5)
    normed = relu_linear_attention(query, key, value, 2, query_weight=ones, key_weight=weight)
    scaled = relu_linear_attention(query * 17.0, key, value, 2, query_weight=ones, key_weight=weight)
    assert torch.allclose(normed, scaled, rtol=1e-9)


def test_convolution_written_out():
    values, weight, bias = random(1, 3, 4, 6), random(6, 1, 3, 3, seed=1), random(6, seed=2)
    found = glu_convolution(values, weight, bias)
    active = values * torch.sigmoid(values)
    for y in range(3):
        for x in range(4):
            mixed = bias.clone()
            for dy in range(3):
                for dx in range(3):
                    if 0 <= y + dy - 1 < 3 and 0 <= x + dx - 1 < 4:
                        mixed += weight[:, 0, dy, dx] * active[0, y + dy - 1, x + dx - 1]
            gate = mixed[3:] * torch.sigmoid(mixed[3:])
            assert torch.allclose(found[0, y, x], mixed[:3] * gate, rtol=1e-12, atol=1e-13)


def test_norm_is_layer_norm_with_modulation():
    values, scale, shift, gate = random(2, 3, 8), random(2, 8, seed=1), random(2, 8, seed=2), random(2, 8, seed=3)
    expected = torch.nn.functional.layer_norm(values, (8,), eps=1e-6) * (1 + scale[:, None]) + shift[:, None]
    assert torch.allclose(modulated_norm(values, scale, shift), expected, rtol=1e-12, atol=1e-12)
    update = random(2, 3, 8, seed=4)
    added, normed = gated_residual_norm(values, update, gate, scale, shift)
    assert torch.equal(added, values + gate[:, None] * update)
    assert torch.equal(normed, modulated_norm(added, scale, shift))
    assert torch.equal(gated_residual(values, update), values + update)


def test_gradients_against_differences():
    three = [random(1, 4, 6, seed=seed, gradient=True) for seed in range(3)]
    weights = [random(6, seed=seed, gradient=True) for seed in (3, 4)]
    assert torch.autograd.gradcheck(lambda *a: relu_linear_attention(*a, 3), three)
    assert torch.autograd.gradcheck(
        lambda q, k, v, a, b: relu_linear_attention(q, k, v, 2, query_weight=a, key_weight=b), [*three, *weights]
    )
    convolution = [random(1, 3, 2, 4, gradient=True), random(4, 1, 3, 3, gradient=True), random(4, gradient=True)]
    assert torch.autograd.gradcheck(glu_convolution, convolution)
    rows = [random(2, 5, seed=seed, gradient=True) for seed in range(3)]
    values, update = random(2, 3, 5, seed=7, gradient=True), random(2, 3, 5, seed=8, gradient=True)
    assert torch.autograd.gradcheck(gated_residual_norm, [values, update, *rows])


def test_bad_input_is_named():
    values = random(1, 4, 6)
    with pytest.raises(InputError, match="4 heads do not divide 6"):
        relu_linear_attention(values, values, values, 4)
    with pytest.raises(InputError, match="key is"):
        relu_linear_attention(values, values[:, :2], values, 2)
    with pytest.raises(InputError, match="or neither"):
        relu_linear_attention(values, values, values, 2, query_weight=values[0, 0])
    with pytest.raises(InputError, match=r"2 h"):
        glu_convolution(random(1, 2, 2, 3), random(3, 1, 3, 3), random(3))
    with pytest.raises(InputError, match="weight must be"):
        glu_convolution(random(1, 2, 2, 4), random(4, 1, 5, 5), random(4))
    with pytest.raises(InputError, match="scale must be"):
        modulated_norm(values, random(2, 6), random(1, 6))
    with pytest.raises(InputError, match="update is"):
        gated_residual(values, values[:, :1])
    with pytest.raises(ConfigError, match="backend must be"):
        modulated_norm(values, random(1, 6), random(1, 6), backend="cuda")
