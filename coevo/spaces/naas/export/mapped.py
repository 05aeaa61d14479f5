"""The mappings that an export holds: those that the search found, found again, and better ones where more effort finds
them, each with the bounds that say how much is left."""

from __future__ import annotations

from dataclasses import dataclass, replace

from coevo.cost_models.accelerator import Layer, Mapping
from coevo.errors import CoevoError
from coevo.hardware.accelerators import Accelerator
from coevo.search.evaluator import Context
from coevo.search.problem import WorkContext
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.judging import ChipJudge
from coevo.spaces.naas.mapper import MappedLayer, map_layer
from coevo.spaces.naas.setting import Setting


@dataclass(frozen=True)
class ExportedLayer:
    """A layer of a network, how often it runs, and its mapping."""

    network: str
    layer: Layer
    repeats: int
    mapped: MappedLayer


def map_for_export(setting: Setting, design: CoDesign, chip: Accelerator, context: WorkContext) -> list[ExportedLayer]:
    """Every layer of every network: the exact mapper's answer, or the search's own where that is better."""
    judge = ChipJudge(setting)
    again = Context(seed=context.seed, label=judge.label)  # the seeds of the search: its mappings, found again
    layers = [(name, layer, repeats) for name, runs in setting.runs(design).items() for layer, repeats in runs]
    goal = setting.options.goal
    found: list[ExportedLayer] = []
    for done, (name, layer, repeats) in enumerate(layers):
        context.progress(done, len(layers), f"mapping {name} {layer.name}")
        entry = judge.layer_costs(design, chip, [layer], again)[0]
        if "misfit" in entry:
            raise CoevoError(f"{name}: {entry['misfit']}")
        mapped = map_layer(
            layer,
            chip,
            setting.assumptions,
            goal=goal,
            method="exact",
            seconds=setting.options.export_seconds,
            seed=context.seed,
        )
        if _value(goal, entry["energy_pj"], entry["cycles"]) < _value(goal, mapped.energy_pj, mapped.cycles):
            seconds = entry["cycles"] / (chip.clock_mhz * 1e6)
            mapped = replace(
                mapped,
                mapping=Mapping.from_json(entry["mapping"], chip),
                energy_pj=entry["energy_pj"],
                cycles=entry["cycles"],
                latency_ms=seconds * 1e3,
                edp_js=entry["energy_pj"] * 1e-12 * seconds,
            )
        found.append(ExportedLayer(name, layer, repeats, mapped))
    return found


def _value(goal: str, energy_pj: float, cycles: float) -> float:
    return {"edp": energy_pj * cycles, "energy": energy_pj, "cycles": cycles}[goal]
