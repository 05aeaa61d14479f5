"""What leaving blocks out costs before any recovery, by number of blocks: the pruning curve of a trained network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coevo.spaces.sana.depth.importance import importances
from coevo.spaces.sana.depth.masks import uniform_keep
from coevo.spaces.sana.depth.pruning import most_important
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training.batches import Batch
from coevo.spaces.sana.training.held_out import HeldOutLoss

SIZES = 7
"""Numbers of blocks that are looked at, at most."""
IMPORTANCE = {"cosine": "block importance (cosine)", "leave_one_out": "loss without each block"}
EVENLY = "at even distances"

Curves = dict[str, list[tuple[int, float]]]


def pruning_curves(model: SanaTransformer, batches: Sequence[Batch], least: int, precision: str = "float32") -> Curves:
    """(kept blocks, held-out flow loss) with inherited weights, by what chose the blocks.

    Args:
        model: of full depth, in evaluation mode.
        batches: held-out images with the text's features, on its device.
        least: blocks that stay at least.
    """
    depth = len(model.blocks)
    sizes = sorted({round(each) for each in np.linspace(least, depth, SIZES)})
    scores, loss = importances(model, batches, tuple(IMPORTANCE)), HeldOutLoss(batches, precision=precision)
    masks = {name: [most_important(scores[kind], kept) for kept in sizes] for kind, name in IMPORTANCE.items()}
    masks[EVENLY] = [uniform_keep(depth, kept) for kept in sizes]
    return {name: [(sum(keep), loss(model, keep)) for keep in keeps] for name, keeps in masks.items()}
