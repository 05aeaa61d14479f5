"""What a design takes of a device, as the latency table counts it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from coevo.cost_models.diffusion_latency import Network, Workload
from coevo.spaces.sana.design import Bounds, SanaDesign
from coevo.spaces.sana.model.config import SanaConfig

NORM, GATE, CROSS = "modulated_norm", "gated_residual", "cross_attention"


def attention_name(kind: str) -> str:
    return f"attention/{kind}"


def ffn_name(ratio: float) -> str:
    return f"mix_ffn/{ratio:g}"


def network_of(config: SanaConfig) -> Network:
    """The operations of one evaluation of a transformer."""
    count: Counter[str] = Counter({"embed": 1, "head": 1})
    for block in config.blocks:
        count.update([attention_name(block.attention), ffn_name(block.ffn_ratio), CROSS])
        count.update({NORM: 2, GATE: 2})
    return Network(dict(count), config.depth)


def workload_of(design: SanaDesign, source: SanaConfig) -> Workload:
    """What a prompt takes."""
    return Workload(network_of(design.network(source)), design.passes, design.steps, design.samples)


def batch_sizes(bounds: Bounds) -> tuple[int, ...]:
    """Images that evaluations of the space's designs take at once, ascending."""
    guided = {each * 2 for each in bounds.samples} if max(bounds.guidance) > 1 else set()
    return tuple(sorted({*bounds.samples, *guided}))


def shape_of(source: SanaConfig, size_px: int, text_tokens: int, verifier: str) -> dict[str, Any]:
    """What times depend on beside the choices."""
    return {
        "width": source.width,
        "heads": source.heads,
        "cross_heads": source.cross_heads,
        "qk_norm": source.qk_norm,
        "caption_channels": source.caption_channels,
        "channels": source.in_channels,
        "patch_size": source.patch_size,
        "tokens": source.tokens,
        "text_tokens": text_tokens,
        "size_px": size_px,
        "verifier": verifier,
    }
