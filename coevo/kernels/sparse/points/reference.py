"""Point operators in plain torch, for any device and dtype; autograd derives their gradients.

Rows that an index of -1 names count as zeros. These are what the kernels are held against.
"""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_gather(features: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """[P, C]: the sum over j of weights[p, j] * features[rows[p, j]].

    Args:
        features: [N, C].
        rows: integers [P, J], -1 for none.
        weights: [P, J].
    """
    found = _padded(features)[rows.long()]
    present = (rows >= 0)[..., None]
    return torch.where(present, found * weights[..., None].to(features.dtype), 0).sum(dim=1)


def segment_sum(source: Tensor, index: Tensor, weights: Tensor | None, num_segments: int, each: int) -> Tensor:
    """[num_segments, C]: entry e adds weights[e] * source[e // each] to row index[e]; -1 adds to none."""
    entries = source.repeat_interleave(each, dim=0) if each > 1 else source
    if weights is not None:
        entries = entries * weights[:, None].to(source.dtype)
    out = torch.zeros((num_segments + 1, source.shape[1]), dtype=source.dtype, device=source.device)
    where = torch.where(index < 0, num_segments, index).long()
    return out.index_add(0, where, entries)[:num_segments]


def neighbour_max(features: Tensor, neighbours: Tensor) -> Tensor:
    """[M, C]: the largest of the rows neighbours [K, M] names, for each channel; 0 where a row has none."""
    found = _padded(features)[neighbours.long()]
    present = (neighbours >= 0)[..., None]
    lowest = torch.finfo(features.dtype).min
    largest = torch.where(present, found, lowest).amax(dim=0)
    return torch.where(present.any(dim=0), largest, 0)


def neighbour_mean(features: Tensor, neighbours: Tensor) -> Tensor:
    """[M, C]: the mean of the rows neighbours [K, M] names; 0 where a row has none."""
    found = _padded(features)[neighbours.long()]
    present = (neighbours >= 0)[..., None]
    total = torch.where(present, found, 0).sum(dim=0)
    return total / present.sum(dim=0).clamp(min=1).to(features.dtype)


def _padded(features: Tensor) -> Tensor:
    """With a last row of zeros, which index -1 then names."""
    return torch.cat([features, features.new_zeros((1, features.shape[1]))])
