"""Single operations of Sana beside eager torch and torch.compile, for `gpu_sana.py`.

Every row has milliseconds, GB/s of the least traffic (inputs read once, outputs written once) and its share of what a
copy reaches, and how far the result is from float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from _sana_timing import copies_of, graph_ms

from coevo.kernels.glu_convolution import glu_convolution
from coevo.kernels.linear_attention import relu_linear_attention
from coevo.kernels.modulated_norm import gated_residual_norm
from coevo.spaces.sana.model import operations

Tensors = list[torch.Tensor]
Function = Callable[..., Any]
DTYPE = torch.bfloat16


def compiled(function: Function) -> Function:
    """torch.compile with max-autotune; graphs are captured by us, for all alike."""
    return torch.compile(function, mode="max-autotune-no-cudagraphs", dynamic=False)


def _bytes(tensors: Sequence[torch.Tensor]) -> int:
    return sum(each.numel() * each.element_size() for each in tensors)


def measured(
    make: Callable[[], Tensors], functions: dict[str, Function], oracle: Function, outputs: int, ceiling_gb_s: float
) -> dict[str, Any]:
    """A row for each function of the tensors that `make` draws; `outputs` bytes are written at least."""
    first = make()
    least = _bytes(first) + outputs
    inputs = [first, *(make() for _ in range(copies_of(least) - 1))]
    expected = oracle(*(each.double() for each in first)) if first[0].numel() <= 2**26 else None
    rows: dict[str, Any] = {"least_mib": round(least / 2**20, 2), "copies": len(inputs)}
    for name, function in functions.items():
        with torch.no_grad():
            found = function(*first)
            works = [lambda tensors=tensors, function=function: function(*tensors) for tensors in inputs]
            ms = graph_ms(works)
        row = {
            "us": round(1e3 * ms, 2),
            "gb_s": round(least / ms / 1e6, 1),
            "of_copy": round(least / ms / 1e6 / ceiling_gb_s, 4),
        }
        if expected is not None:
            row["relative_error"] = float(
                ((found.double() - expected).abs().max() / expected.abs().max()).item()
            )  # fmt: skip
        rows[name] = row
        del works, found
    return rows


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, device="cuda", dtype=DTYPE)


def attention(tokens: int, batch: int, compile_it: bool, ceiling: float, width: int = 2240) -> dict[str, Any]:
    """Linear attention with query-key norm on one product [B, N, 3 D]."""
    heads = width // 32
    weights = [_random(width) * 0.1 + 1.0 for _ in range(2)]

    def plain(qkv: torch.Tensor) -> torch.Tensor:
        norms = (weights[0].to(qkv.dtype), weights[1].to(qkv.dtype))
        return operations.linear_attention(*qkv.chunk(3, dim=-1), heads, norms)

    def ours(qkv: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = relu_linear_attention(
            *qkv.chunk(3, dim=-1), heads, query_weight=weights[0], key_weight=weights[1]
        )
        return made

    functions: dict[str, Function] = {"coevo": ours, "eager": plain}
    if compile_it:
        functions["compiled"] = compiled(plain)
    return measured(
        lambda: [_random(batch, tokens, 3 * width)], functions, plain, batch * tokens * width * 2, ceiling
    )  # fmt: skip


def convolution(side: int, batch: int, compile_it: bool, ceiling: float, hidden: int = 5600) -> dict[str, Any]:
    """The inside of the Mix-FFN over [B, side, side, 2 h]: ours, eager torch in two layouts, compiled torch."""
    weight, bias = _random(2 * hidden, 1, 3, 3) * 0.3, _random(2 * hidden)

    def glu(images: torch.Tensor) -> torch.Tensor:
        made = F.conv2d(F.silu(images), weight.to(images.dtype), bias.to(images.dtype), padding=1, groups=2 * hidden)
        straight, gate = made.chunk(2, dim=1)
        return straight * F.silu(gate)

    def last(values: torch.Tensor) -> torch.Tensor:
        return glu(values.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    def first(values: torch.Tensor) -> torch.Tensor:
        return glu(values.view(batch, 2 * hidden, side, side))  # the same numbers as if they were NCHW

    def ours(values: torch.Tensor) -> torch.Tensor:
        return glu_convolution(values, weight, bias)

    functions: dict[str, Function] = {"coevo": ours, "eager_channels_last": last}
    if compile_it:
        functions["compiled"] = compiled(last)
    out = batch * side * side * hidden * 2

    def make() -> Tensors:
        return [_random(batch, side, side, 2 * hidden)]

    rows = measured(make, functions, last, out, ceiling)
    rows["eager_nchw"] = {
        key: value
        for key, value in measured(make, {"it": first}, first, out, ceiling)["it"].items()
        if key != "relative_error"
    }
    return rows


def plans(side: int, batch: int, hidden: int = 5600) -> dict[str, float]:
    """Microseconds of the convolution by plan, and which is the default's."""
    from coevo.kernels.glu_convolution import launch

    weight, bias = _random(2 * hidden, 1, 3, 3), _random(2 * hidden)
    count = copies_of(batch * side * side * hidden * 6)
    inputs = [_random(batch, side, side, 2 * hidden) for _ in range(count)]
    default = launch.plan_of(inputs[0].shape, hidden)
    found = {}
    for columns in (8, 16, 32, 64):
        for block, warps in ((64, 1), (128, 2), (256, 4), (64, 2), (128, 4)):
            plan = launch.Plan(columns, block, warps)
            if columns <= 2 * side:
                works = [lambda x=x, plan=plan: launch.convolve(x, weight, bias, None, plan) for x in inputs]
                found[f"{columns} columns, {block} channels, {warps} warps"] = round(1e3 * graph_ms(works, 3), 2)
    return {"default": f"{default.columns} columns, {default.block} channels, {default.warps} warps", **found}


def attention_plans(tokens: int, batch: int, width: int = 2240) -> dict[str, float]:
    """Microseconds of linear attention by plan; the first is the default."""
    from coevo.kernels.linear_attention import launch

    heads = width // 32
    weights = [_random(width) for _ in range(2)]
    inputs = [_random(batch, tokens, 3 * width) for _ in range(copies_of(batch * tokens * width * 8))]
    found = {}

    def run(qkv: torch.Tensor, plan: launch.Plan) -> torch.Tensor:
        query, key, value = qkv.chunk(3, dim=-1)
        shape = launch.shape_of(query, heads, plan)
        scale = launch.key_scales(key, 1e-5)
        state = launch.state_of(key, value, scale, weights[1], shape, plan)
        return launch.output_of(query, weights[0], state, 1e-15, shape, plan)

    for tokens_of_step, channels, warps, stages in (
        (64, 64, 4, 3), (128, 64, 4, 3), (128, 64, 8, 3), (64, 64, 4, 2), (64, 64, 4, 4), (32, 64, 4, 4),
        (64, 128, 4, 3), (128, 32, 4, 3), (64, 32, 4, 3),
    ):  # fmt: skip
        plan = launch.Plan(tokens_of_step, channels, warps, 8, stages)
        name = f"{tokens_of_step} tokens, {channels} channels, {warps} warps, {stages} stages"
        found[name] = round(1e3 * graph_ms([lambda x=x, plan=plan: run(x, plan) for x in inputs], 3), 2)
    return found


def norms(tokens: int, batch: int, compile_it: bool, ceiling: float, width: int = 2240) -> dict[str, Any]:
    """Residual with gate and the modulated norm of it, as they stand between two blocks."""

    def apart(values: Any, update: Any, table: Any) -> Any:
        gate, scale, shift = table.chunk(3, dim=1)
        return operations.residual_norm(values, update, scale, shift, gate)[1]

    def ours(values: Any, update: Any, table: Any) -> Any:
        gate, scale, shift = table.unbind(1)
        return gated_residual_norm(values, update, gate, scale, shift)[1]

    def make() -> Tensors:
        return [_random(batch, tokens, width), _random(batch, tokens, width), _random(batch, 3, width)]

    both = compiled(lambda *tensors: operations.residual_norm(tensors[0], tensors[1], *_rows(tensors[2])))
    functions: dict[str, Function] = {"coevo": ours, "eager": apart}
    if compile_it:
        functions["compiled"] = lambda *tensors: both(*tensors)[1]
    return measured(make, functions, apart, 2 * batch * tokens * width * 2, ceiling)


def _rows(table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    gate, scale, shift = table.chunk(3, dim=1)
    return scale, shift, gate


def gradients(tokens: int, batch: int, width: int = 2240, hidden: int = 5600) -> dict[str, Any]:
    """Microseconds of forward and backward, ours and eager torch's, and whether ours repeat to the bit."""
    side, heads = round(tokens**0.5), width // 32
    weights = [(_random(width) * 0.1 + 1.0).requires_grad_() for _ in range(2)]
    taps, bias = _random(2 * hidden, 1, 3, 3).requires_grad_(), _random(2 * hidden).requires_grad_()
    qkv, images = _random(batch, tokens, 3 * width), _random(batch, side, side, 2 * hidden)
    found: dict[str, Any] = {}
    for name, leaf, others, call in (
        (
            "attention", qkv, weights,
            lambda x, fused: operations.linear_attention(
                *x.chunk(3, dim=-1), heads, (weights[0], weights[1]), fused=fused
            ),
        ),
        ("convolution", images, [taps, bias], lambda x, fused: operations.glu_convolution(x, taps, bias, fused=fused)),
    ):  # fmt: skip
        leaf.requires_grad_()
        slope = torch.randn_like(call(leaf, True))

        def run(fused: bool, leaf: Any = leaf, others: Any = others, call: Any = call, slope: Any = slope) -> Any:
            return torch.autograd.grad(call(leaf, fused), [leaf, *others], slope)

        ours, again, plain = run(True), run(True), run(False)
        found[name] = {
            "repeats_to_the_bit": all(torch.equal(*pair) for pair in zip(ours, again, strict=True)),
            "from_eager": [
                float(((one.float() - other.float()).norm() / other.float().norm()).item())
                for one, other in zip(ours, plain, strict=True)
            ],
            "coevo_us": round(1e3 * graph_ms([lambda run=run: run(True)]), 2),
            "eager_us": round(1e3 * graph_ms([lambda run=run: run(False)]), 2),
        }
    return found
