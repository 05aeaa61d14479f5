"""The inner search: a mapping of each layer, as JSON for the study's memo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coevo.cost_models.accelerator import Layer
from coevo.errors import InputError
from coevo.hardware.accelerators import Accelerator
from coevo.spaces.naas.mapper import map_layer
from coevo.spaces.naas.setting import Setting


def mapped_layers(
    layers: Sequence[Layer], chip: Accelerator, setting: Setting, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """energy_pj, cycles and mapping of each layer, or why it has none: misfit. Each follows from its layer, the
    chip and its seed alone."""
    found: list[dict[str, Any]] = []
    options = setting.options
    for layer, seed in zip(layers, seeds, strict=True):
        try:
            mapped = map_layer(
                layer,
                chip,
                setting.assumptions,
                goal=options.goal,
                method=options.mapper,
                evaluations=options.mapping_evaluations,
                seed=seed,
                certify=False,
                encoding=options.mapping_encoding,
            )
        except InputError as error:  # the layer does not fit this chip
            found.append({"misfit": str(error)})
            continue
        found.append({"energy_pj": mapped.energy_pj, "cycles": mapped.cycles, "mapping": mapped.mapping.as_json(chip)})
    return found
