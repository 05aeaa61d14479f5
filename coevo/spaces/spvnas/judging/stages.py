"""The ladder's evaluators. Every one gives the same metrics, each as well as it knows them.

macs      closed forms alone: mIoU stands for the rank by MACs, latency is a straight line in MACs
latency   latency by the table; mIoU still by MACs
part      mIoU of the supernet's weights on a part of the scans that judge
whole     mIoU on all of them; latency, and memory on a CUDA device, as measured
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from coevo.cost_models.point_cloud_latency import LatencyTable, Prediction, read_table
from coevo.cost_models.point_cloud_latency.unet import layers_of_unet
from coevo.errors import EvaluatorError
from coevo.search.canonical import canonical, text
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, Resources
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.setting import Setting

METRICS = {
    "miou": "share",
    "latency_p50_ms": "ms",
    "latency_p95_ms": "ms",
    "gmacs": "GMACs",
    "mparams": "million",
    "memory_mib": "MiB",
}
SUPERNET, TABLE = "supernet", "latency_table"


class _Stage(Evaluator):
    metrics = METRICS
    version = "1"

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        on_gpu = setting.options.device.startswith("cuda")
        self.resources = Resources(gpus=1.0 if on_gpu else 0.0)
        self._table: LatencyTable | None = None

    def setup(self, context: Context) -> None:
        self._table = read_table(context.artifact(TABLE))

    def cache_key(self, value: Backbone) -> str:
        return text(canonical(_frozen(value.to_json())))

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return [Outcome(self.judge(candidate.value)) for candidate in candidates]

    def judge(self, design: Backbone) -> dict[str, float]:
        raise NotImplementedError

    @property
    def table(self) -> LatencyTable:
        """The one that was measured. EvaluatorError before `setup`."""
        if self._table is None:
            raise EvaluatorError("the latency table was not read; a study calls setup before it evaluates")
        return self._table

    def closed_forms(self, design: Backbone) -> dict[str, float]:
        """MACs, parameters and memory, the rank by MACs as mIoU, and latency on a line through the smallest and the
        largest design."""
        from coevo.spaces.spvnas.judging.memory import memory_mib
        from coevo.spaces.spvnas.network.macs import parameters_of, total_macs

        bounds, sizes = self.setting.bounds, self.setting.sizes(self.table)
        macs, least, most = (total_macs(each, sizes) for each in (design, bounds.smallest, bounds.largest))
        ends = [self.predicted(each) for each in (bounds.smallest, bounds.largest)]
        along = (macs - least) / max(1, most - least)
        line = {
            name: getattr(ends[0], name) + along * (getattr(ends[1], name) - getattr(ends[0], name))
            for name in ("p50_ms", "p95_ms")
        }
        rank = math.log(macs / least) / math.log(most / least) if most > least else 0.0
        return {
            "miou": rank,
            "latency_p50_ms": line["p50_ms"],
            "latency_p95_ms": line["p95_ms"],
            "gmacs": macs / 1e9,
            "mparams": parameters_of(design) / 1e6,
            "memory_mib": memory_mib(design, sizes, self.setting.dtype().itemsize),
        }

    def predicted(self, design: Backbone) -> Prediction:
        """By the table."""
        return self.table.predict(layers_of_unet(design, design.points))

    def with_table(self, design: Backbone) -> dict[str, float]:
        found = self.predicted(design)
        return self.closed_forms(design) | {"latency_p50_ms": found.p50_ms, "latency_p95_ms": found.p95_ms}


class MacsStage(_Stage):
    """Closed forms alone."""

    id = "spvnas-macs"

    def judge(self, design: Backbone) -> dict[str, float]:
        return self.closed_forms(design)


class LatencyStage(_Stage):
    """Latency by the table."""

    id = "spvnas-latency"

    def judge(self, design: Backbone) -> dict[str, float]:
        return self.with_table(design)


class PartStage(_Stage):
    """mIoU of inherited weights on a part of the scans that judge."""

    id = "spvnas-part"
    whole = False

    def setup(self, context: Context) -> None:
        super().setup(context)
        from coevo.spaces.spvnas.judging.inherited import InheritedScores
        from coevo.spaces.spvnas.training.supernet import load_supernet
        from coevo.spaces.spvnas.training.validation import Validation

        setting = self.setting
        options, splits = setting.options, setting.splits
        bounds, device = setting.bounds, setting.device()
        kept = {"voxel_m": options.voxel_m, "points": bounds.points, "device": device}
        count = len(splits.search) if self.whole else min(options.part_scans, len(splits.search))
        self._judging = Validation(splits.search, range(count), **kept)
        calibration = Validation(splits.train, range(min(options.calibration_scans, len(splits.train))), **kept)
        net = load_supernet(context.artifact(SUPERNET), bounds, device)
        self._inherited = InheritedScores(net, calibration, setting.precision())

    def judge(self, design: Backbone) -> dict[str, float]:
        return self.with_table(design) | {"miou": _number(self._inherited.of(design, self._judging).miou)}


class WholeStage(PartStage):
    """mIoU on all scans that judge; latency and memory as measured on the table's device."""

    id = "spvnas-whole"
    whole = True
    measures_device = True

    def setup(self, context: Context) -> None:
        super().setup(context)
        from coevo.cost_models.point_cloud_latency import fingerprint
        from coevo.spaces.spvnas.network.capacity import capacity_of

        device = self.setting.device()
        self.table.check_device(fingerprint(str(device)))
        self._timed = self._judging.samples[: self.setting.options.latency_scans]
        self._capacity = capacity_of(self._timed, self.setting.bounds.points)

    def judge(self, design: Backbone) -> dict[str, float]:
        from coevo.spaces.spvnas.judging.measured import compile_network, network_ms, peak_memory_mib

        setting = self.setting
        found = super().judge(design)
        net = self._inherited.extract(design)
        compiled = compile_network(net, self._capacity, setting.dtype())
        times = Prediction.over(network_ms(compiled, self._timed, design.points, setting.options.timings))
        found |= {"latency_p50_ms": times.p50_ms, "latency_p95_ms": times.p95_ms}
        if self._timed[0].coords.is_cuda:
            del compiled
            found["memory_mib"] = peak_memory_mib(net, self._timed[0], self._capacity, setting.dtype())
        return found


LADDER: dict[str, type[_Stage]] = {"macs": MacsStage, "latency": LatencyStage, "part": PartStage, "whole": WholeStage}


def _number(value: float) -> float:
    """A part of the scans without any class scores 0."""
    return 0.0 if np.isnan(value) else float(value)


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
