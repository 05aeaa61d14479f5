"""Energy by level as bars of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coevo.cost_models.accelerator import Evaluation
from coevo.hardware.accelerators import TENSORS, Accelerator
from coevo.spaces.naas.drawing.units import energy_text

Parts = dict[str, float]


def energy_by_level(chip: Accelerator, evaluations: Iterable[tuple[Evaluation, int]]) -> Parts:
    """pJ by part: MACs, every memory, its network, leakage; over evaluations with how often each runs."""
    parts: Parts = {"MAC": 0.0}
    for memory in chip.memories:
        parts[memory.name] = 0.0
        parts[f"{memory.name} network"] = 0.0
    parts["leakage"] = 0.0
    for evaluation, times in evaluations:
        parts["MAC"] += times * evaluation.compute_pj
        parts["leakage"] += times * evaluation.leakage_pj
        for memory in chip.memories:
            parts[memory.name] += times * sum(
                evaluation.accesses[memory.name, tensor].energy_pj for tensor in TENSORS if tensor in memory.keeps
            )
            parts[f"{memory.name} network"] += times * evaluation.network_pj[memory.name]
    return {name: energy for name, energy in parts.items() if energy > 0 or name == "MAC"}


def bar_lines(parts: Mapping[str, float], width: int = 40) -> list[str]:
    """One line a part: its name, a bar, its energy and its share of the whole."""
    whole = sum(parts.values()) or 1.0
    longest = max(parts.values()) or 1.0
    name_width = max(len(name) for name in parts)
    lines = []
    for name, energy in parts.items():
        bar = "█" * max(round(width * energy / longest), 1 if energy > 0 else 0)
        lines.append(f"{name:<{name_width}}  {bar:<{width}}  {energy_text(energy):>8}  {energy / whole:6.1%}")
    return lines
