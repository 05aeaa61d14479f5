"""Launches of linear attention's kernels: one pass over keys and values, a sum over its splits, one over queries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coevo.kernels.linear_attention import triton_kernels as kernels
from coevo.kernels.triton_runtime import INTERPRETED

_PROGRAMS = 4 * 132
"""A pass is split until it has so many programs: four to each multiprocessor of an H200."""
_MAX_BLOCK = 4096
_ROWS = 64 if INTERPRETED else 1
"""Tokens of a program of the kernels that take all channels of a token."""


@dataclass(frozen=True)
class Plan:
    """Tokens of a step, channels of a group of heads at least, warps forward and backward (twice as many, where a block
    has more than 64 channels), steps that are loaded ahead."""

    block_tokens: int = 64
    channels: int = 64
    warps: int = 4
    backward_warps: int = 8
    stages: int = 3


@dataclass(frozen=True)
class Shape:
    """How [B, N, D] in heads is cut."""

    batch: int
    tokens: int
    width: int
    head: int
    group: int
    block: int
    groups: int
    chunk: int
    splits: int


def shape_of(query: Tensor, heads: int, plan: Plan) -> Shape:
    """Groups of heads, and chunks of tokens: as many as fill the device, and none of less than two steps."""
    batch, tokens, width = query.shape
    head = width // heads
    group = max(1, plan.channels // head) if head & (head - 1) == 0 else 1
    block = max(16, 1 << (group * head - 1).bit_length())
    groups = -(-heads // group)
    least = 2 * plan.block_tokens
    splits = max(1, min(-(-tokens // least), -(-_PROGRAMS // max(1, groups * batch))))
    steps = -(-tokens // (splits * plan.block_tokens))
    chunk = max(1, steps) * plan.block_tokens
    return Shape(batch, tokens, width, head, group, block, groups, chunk, -(-tokens // chunk))


def _blocks(shape: Shape, plan: Plan, backward: bool = False) -> dict[str, int]:
    wide = shape.block > 64
    warps = plan.backward_warps if backward else plan.warps * (2 if wide else 1)
    smaller = wide and backward  # to fit into shared memory
    return {
        "HEAD": shape.head, "GROUP": shape.group, "BLOCK_T": plan.block_tokens // (2 if smaller else 1),
        "BLOCK_C": shape.block, "num_warps": warps, "num_stages": 2 if smaller else plan.stages,
    }  # fmt: skip


def _row_block(width: int) -> int:
    return int(min(_MAX_BLOCK, 1 << (width - 1).bit_length()))


def rowwise(tensor: Tensor) -> Tensor:
    """The tensor with its channels side by side; a slice of wider rows will do."""
    return tensor if tensor.stride(2) == 1 else tensor.contiguous()


def key_scales(key: Tensor, epsilon: float) -> Tensor:
    """float32 [B, N]: 1 / root mean square of each token's key."""
    batch, tokens, width = key.shape
    scale = torch.empty((batch, tokens), dtype=torch.float32, device=key.device)
    kernels.key_scales_kernel[(-(-tokens // _ROWS), batch)](
        key, scale, key.stride(0), key.stride(1), tokens, width, epsilon, BLOCK_T=_ROWS, BLOCK_C=_row_block(width)
    )
    return scale


def _reduced(partial: Tensor, shape: Shape) -> Tensor:
    """float32 [B, D (d + 1)]."""
    if shape.splits == 1:
        return partial[:, 0]
    entries = partial.shape[2]
    state = torch.empty((shape.batch, entries), dtype=torch.float32, device=partial.device)
    kernels.reduce_kernel[(-(-entries // 256), shape.batch)](partial, state, entries, shape.splits, BLOCK=256)
    return state


def _partial(shape: Shape, like: Tensor) -> Tensor:
    entries = shape.width * (shape.head + 1)
    return torch.empty((shape.batch, shape.splits, entries), dtype=torch.float32, device=like.device)


def state_of(
    key: Tensor, value: Tensor, scale: Tensor | None, weight: Tensor | None, shape: Shape, plan: Plan
) -> Tensor:  # fmt: skip
    """float32 [B, D (d + 1)]: sums over the tokens, with the magnitudes of the key's weights in them."""
    partial = _partial(shape, key)
    kernels.state_kernel[(shape.groups, shape.splits, shape.batch)](
        key, value, scale, weight, partial, key.stride(0), key.stride(1), value.stride(0), value.stride(1),
        shape.tokens, shape.width, shape.chunk, shape.splits, **_blocks(shape, plan),
    )  # fmt: skip
    return _reduced(partial, shape)


def output_of(query: Tensor, weight: Tensor | None, state: Tensor, epsilon: float, shape: Shape, plan: Plan) -> Tensor:
    """[B, N, D]."""
    out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
    kernels.out_kernel[(shape.groups, shape.splits, shape.batch)](
        query, weight, state, out, query.stride(0), query.stride(1), shape.tokens, shape.width, epsilon, shape.chunk,
        **_blocks(shape, plan),
    )  # fmt: skip
    return out


def query_gradient(
    gradient: Tensor, query: Tensor, weight: Tensor | None, state: Tensor, epsilon: float, shape: Shape, plan: Plan
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """([B, N, D], float32 [B, D (d + 1)]): of the query, and of the state times the query's weights' magnitudes."""
    found, partial = torch.empty(query.shape, dtype=query.dtype, device=query.device), _partial(shape, query)
    kernels.query_gradient_kernel[(shape.groups, shape.splits, shape.batch)](
        gradient.contiguous(), query, weight, state, found, partial, query.stride(0), query.stride(1), shape.tokens,
        shape.width, epsilon, shape.chunk, shape.splits, **_blocks(shape, plan, backward=True),
    )  # fmt: skip
    return found, _reduced(partial, shape)


def key_value_gradients(
    key: Tensor, value: Tensor, scale: Tensor | None, weight: Tensor | None, slopes: Tensor, shape: Shape, plan: Plan
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """[B, N, D] each, from the state's gradient float32 [B, D (d + 1)]."""
    to_key, to_value = (torch.empty(each.shape, dtype=each.dtype, device=each.device) for each in (key, value))
    along = None
    if scale is not None:
        along = torch.empty((shape.batch, shape.tokens, shape.groups), dtype=torch.float32, device=key.device)
    kernels.key_gradient_kernel[(shape.groups, shape.splits, shape.batch)](
        key, value, scale, weight, slopes, to_key, to_value, along, key.stride(0), key.stride(1), value.stride(0),
        value.stride(1), shape.tokens, shape.width, shape.groups, shape.chunk, **_blocks(shape, plan, backward=True),
    )  # fmt: skip
    if scale is not None:
        kernels.norm_gradient_kernel[(-(-shape.tokens // _ROWS), shape.batch)](
            key, scale, along, to_key, key.stride(0), key.stride(1), shape.tokens, shape.width, shape.groups,
            BLOCK_T=_ROWS, BLOCK_G=1 << (shape.groups - 1).bit_length(), BLOCK_C=_row_block(shape.width),
        )  # fmt: skip
    return to_key, to_value
