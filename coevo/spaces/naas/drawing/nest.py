"""A mapping as a loop nest: the loops at each memory, what runs side by side, what each memory holds and what stays."""

from __future__ import annotations

import numpy as np

from coevo.cost_models.accelerator import Assumptions, Layer, Mapping, tables_of
from coevo.hardware.accelerators import RELEVANT, TENSORS, Accelerator
from coevo.kernels.mapping_cost import count
from coevo.spaces.naas.drawing.units import bytes_text


def nest_lines(layer: Layer, chip: Accelerator, mapping: Mapping) -> list[str]:
    """One line a loop, a memory or an axis, indented as the loops nest; the outermost first."""
    tables = tables_of(layer, chip, Assumptions())
    held = count(tables, mapping.arrays(chip)).tile_words[0]
    lines: list[str] = []
    depth, axis_at = 0, 0
    for level, memory in enumerate(chip.memories):
        kept = [
            f"{tensor} {bytes_text(float(held[level, position] * tables.bits[level, position] / 8))}"
            for position, tensor in enumerate(TENSORS)
            if tensor in memory.keeps
        ]
        lines.append("  " * depth + f"{memory.name} holds {', '.join(kept) or 'nothing'}")
        loops = [(name, bound) for name, bound in mapping.temporal[level] if bound > 1]
        for name, bound in loops:
            lines.append("  " * depth + f"for {name} in {bound}")
            depth += 1
        stays = _stays(loops)
        if stays:
            lines[-1] += f"   ({stays} stay below)"
        for axis in memory.network.axes:
            along = " x ".join(f"{name} {bound}" for name, bound in mapping.spatial[axis_at] if bound > 1) or "nothing"
            used = int(np.prod([bound for _, bound in mapping.spatial[axis_at]], initial=1))
            lines.append("  " * depth + f"side by side along {axis.name}: {along}   ({used} of {axis.size})")
            axis_at += 1
    lines.append("  " * depth + "multiply and add")
    return lines


def _stays(loops: list[tuple[str, int]]) -> str:
    """The tensors that the innermost loop here does not index."""
    if not loops:
        return ""
    return " and ".join(tensor for tensor in TENSORS if loops[-1][0] not in RELEVANT[tensor])
