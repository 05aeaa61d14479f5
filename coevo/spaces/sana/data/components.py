"""Connected components of many label images at once, in torch on any device.

Rows fall into runs of equal codes; runs that touch a run of the same code in the next row are joined by hooking the
larger root below the smaller and halving paths, so that a spiral costs a logarithm of its turns.
"""

from __future__ import annotations

import torch
from torch import Tensor


def components(codes: Tensor) -> Tensor:
    """Numbers of the connected components: sets of pixels of one code > 0, joined through 4-neighbours.

    Args:
        codes: int64 [B, H, W] >= 0; 0 is background.

    Returns:
        int64 [B, H, W]: 0 on the background, elsewhere 1, 2, ... over the whole batch, in the order in which the
        components' first pixels stand.
    """
    if not codes.numel():
        return torch.zeros_like(codes)
    begins = torch.ones_like(codes, dtype=torch.bool)
    begins[..., 1:] = codes[..., 1:] != codes[..., :-1]
    runs = begins.flatten().cumsum(dim=0).view_as(codes) - 1
    touching = (codes[:, 1:] == codes[:, :-1]) & (codes[:, 1:] > 0)
    roots = _joined(int(runs[-1, -1, -1]) + 1, runs[:, :-1][touching], runs[:, 1:][touching])
    first = (roots == torch.arange(len(roots), device=roots.device)) & (codes.flatten()[begins.flatten()] > 0)
    return torch.where(codes > 0, first.cumsum(dim=0)[roots[runs]], 0)


def _joined(count: int, first: Tensor, second: Tensor) -> Tensor:
    """The least member of the tree of each of `count` nodes, where first[i] and second[i] are joined; int64 [count]."""
    pairs = torch.stack([first, second])
    roots = torch.arange(count, device=first.device)
    while True:
        low, high = roots[pairs].aminmax(dim=0)
        if torch.equal(low, high):
            return roots
        roots.scatter_reduce_(0, high, low, "amin")
        while True:
            higher = roots[roots]
            if torch.equal(higher, roots):
                break
            roots = higher
