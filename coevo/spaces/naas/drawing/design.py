"""A design for the report: its chip, what its networks cost by level, and the loop nest of the costliest layer."""

from __future__ import annotations

from coevo.cost_models.accelerator import Mapping, evaluate_mapping
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.drawing.array import draw_chip
from coevo.spaces.naas.drawing.bars import energy_by_level
from coevo.spaces.naas.drawing.nest import nest_lines
from coevo.spaces.naas.judging import mapped_layers
from coevo.spaces.naas.setting import Setting


def draw_design(setting: Setting, design: CoDesign) -> str:
    """An `<svg ...>` text. Layers are mapped as the search maps them, with seed 0; where one cannot be mapped, the chip
    is drawn alone and the reason stands below it."""
    chip = setting.template.accelerator(design.hardware)
    runs = [(name, layer, repeats) for name, network in setting.runs(design).items() for layer, repeats in network]
    found = mapped_layers([layer for _, layer, _ in runs], chip, setting, [0] * len(runs))
    for (network, layer, _), entry in zip(runs, found, strict=True):
        if "misfit" in entry:
            return draw_chip(chip, nest=[entry["misfit"]], nest_title=f"{network}: {layer.name} cannot be mapped")
    mappings = [Mapping.from_json(entry["mapping"], chip) for entry in found]
    evaluations = [
        (evaluate_mapping(layer, chip, mapping, setting.assumptions), repeats)
        for (_, layer, repeats), mapping in zip(runs, mappings, strict=True)
    ]
    heaviest = max(range(len(runs)), key=lambda place: evaluations[place][0].energy_pj * evaluations[place][1])
    network, layer, _ = runs[heaviest]
    return draw_chip(
        chip,
        energy_by_level(chip, evaluations),
        nest_lines(layer, chip, mappings[heaviest]),
        f"{network}: {layer.name}, the layer that costs most energy",
    )
