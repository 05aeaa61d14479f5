"""CAME: its kernel against plain torch, that against the paper's algorithm, its state, its bytes."""

from __future__ import annotations

import copy
import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.errors import ConfigError  # noqa: E402
from coevo.kernels.came import CAME8bit  # noqa: E402
from coevo.kernels.came.blockwise import dequantized, quantized  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SHAPES = [(33, 70), (7,), (20, 11, 1, 1), (6, 1, 3, 3), (2, 2300)]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def weights_of(seed=0, dtype=torch.float32, shapes=SHAPES):
    return [random(*shape, seed=seed + at).to(dtype).requires_grad_() for at, shape in enumerate(shapes)]


def run(optimizer, weights, steps, seed=100):
    for number in range(steps):
        for at, weight in enumerate(weights):
            # rows of very different size: what blocks over rows of a matrix would lose
            rows = torch.logspace(-3, 1, weight.shape[0], device=DEVICE).view(-1, *[1] * (weight.dim() - 1))
            weight.grad = (random(*weight.shape, seed=seed + 17 * number + at) * rows).to(weight.dtype)
        optimizer.step()
    return [weight.detach().clone() for weight in weights]


def test_blocks_hold_values_to_a_half_step():
    values = random(5, 1000) * torch.logspace(-4, 2, 5, device=DEVICE)[:, None]
    codes, scale = quantized(values)
    assert codes.dtype == torch.int8 and scale.shape == (3,)
    away = (dequantized(codes, scale) - values).abs().flatten()
    assert (away <= scale.repeat_interleave(2048)[:5000] / 254 * (1 + 1e-5)).all()
    codes, scale = quantized(torch.zeros(3, 3, device=DEVICE))
    assert not codes.any() and not scale.any()
    assert not dequantized(codes, scale).any()


def test_a_first_step_by_hand():
    weight = torch.zeros(2, 3, device=DEVICE, requires_grad=True)
    gradient = torch.tensor([[1.0, 2.0, -4.0], [0.5, 1.0, 3.0]], device=DEVICE)
    weight.grad = gradient.clone()
    CAME8bit([weight], lr=0.1, bits=32, backend="reference").step()
    squares = gradient.square().double()
    row, column = 0.001 * squares.mean(1), 0.001 * squares.mean(0)
    update = gradient.double() / (row[:, None] / row.mean() * column[None, :]).sqrt()
    update /= max(1.0, update.square().mean().sqrt().item())
    moment = 0.1 * update
    residual = (update - moment).square()
    row, column = 1e-4 * residual.mean(1), 1e-4 * residual.mean(0)
    expected = -0.1 * moment / (row[:, None] / row.mean() * column[None, :]).sqrt()
    assert torch.allclose(weight.detach().double(), expected, rtol=1e-4)


@pytest.mark.parametrize("one_launch", [True, False])
@pytest.mark.parametrize("bits", [8, 32])
def test_the_kernel_equals_plain_torch(bits, one_launch):
    given = {"lr": 1e-2, "bits": bits, "weight_decay": 0.1, "least_elements": 1000}
    first, second = (weights_of(shapes=[(33, 70), (7,), (2, 2300)]) for _ in range(2))
    plain = CAME8bit(first, backend="reference", **given)
    kernel = CAME8bit(second, backend="triton", one_launch=one_launch, **given)
    for one, other in zip(run(plain, first, 2), run(kernel, second, 2), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)
    for one, other in zip(first, second, strict=True):
        left, right = plain.state[one], kernel.state[other]
        assert left.keys() == right.keys()
        for name in left:
            assert left[name].dtype == right[name].dtype
            if left[name].dtype == torch.int8:  # a value on the edge between two codes may fall on either side
                assert (left[name].int() - right[name].int()).abs().max() <= 1
            else:
                near = 1e-6 * left[name].abs().max().item()
                assert torch.allclose(left[name], right[name], rtol=1e-4, atol=near), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bits", [8, 32])
def test_state_round_trips_exactly(bits, dtype):
    safetensors = pytest.importorskip("safetensors.torch")
    first = weights_of(dtype=dtype)
    optimizer = CAME8bit(first, lr=1e-2, bits=bits, least_elements=1000)
    run(optimizer, first, 2)
    state = optimizer.state_dict()
    flat = {f"{number}/{name}": each for number, held in state["state"].items() for name, each in held.items()}
    kept: dict = {}
    for name, each in safetensors.load(safetensors.save(flat)).items():
        kept.setdefault(int(name.split("/")[0]), {})[name.split("/")[1]] = each
    second = [each.detach().clone().requires_grad_() for each in first]
    again = CAME8bit(second, lr=5.0, bits=bits, least_elements=1000)
    again.load_state_dict({"state": kept, "param_groups": json.loads(json.dumps(state["param_groups"]))})
    assert again.param_groups[0]["lr"] == 1e-2
    for one, other in zip(first, second, strict=True):
        for name, value in optimizer.state[one].items():
            other_value = again.state[other][name]
            assert value.dtype == other_value.dtype and torch.equal(value, other_value)
    left, right = run(optimizer, first, 1, seed=7), run(again, second, 1, seed=7)
    assert all(torch.equal(*pair) for pair in zip(left, right, strict=True))


def test_bytes_per_parameter():
    weights = [random(512, 1024).requires_grad_()]
    eight, single = (CAME8bit(copy.deepcopy(weights), bits=bits) for bits in (8, 32))
    assert eight.bytes_per_parameter() == 0
    for optimizer in (eight, single):
        run(optimizer, optimizer.param_groups[0]["params"], 1)
    extra = 2 * 4 * (512 + 1024) / (512 * 1024)
    assert eight.bytes_per_parameter() == pytest.approx(1 + 4 / 2048 + extra)
    assert single.bytes_per_parameter() == pytest.approx(4 + extra)


def test_eight_bits_learn_what_thirty_two_learn():
    target = random(48, 64, seed=3)
    found = []
    for bits in (8, 32):
        weight = torch.zeros(48, 64, device=DEVICE, requires_grad=True)
        optimizer = CAME8bit([weight], lr=1e-3, bits=bits, least_elements=0)
        for _ in range(200):
            optimizer.zero_grad()
            loss = (weight - target).square().mean()
            loss.backward()
            optimizer.step()
        found.append(loss.item())
    assert found[1] < 0.3 * target.square().mean().item()
    assert found[0] == pytest.approx(found[1], rel=0.1)


def test_settings_are_checked():
    weights = weights_of()
    for given in ({"bits": 4}, {"betas": (0.9, 0.999, 1.0)}, {"lr": -1.0}, {"clip_threshold": 0.0}):
        with pytest.raises(ConfigError):
            CAME8bit(weights, **given)


def test_transposed_weights_move_as_contiguous_ones():
    weight = random(30, 40)
    results = []
    for made in (weight.clone(), weight.T.contiguous().T):
        made = made.requires_grad_()
        made.grad = random(30, 40, seed=9)
        CAME8bit([made], lr=0.1, least_elements=0).step()
        results.append(made.detach())
    assert torch.equal(*results)
