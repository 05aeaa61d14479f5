"""Non-maximum suppression of turned boxes."""

from __future__ import annotations

import numpy as np
import torch

from coevo.spaces.spvnas.detection.overlap import bev_overlaps


def suppress(boxes: torch.Tensor, scores: torch.Tensor, overlap: float, most: int | None = None) -> torch.Tensor:
    """int64: rows of boxes [B, 7] to keep, by falling scores [B], at most `most`. A box goes where one that stays has a
    higher score and shares more than `overlap` (intersection over union seen from above) with it. Of equal scores the
    first row comes first. Waits for the device."""
    order = torch.argsort(scores, descending=True, stable=True)
    ranked = boxes[order]
    clash = (bev_overlaps(ranked, ranked) > overlap).cpu().numpy()
    gone = np.zeros(len(ranked), dtype=bool)
    kept: list[int] = []
    for row in range(len(ranked)):
        if gone[row]:
            continue
        kept.append(row)
        if most is not None and len(kept) == most:
            break
        gone |= clash[row]
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]
