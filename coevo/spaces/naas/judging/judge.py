"""What judges a design: by lower bounds, by the best mappings found, and by accuracy where the network is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coevo.cost_models.accelerator import Layer, tables_of
from coevo.cost_models.accelerator.bounds import compulsory_bounds
from coevo.errors import EvaluatorError
from coevo.hardware.accelerators import Accelerator
from coevo.search.canonical import canonical, text
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.judging.costs import NetworkCost, geometric_mean, total
from coevo.spaces.naas.judging.mapped import mapped_layers
from coevo.spaces.naas.setting import Setting

COSTS = {"edp_js": "J s", "energy_mj": "mJ", "latency_ms": "ms", "mac_units": "units", "on_chip_kib": "KiB"}
ACCURACY = {"accuracy": "share", "network_macs": "MACs"}


class CoJudge(Evaluator):
    """Energy, latency and their product of the networks on a chip, geometric means where there are several (NAAS,
    section 2.4); accuracy of the network where it is searched. A subclass says what a layer costs."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self.metrics = COSTS | (ACCURACY if setting.scale is not None else {})
        self._accuracy: Any = None

    def setup(self, context: Context) -> None:
        elastic, scale = self.setting.options.elastic, self.setting.scale
        if elastic is None or scale is None or self.setting.table is not None:
            return
        from coevo.spaces.naas.network.accuracy import SupernetAccuracy

        self._accuracy = SupernetAccuracy(
            context.artifact("supernet"), elastic.family, scale, self.setting.images, elastic.validation_images
        )

    def cache_key(self, value: CoDesign) -> str:
        """Equal for answers that decode to the same chip and network."""
        network = None
        if value.network is not None:
            from coevo.spaces.naas.network.keys import network_key

            network = network_key(value.network)
        return text(canonical([value.hardware.as_json(), network, value.accuracy]))

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return [self.judge(candidate.value, context) for candidate in candidates]

    def judge(self, design: CoDesign, context: Context) -> Outcome:
        template = self.setting.template
        chip = template.accelerator(design.hardware)
        costs: list[NetworkCost] = []
        for name, runs in self.setting.runs(design).items():
            found = self.layer_costs(design, chip, [layer for layer, _ in runs], context)
            for entry in found:
                if "misfit" in entry:
                    return Outcome.failed(f"{name}: {entry['misfit']}")
            costs.append(total(chip, [repeats for _, repeats in runs], found))
        metrics = {
            "edp_js": geometric_mean(cost.edp_js for cost in costs),
            "energy_mj": geometric_mean(cost.energy_pj * 1e-9 for cost in costs),
            "latency_ms": geometric_mean(cost.latency_ms for cost in costs),
            "mac_units": float(chip.mac_units),
            "on_chip_kib": template.on_chip_bytes(design.hardware) / 1024.0,
        }
        if design.network is not None:
            metrics |= {"accuracy": self._accuracy_of(design, context), "network_macs": float(design.network.macs)}
        return Outcome(metrics)

    def layer_costs(
        self, design: CoDesign, chip: Accelerator, layers: Sequence[Layer], context: Context
    ) -> list[Mapping[str, Any]]:
        """energy_pj and cycles of each layer, or its misfit."""
        raise NotImplementedError

    def _accuracy_of(self, design: CoDesign, context: Context) -> float:
        if design.accuracy is not None:
            return design.accuracy
        if self._accuracy is None:
            raise EvaluatorError("the supernet was not loaded; a study calls setup before it evaluates")
        found: float = self._accuracy.of(design.network, context)
        return found


class BoundJudge(CoJudge):
    """Costs that no mapping undercuts: every word moves once, every MAC unit works. No mapping is searched."""

    id, version = "naas-bounds", "1"

    def layer_costs(
        self, design: CoDesign, chip: Accelerator, layers: Sequence[Layer], context: Context
    ) -> list[Mapping[str, Any]]:
        bounds = [
            compulsory_bounds(tables_of(layer, chip, self.setting.assumptions), chip.clock_mhz) for layer in layers
        ]
        return [{"energy_pj": bound.energy_pj, "cycles": bound.cycles} for bound in bounds]


class ChipJudge(CoJudge):
    """Costs by the best mapping that was found for each layer; searched once a study for each (chip, layer shape)."""

    id, version = "naas-chip", "1"

    def layer_costs(
        self, design: CoDesign, chip: Accelerator, layers: Sequence[Layer], context: Context
    ) -> list[Mapping[str, Any]]:
        options = self.setting.options
        settings = [options.goal, options.mapper, options.mapping_encoding, options.mapping_evaluations]
        keys = [[design.hardware.as_json(), list(layer.shape), settings] for layer in layers]

        def compute(missing: list[int], seeds: list[int]) -> list[Any]:
            return mapped_layers([layers[position] for position in missing], chip, self.setting, seeds)

        return context.memo_many(keys, compute)
