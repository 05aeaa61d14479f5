"""Does a searched backbone detect better than uniformly scaled ones? Detectors after SECOND, equal budgets.

    python experiments/spvnas/detection.py --network searched=out/ --seeds 3 --folder runs/detection --out FILE.json

An arm is a backbone: MinkUNet and SPVCNN at `--ratios`, networks that a search exported (`--network NAME=FOLDER`, with
the weights that they learnt on labels) and designs without weights (`--design NAME=FILE.json`, as `Backbone.to_json`
has them). Each arm has the same grid, proposal network, scenes, steps, batches and seeds; multiplications of the
encoder and parameters stand beside what it found. Average precision is KITTI's; on generated scenes, whose difficulty
is told by points and distance (`coevo/spaces/spvnas/detection/judging.py`), it is no figure of KITTI's. `--kitti
FOLDER` trains on the object benchmark's `ImageSets/train` and judges on `val` instead.

Networks with weights were trained on labels beside: give uniform ones as `--network` too, or take `--scratch`. A run
that was stopped goes on where its `--folder` left it. Needs torch, triton and NumPy alone; `--network` needs
safetensors too.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import _bench  # isort: skip
import torch

from coevo.errors import InputError
from coevo.kernels.sparse.modules import MinkUNet
from coevo.spaces.spvnas.data.augment import Augmentation
from coevo.spaces.spvnas.data.scan import Scan, ScanSource
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.detection.grid import AROUND_GRID, COARSEST, KITTI_GRID, Grid
from coevo.spaces.spvnas.detection.judging import compared
from coevo.spaces.spvnas.detection.kitti.average_precision import LOOSE_OVERLAPS, Report, evaluate
from coevo.spaces.spvnas.detection.kitti.folder import KittiFolder, KittiScans
from coevo.spaces.spvnas.detection.kitti.judging import judge_frames
from coevo.spaces.spvnas.detection.network import Detector, Proposals
from coevo.spaces.spvnas.detection.pasting import ObjectBank
from coevo.spaces.spvnas.detection.training import Plan, train_detector
from coevo.spaces.spvnas.network.macs import MapSizes, macs_of
from coevo.spaces.spvnas.network.map_sizes import map_sizes
from coevo.spaces.spvnas.network.static import build_network

RARE = 3.0
"""So many times the people, cyclists and two-wheelers of an ordinary street: there are few scenes."""
DOWN = re.compile(r"stem|stage|point_transforms\.0")
Arm = tuple[Backbone, Callable[[], MinkUNet]]


class Held:
    """Scans in memory, with words on what they are."""

    def __init__(self, source: str, scans: Sequence[Scan]) -> None:
        self.source, self._scans = source, scans

    def __len__(self) -> int:
        return len(self._scans)

    def __getitem__(self, number: int) -> Scan:
        return self._scans[number]


def generated(split: str, count: int, device: str) -> Held:
    """A sweep each of `count` scenes."""
    from coevo.spaces.spvnas.data.generator.source import GeneratedScans

    scans = GeneratedScans(count, split, device=device, rare=RARE)
    return Held(scans.source, [scans[number] for number in range(count)])


def main(given: Sequence[str] | None = None) -> int:
    arguments = options().parse_args(given)
    torch.set_float32_matmul_precision("high")
    result = _bench.Result("spvnas_detection", packages=("torch", "triton"))
    arms, grid = arms_of(arguments), grid_of(arguments)
    proposals = Proposals((arguments.layers,) * 2, (arguments.channels, 2 * arguments.channels), 2 * arguments.channels)
    training, validation, held = data_of(arguments)
    bank = ObjectBank.of(training) if arguments.paste else None
    result.settings = {
        "arms": {name: design.to_json() for name, (design, _) in arms.items()},
        "training": [training.source, len(training)],
        "validation": [validation.source, len(validation)],
        "grid": vars(grid),
        "proposals": vars(proposals),
        "pasted": bank.told() if bank else None,
        "steps": arguments.steps,
        "batch": arguments.batch,
        "seeds": arguments.seeds,
        "device": _bench.gpu() if arguments.device == "cuda" else "cpu",
    }
    sizes: dict[bool, MapSizes] = {}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    for seed in range(arguments.seeds):
        for name, (design, build) in arms.items():
            torch.manual_seed(seed)
            detector = Detector(build(), grid, proposals=proposals).to(arguments.device)
            raw = detector.encoder.takes_points
            if raw not in sizes:
                sizes[raw] = sizes_of(detector, validation)
            rows[name].append(
                one(arguments, detector, design, sizes[raw], name, seed, training, validation, held, bank)
            )
            result.measurements = {"by_arm": rows}
            result.keep(arguments)
    baselines = [name for name in arms if name.startswith("uniform ")]
    for name in arms:
        print(_bench.table((name, "mean over seeds"), [(k, v) for k, v in means(rows[name]).items()]))
    for name in arms:
        if name in baselines:
            continue
        for other in baselines:
            apart = [a["mean"] - b["mean"] for a, b in zip(rows[name], rows[other], strict=True)]
            result.bars.append(_bench.above_zero(f"mean AP from above of {name} over {other}", apart, "points"))
    code = result.finish(arguments)
    return code if result.bars else 0


def options() -> argparse.ArgumentParser:
    found = _bench.parser(__doc__)
    found.add_argument("--ratios", type=numbers, default=(0.5,), help="of the uniform arms, with commas")
    found.add_argument("--points", default="none,voxels", help="point branches of the uniform arms, with commas")
    found.add_argument("--network", action="append", default=[], metavar="NAME=FOLDER")
    found.add_argument("--design", action="append", default=[], metavar="NAME=FILE")
    found.add_argument("--scratch", action="store_true", help="draw the weights of `--network` anew")
    found.add_argument("--kitti", type=Path, metavar="FOLDER", help="train and judge on the object benchmark")
    found.add_argument("--training", type=int, default=300, help="generated scenes that train")
    found.add_argument("--validation", type=int, default=60)
    found.add_argument("--paste", action="store_true", help="paste objects of other scans into those that train")
    found.add_argument("--steps", type=int, default=2000)
    found.add_argument("--batch", type=int, default=2)
    found.add_argument("--seeds", type=int, default=1)
    found.add_argument("--half-width-m", type=float, default=AROUND_GRID.x_m[1], help="of the square of the scenes")
    found.add_argument("--voxel-m", type=float, default=AROUND_GRID.voxel_m)
    found.add_argument("--channels", type=int, default=128, help="of the proposal network's first half")
    found.add_argument("--layers", type=int, default=5, help="of each of its halves")
    found.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    found.add_argument("--folder", type=Path, help="for checkpoints")
    return found


def grid_of(arguments: argparse.Namespace) -> Grid:
    """KITTI's, or a square around the sensor, as high as `AROUND_GRID` and up to whole coarsest voxels."""
    if arguments.kitti:
        return KITTI_GRID
    wide, (low, high), side = arguments.half_width_m, AROUND_GRID.z_m, COARSEST * arguments.voxel_m
    layers = math.ceil(round((high - low) / side, 6))
    return Grid((-wide, wide), (-wide, wide), (low, low + layers * side), arguments.voxel_m)


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(each) for each in text.split(","))


def arms_of(arguments: argparse.Namespace) -> dict[str, Arm]:
    found: dict[str, Arm] = {}
    for points in arguments.points.split(","):
        for ratio in arguments.ratios:
            design = Backbone.uniform(ratio, points)
            kind = "MinkUNet" if points == "none" else "SPVCNN" if points == "voxels" else "SPVCNN, raw points,"
            found[f"uniform {kind} {ratio:g}"] = (design, lambda design=design: build_network(design, 1))
    for text in arguments.design:
        name, path = named(text)
        design = Backbone.from_json(json.loads(path.read_text(encoding="utf-8")))
        found[name] = (design, lambda design=design: build_network(design, 1))
    for text in arguments.network:
        from coevo.spaces.spvnas.network.files import design_of, load_network

        name, path = named(text)
        design = design_of(load_network(path))
        anew = (lambda design=design: build_network(design, 1)) if arguments.scratch else None
        found[name] = (design, anew or (lambda path=path: load_network(path)))
    return found


def named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not Path(path).exists():
        raise InputError(f"expected NAME=PATH with a path that exists, got {text!r}")
    return name, Path(path)


def data_of(arguments: argparse.Namespace) -> tuple[ScanSource, ScanSource, KittiFolder | None]:
    if arguments.kitti:
        held = KittiFolder(arguments.kitti)
        return KittiScans(held, "train"), KittiScans(held, "val"), held
    begun = time.perf_counter()
    training = generated("train", arguments.training, arguments.device)
    validation = generated("val", arguments.validation, arguments.device)
    print(f"{len(training)} + {len(validation)} scenes in {time.perf_counter() - begun:.1f} s", flush=True)
    return training, validation, None


def sizes_of(detector: Detector, scans: ScanSource) -> MapSizes:
    """Mean sizes of the maps of a few scans within the grid."""
    found = []
    for number in range(0, len(scans), max(1, len(scans) // 8)):
        clouds = [scans[number].points]
        points = len(detector.points(clouds).feats) if detector.encoder.takes_points else None
        found.append(map_sizes(detector.voxels(clouds), points))
    return MapSizes.mean(found)


def one(
    arguments: argparse.Namespace, detector: Detector, design: Backbone, sizes: MapSizes, name: str, seed: int,
    training: ScanSource, validation: ScanSource, held: KittiFolder | None, bank: ObjectBank | None,
) -> dict[str, Any]:  # fmt: skip
    begun = time.perf_counter()
    dtype = torch.bfloat16 if arguments.device == "cuda" else None
    turn = Augmentation(turn_rad=3.14159, flip=True) if held is None else Augmentation(turn_rad=0.7854)
    folder = arguments.folder and arguments.folder / f"{re.sub('[^A-Za-z0-9.]+', '_', name)}-{seed}"
    plan = Plan(arguments.steps, arguments.batch, augmentation=turn)
    every = max(1, arguments.steps // 10)

    def told(step: int, steps: int, parts: dict[str, float]) -> None:
        if step % every == 0 or step == steps:
            spent = time.perf_counter() - begun
            print(f"{name}, seed {seed}: step {step} of {steps}, loss {parts['total']:.3f}, {spent:.0f} s", flush=True)

    losses = train_detector(detector, training, plan, seed, folder, dtype, told, bank)
    trained = time.perf_counter() - begun
    row: dict[str, Any] = {"training_s": round(trained, 1)}
    if held is None:
        truths, found = compared(detector, validation, dtype=dtype)
        row["strict"] = precisions(evaluate(truths, found))
        row["loose"] = precisions(evaluate(truths, found, overlaps=LOOSE_OVERLAPS))
    else:
        results = None if folder is None else folder / "results"
        row["strict"] = precisions(judge_frames(detector, held, held.names("val"), None, dtype, results))
    moderate = [kind["bev"]["moderate"]["ap_40"] for kind in row["strict"].values()]
    known = [each for each in moderate if each is not None]
    row |= {
        "mean": statistics.fmean(known) if known else 0.0,
        "last_quarter_loss": statistics.fmean(losses[-max(1, len(losses) // 4) :]),
        "encoder_parameters": sum(each.numel() for each in detector.encoder.parameters()),
        "parameters": sum(each.numel() for each in detector.parameters()),
    }
    counted = macs_of(design, sizes)
    row["encoder_gmacs"] = sum(each for layer, each in counted.items() if DOWN.match(layer)) / 1e9
    return row


def precisions(report: Report) -> dict[str, Any]:
    """JSON of a report; None where no truth counts."""

    def number(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 3)

    return {
        kind: {
            metric: {
                level: {"ap_11": number(each.ap_11), "ap_40": number(each.ap_40), "truths": each.truths}
                for level, each in levels.items()
            }
            for metric, levels in metrics.items()
        }
        for kind, metrics in report.items()
    }


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """What people read: AP|R40 from above and in space, moderate, by class."""
    found = {}
    for part in ("strict", "loose"):
        for kind, metrics in rows[0].get(part, {}).items():
            for metric in metrics:
                values = [row[part][kind][metric]["moderate"]["ap_40"] for row in rows]
                if None not in values:
                    found[f"{kind} {metric} {part}"] = statistics.fmean(values)
    for name in ("mean", "encoder_gmacs", "encoder_parameters", "training_s"):
        if name in rows[0]:
            found[name] = statistics.fmean(row[name] for row in rows)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
