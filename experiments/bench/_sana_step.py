"""A step of a whole Sana transformer, for `gpu_sana.py`: ours, eager torch, torch.compile, its matrix products alone.

All are CUDA graphs of the same random weights and inputs in bfloat16: a velocity for one time and 300 tokens of text,
none of them masked. Products alone are those of every linear layer, biases included, and, in a second figure, the
softmax attention over the text as well: what no fusion could take away.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from _sana_timing import captured

from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer

TEXT_TOKENS = 300
DTYPE = torch.bfloat16


def model_of(name: str, side: int) -> SanaTransformer:
    """Random weights on the device, in bfloat16. Gates that begin at nothing would hide errors; none do."""
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = SanaTransformer(SanaConfig.named(name, sample_size=side))
    return model.to(DTYPE).eval().requires_grad_(False)


def inputs_of(model: SanaTransformer, side: int, batch: int) -> tuple[torch.Tensor, ...]:
    """(latents, timestep, text)."""
    latents = torch.randn(batch, model.config.in_channels, side, side, device="cuda", dtype=DTYPE)
    text = torch.randn(batch, TEXT_TOKENS, model.config.caption_channels, device="cuda", dtype=DTYPE)
    return latents, torch.full((batch,), 500.0, device="cuda"), text


def products(model: SanaTransformer, tokens: int, batch: int, with_text: bool) -> Callable[[], None]:
    """All linear layers of the blocks on their own, and, if asked for, the softmax attention over the text."""
    config = model.config
    width, inner = config.width, config.cross_heads * config.cross_head_dim
    x = torch.randn(batch, tokens, width, device="cuda", dtype=DTYPE)
    text = torch.randn(batch, TEXT_TOKENS, width, device="cuda", dtype=DTYPE)
    hidden = torch.randn(batch, tokens, config.ffn_channels(0), device="cuda", dtype=DTYPE)
    heads = (batch, config.cross_heads, -1, config.cross_head_dim)
    query = torch.randn(batch, tokens, inner, device="cuda", dtype=DTYPE).view(batch, tokens, *heads[1::2])
    keys = torch.randn(2, batch, TEXT_TOKENS, inner, device="cuda", dtype=DTYPE).unflatten(-1, heads[1::2])

    def run() -> None:
        for block in model.blocks:
            attention, cross, ffn = block.attention, block.cross_attention, block.ffn
            for layer, given in (
                (attention.qkv, x), (attention.out, x), (cross.query, x), (cross.key_value, text), (cross.out, x),
                (ffn.expand, x), (ffn.project, hidden),
            ):  # fmt: skip
                layer(given)
            if with_text:
                F.scaled_dot_product_attention(*(each.transpose(1, 2) for each in (query, keys[0], keys[1])))

    return run


def flops(model: SanaTransformer, tokens: int, batch: int) -> float:
    """Of the linear layers of all blocks."""
    of_text = sum(block.cross_attention.key_value.weight.numel() for block in model.blocks)
    of_tokens = sum(
        layer.weight.numel()
        for block in model.blocks
        for layer in (
            block.attention.qkv, block.attention.out, block.cross_attention.query, block.cross_attention.out,
            block.ffn.expand, block.ffn.project,
        )
    )  # fmt: skip
    return 2.0 * batch * (of_tokens * tokens + of_text * TEXT_TOKENS)


def replay_ms(work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Median and fastest milliseconds of the work as a CUDA graph."""
    graph = captured([work])
    graph.replay()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    del graph
    return {"median_ms": round(statistics.median(times), 4), "min_ms": round(min(times), 4)}


def compile_blocks(model: SanaTransformer, templates: bool) -> None:
    """max-autotune for the blocks, which share their code, so that it is tuned once; stem and head stay eager.

    Products are tuned among cuBLAS and, with `templates`, Triton's templates, whose epilogues take in what follows.
    """
    from torch._inductor import config

    config.max_autotune_gemm_backends = "ATEN,TRITON" if templates else "ATEN"
    for block in model.blocks:
        block.compile(mode="max-autotune-no-cudagraphs", dynamic=False)


@torch.no_grad()
def step(
    name: str, side: int, batch: int, repeats: int, templates: bool, compile_it: bool, deadline: float
) -> dict[str, Any]:
    """Milliseconds of one step at latents of side x side, every way."""
    model = model_of(name, side)
    latents, times, text = inputs_of(model, side, batch)
    found: dict[str, Any] = {"tokens": side * side, "batch": batch, "templates": templates}
    plain = model(latents, times, text).float()
    found["eager"] = replay_ms(lambda: model(latents, times, text), repeats)
    model.use_fused(True)
    ours = model(latents, times, text).float()
    found["coevo"] = replay_ms(lambda: model(latents, times, text), repeats)
    wide = (ours - plain).norm() / plain.norm()
    found["coevo_from_eager"] = float(wide.item())
    found["finite"] = bool(torch.isfinite(ours).all().item())
    found["coevo_kernels"] = kernels_of(lambda: model(latents, times, text), len(model.blocks))
    for key, with_text in (("products", False), ("products_and_text_attention", True)):
        found[key] = replay_ms(products(model, side * side, batch, with_text), repeats)
    found["products_tflop_s"] = round(
        flops(model, side * side, batch) / found["products"]["median_ms"] / 1e9, 1
    )  # fmt: skip
    if compile_it and time.perf_counter() < deadline:
        model.use_fused(False)
        began = time.perf_counter()
        compile_blocks(model, templates)
        made = model(latents, times, text).float()
        found["compile_s"] = round(time.perf_counter() - began, 1)
        found["compiled"] = replay_ms(lambda: model(latents, times, text), repeats)
        found["compiled_from_eager"] = float(((made - plain).norm() / plain.norm()).item())
        torch._dynamo.reset()
    return found


def kernels_of(work: Callable[[], Any], blocks: int) -> list[dict[str, Any]]:
    """Kernels of one eager call, microseconds a block, the longest first."""
    from _sparse_timing import kernels

    return [{**row, "us": round(row["us"] / blocks, 2)} for row in kernels(work)[:24]]
