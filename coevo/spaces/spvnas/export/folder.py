"""The exported folder of a design.

weights.safetensors, backbone.json   the network; `coevo.load(folder)` opens it
card.json                            what it was trained on, scores by class on validation scans, latency, costs
drawing.svg                          its widths beside MinkUNet's
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from coevo.cost_models.point_cloud_latency import Prediction, fingerprint
from coevo.errors import CoevoError
from coevo.search.design import Design
from coevo.search.problem import WorkContext
from coevo.search.space import Space
from coevo.spaces.spvnas.data.labels import CLASSES
from coevo.spaces.spvnas.data.scan import Scan, ScanSource
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.judging.inherited import InheritedScores
from coevo.spaces.spvnas.judging.measured import compile_network, network_ms
from coevo.spaces.spvnas.judging.stages import SUPERNET, TABLE
from coevo.spaces.spvnas.network.capacity import capacity_of
from coevo.spaces.spvnas.network.files import load_network, save_network
from coevo.spaces.spvnas.network.macs import parameters_of, total_macs
from coevo.spaces.spvnas.preparing import recipe_of
from coevo.spaces.spvnas.setting import Setting, sizes_of
from coevo.spaces.spvnas.training.batches import Batches
from coevo.spaces.spvnas.training.learners import learner_of
from coevo.spaces.spvnas.training.loop import train
from coevo.spaces.spvnas.training.parallel import Group
from coevo.spaces.spvnas.training.supernet import load_supernet
from coevo.spaces.spvnas.training.validation import Validation

CARD, DRAWING = "card.json", "drawing.svg"


class Both:
    """Two sources, one after the other."""

    def __init__(self, first: ScanSource, second: ScanSource) -> None:
        self._first, self._second = first, second

    @property
    def source(self) -> str:
        return self._first.source

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, number: int) -> Scan:
        first = len(self._first)
        return self._first[number] if number < first else self._second[number - first]


def export_design(setting: Setting, design: Backbone, context: WorkContext) -> dict[str, float]:
    """Takes the design's weights out of the supernet, trains them on with all training scans, scores them on the
    validation scans, which nothing has seen, and measures latency. Writes the folder; returns the measurements."""
    options, splits, device = setting.options, setting.splits, setting.device()
    points, precision = setting.bounds.points, setting.precision()
    kept: dict[str, Any] = {"voxel_m": options.voxel_m, "points": points, "device": device}
    calibration = Validation(splits.train, range(min(options.calibration_scans, len(splits.train))), **kept)
    supernet = load_supernet(context.artifact(SUPERNET), setting.bounds, device)
    net = InheritedScores(supernet, calibration, precision).extract(design)
    held_out = options.data.protocol == "held-out"
    if options.training.fine_tune_steps:
        taught = Both(splits.train, splits.search) if held_out else splits.train
        recipe = recipe_of(
            setting, options.training.fine_tune_steps, context.seed, options.training.fine_tune_rate
        )  # fmt: skip
        batches = Batches(taught, recipe, threads=options.training.threads)
        net.train()
        train(
            learner_of(net, recipe, device, points), batches, recipe, Group(device=device),
            checkpoint_every=options.training.checkpoint_every, progress=context.progress,
        )  # fmt: skip
        net.eval()
    validation = Validation(splits.validation, **kept)
    scores = validation.score(net, precision)
    timed = validation.samples[: options.latency_scans]
    compiled = compile_network(net, capacity_of(timed, points), setting.dtype())
    times = Prediction.over(network_ms(compiled, timed, points, options.timings))
    from coevo.cost_models.point_cloud_latency import read_table

    sizes = sizes_of(read_table(context.artifact(TABLE)))
    measurements = {
        "miou": scores.miou,
        "legacy_miou": scores.legacy_miou,
        "latency_p50_ms": times.p50_ms,
        "latency_p95_ms": times.p95_ms,
        "gmacs": total_macs(design, sizes) / 1e9,
        "mparams": parameters_of(design) / 1e6,
    }
    data = splits.source
    card = {
        "data": data,
        "protocol": options.data.protocol,
        "validation_scans": len(validation),
        "fine_tune_steps": options.training.fine_tune_steps,
        "supernet_steps": options.training.steps,
        "scores": scores.to_json(CLASSES),
        "latency": {"scans": len(timed), "p50_ms": times.p50_ms, "p95_ms": times.p95_ms, "dtype": str(setting.dtype()),
                    "device": fingerprint(str(device))},
        "gmacs": measurements["gmacs"],
        "mparams": measurements["mparams"],
    }  # fmt: skip
    save_network(net, context.folder, data=data, space=setting.bounds.id, notes={"voxel_m": options.voxel_m})
    from coevo.spaces.spvnas.drawing.network import draw_network

    (context.folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    said = f"the mean of {len(timed)} scans, {data}"
    (context.folder / DRAWING).write_text(draw_network(design, sizes=sizes, frame=said), encoding="utf-8")
    return measurements


def verify_folder(setting: Setting, space: Space, folder: Path) -> list[str]:
    """What is wrong with an exported folder, one sentence a fault; an empty list is good."""
    try:
        document = json.loads(folder.joinpath("design.json").read_text(encoding="utf-8"))
        design: Backbone = space.build(Design.from_json(document))
        net = load_network(folder, space=setting.bounds.id)
        card = json.loads(folder.joinpath(CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError, CoevoError) as error:
        return [f"cannot be read back: {error}"]
    from coevo.spaces.spvnas.network.files import design_of

    faults = []
    if design_of(net) != design:
        faults.append("the network is not that of design.json")
    wrong = [name for name, each in net.state_dict().items() if not bool(torch.isfinite(each.float()).all())]
    if wrong:
        faults.append(f"weights are no numbers: {', '.join(wrong[:3])}")
    if abs(card.get("mparams", 0.0) - parameters_of(design) / 1e6) > 1e-9:
        faults.append(f"{CARD} tells of another number of parameters")
    return faults
