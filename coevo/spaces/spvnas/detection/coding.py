"""Boxes as differences from anchors (VoxelNet, arXiv 1711.06396, sec. 2.2; SECOND, Sensors 18(10), 2018)."""

from __future__ import annotations

import torch


def encode(boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """[..., 7]: the centre's shift over the anchor's diagonal seen from above (over its height for z), logarithms of
    the ratios of sizes, and the difference of yaws."""
    diagonal = torch.hypot(anchors[..., 3:4], anchors[..., 4:5])
    flat = (boxes[..., :2] - anchors[..., :2]) / diagonal
    rise = (boxes[..., 2:3] - anchors[..., 2:3]) / anchors[..., 5:6]
    sizes = torch.log(boxes[..., 3:6] / anchors[..., 3:6])
    return torch.cat([flat, rise, sizes, boxes[..., 6:] - anchors[..., 6:]], dim=-1)


def decode(residuals: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """The boxes [..., 7] of residuals [..., 7]: the inverse of `encode`."""
    diagonal = torch.hypot(anchors[..., 3:4], anchors[..., 4:5])
    flat = residuals[..., :2] * diagonal + anchors[..., :2]
    rise = residuals[..., 2:3] * anchors[..., 5:6] + anchors[..., 2:3]
    sizes = torch.exp(residuals[..., 3:6]) * anchors[..., 3:6]
    return torch.cat([flat, rise, sizes, residuals[..., 6:] + anchors[..., 6:]], dim=-1)
