"""Taking a chip home: every file that a user needs.

accelerator.toml         the chip, as `load_accelerator` reads it
layers.json              by number: network, layer, repeats, energy, cycles, gaps to the bounds
mappings/NNN.json        layer, chip, mapping, assumptions and costs of each, as `interchange.Record` reads it
timeloop/NNN/, accelforge/NNN/   the same for those engines; in refused.txt why, where one cannot say it
nests.txt                every mapping as a loop nest, with its energy by level
drawing.svg              the array, the energy by level, and the loop nest of the layer that costs most
network.json             where the network was searched: its blocks and input size
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

from coevo.cost_models.accelerator import Layer, Mapping, evaluate_mapping
from coevo.cost_models.accelerator.interchange import Record, accelforge, timeloop, timeloop_architecture
from coevo.errors import InputError
from coevo.hardware.accelerators import Accelerator, write_accelerator
from coevo.search.problem import WorkContext
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.drawing.array import draw_chip
from coevo.spaces.naas.drawing.bars import bar_lines, energy_by_level
from coevo.spaces.naas.drawing.nest import nest_lines
from coevo.spaces.naas.export.mapped import ExportedLayer, map_for_export
from coevo.spaces.naas.judging import NetworkCost
from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.setting import Setting

ACCELERATOR, LAYERS, MAPPINGS, NESTS = "accelerator.toml", "layers.json", "mappings", "nests.txt"
DRAWING, NETWORK = "drawing.svg", "network.json"


def export_design(setting: Setting, design: CoDesign, context: WorkContext) -> dict[str, float]:
    """Maps every layer once more with bounds, writes the folder, and returns the measurements."""
    chip = setting.template.accelerator(design.hardware, name="naas_design")
    found = map_for_export(setting, design, chip, context)
    texts = {
        ACCELERATOR: write_accelerator(chip),
        LAYERS: json.dumps([_row(item) for item in found], indent=1) + "\n",
        NESTS: nests_text(setting, chip, found),
        DRAWING: drawing(setting, chip, found),
    }
    if design.network is not None:
        texts[NETWORK] = json.dumps(network_document(design.network), indent=1) + "\n"
    for number, item in enumerate(found):
        record = Record.of(item.layer, chip, item.mapped.mapping, setting.assumptions)
        texts[f"{MAPPINGS}/{number:03d}.json"] = record.write() + "\n"
        texts |= _for_engines(number, item, chip)
    for name, content in texts.items():
        target = context.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
    return measurements(chip, found)


def _for_engines(number: int, item: ExportedLayer, chip: Accelerator) -> dict[str, str]:
    texts: dict[str, str] = {}
    layer, mapping = item.layer, item.mapped.mapping
    for engine, documents in (("timeloop", _timeloop), ("accelforge", accelforge.documents)):
        try:
            files = documents(layer, chip, mapping)
        except InputError as error:  # the engine's format cannot say this chip or layer
            files = {"refused.txt": f"{error}\n"}
        texts |= {f"{engine}/{number:03d}/{name}": content for name, content in files.items()}
    return texts


def _timeloop(layer: Layer, chip: Accelerator, mapping: Mapping) -> dict[str, str]:
    return {
        "architecture.yaml": timeloop_architecture.architecture(chip, layer.bits),
        "problem.yaml": timeloop.problem(layer),
        "mapping.yaml": timeloop.mapping_text(layer, chip, mapping),
    }


def measurements(chip: Accelerator, found: Sequence[ExportedLayer]) -> dict[str, float]:
    """Of each network: energy, latency, their product, and the largest gap that the bounds leave for any layer's."""
    numbers: dict[str, float] = {}
    for network in dict.fromkeys(item.network for item in found):
        mine = [item for item in found if item.network == network]
        cost = NetworkCost(
            math.fsum(item.repeats * item.mapped.energy_pj for item in mine),
            math.fsum(item.repeats * item.mapped.cycles for item in mine),
            chip.clock_mhz,
        )
        numbers[f"{network}_energy_mj"] = cost.energy_pj * 1e-9
        numbers[f"{network}_latency_ms"] = cost.latency_ms
        numbers[f"{network}_edp_js"] = cost.edp_js
        numbers[f"{network}_largest_edp_gap"] = max(_gaps(item)["edp"] for item in mine)
    return numbers


def _gaps(item: ExportedLayer) -> dict[str, float]:
    gaps = item.mapped.gaps
    assert gaps is not None  # an export asks for bounds
    return gaps


def _row(item: ExportedLayer) -> dict[str, Any]:
    return {
        "network": item.network,
        "layer": item.layer.name,
        "repeats": item.repeats,
        "energy_pj": item.mapped.energy_pj,
        "cycles": item.mapped.cycles,
        "gaps": _gaps(item),
        "optimal": item.mapped.optimal,
    }


def network_document(network: NetworkDesign) -> dict[str, Any]:
    return {
        "family": network.family,
        "input_size": network.input_size,
        "places": list(network.places),
        "blocks": [{"kind": type(block).__name__} | dataclasses.asdict(block) for block in network.blocks],
    }


def nests_text(setting: Setting, chip: Accelerator, found: Sequence[ExportedLayer]) -> str:
    blocks = []
    for item in found:
        evaluation = evaluate_mapping(item.layer, chip, item.mapped.mapping, setting.assumptions)
        title = f"{item.network}: {item.layer.name}, {item.repeats} times, {item.mapped.cycles:.0f} cycles each"
        lines = [title, "", *nest_lines(item.layer, chip, item.mapped.mapping), ""]
        blocks.append("\n".join([*lines, *bar_lines(energy_by_level(chip, [(evaluation, 1)])), "", ""]))
    return "\n".join(blocks)


def drawing(setting: Setting, chip: Accelerator, found: Sequence[ExportedLayer]) -> str:
    """The chip with the energy of all networks, and the loop nest of the layer that costs most of it."""
    evaluations = [
        (evaluate_mapping(item.layer, chip, item.mapped.mapping, setting.assumptions), item.repeats) for item in found
    ]
    heaviest = max(found, key=lambda item: item.repeats * item.mapped.energy_pj)
    return draw_chip(
        chip,
        energy_by_level(chip, evaluations),
        nest_lines(heaviest.layer, chip, heaviest.mapped.mapping),
        f"{heaviest.network}: {heaviest.layer.name}, the layer that costs most energy",
    )
