"""Whether anything fits: the smallest tiles against every memory."""

from __future__ import annotations

import numpy as np

from coevo.cost_models.accelerator import Layer
from coevo.errors import InputError
from coevo.hardware.accelerators import TENSORS, Accelerator
from coevo.kernels.mapping_cost import Tables
from coevo.kernels.mapping_cost.footprint import footprint


def refuse_what_never_fits(layer: Layer, accelerator: Accelerator, tables: Tables) -> None:
    """A tile of one step of every loop is the smallest there is: where that does not fit, nothing does."""
    smallest = tables.keeps[1:] * tables.bits[1:]  # one word of every tensor that is kept
    for level, memory in enumerate(accelerator.memories[1:], start=1):
        needed = np.append(smallest[level - 1], smallest[level - 1].sum())
        short = needed - tables.capacity_bits[level]
        for position, what in enumerate((*TENSORS, "one word of each tensor")):
            if short[position] > 0:
                raise InputError(
                    f"layer {layer.name!r} on {accelerator.name}: nothing fits {memory.name}: {what} at the smallest "
                    f"tile need {needed[position] / 8:g} bytes, {short[position] / 8:g} bytes more than "
                    f"{'half of its size, as it is double buffered' if memory.double_buffered else 'it has'}; make it "
                    "larger, or let the tensor pass by"
                )
    total = float((tables.bits[0] * [footprint(tables, tensor, tables.sizes) for tensor in range(3)]).sum())
    if total > tables.capacity_bits[0, 3]:
        over = (total - tables.capacity_bits[0, 3]) / 8
        raise InputError(
            f"layer {layer.name!r} on {accelerator.name}: its tensors exceed {accelerator.memories[0].name}, the "
            f"outermost memory, by {over:g} bytes; give it no size, or a larger one"
        )
