"""What the experiments of the search share: scans, a supernet, stand-alone trainings, all in one folder and resumable.

They run with torch, Triton, NumPy and safetensors alone, from a copy of the tree. Scans that train, that judge a
search and that validate are apart: validation scenes have seeds of their own, and the search is judged by the last
tenth of the training scenes, which no weights ever see.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import _bench
import torch

from coevo.search.canonical import stream
from coevo.spaces.spvnas.data.augment import Augmentation
from coevo.spaces.spvnas.data.files import write_whole
from coevo.spaces.spvnas.data.labels import CLASSES
from coevo.spaces.spvnas.data.scan import Scan, ScanSource
from coevo.spaces.spvnas.design import MOST_DEPTH, Backbone, Bounds
from coevo.spaces.spvnas.judging.inherited import InheritedScores
from coevo.spaces.spvnas.network.macs import MapSizes, parameters_of, total_macs
from coevo.spaces.spvnas.network.map_sizes import mean_map_sizes
from coevo.spaces.spvnas.network.static import build_network
from coevo.spaces.spvnas.network.supernet import Supernet
from coevo.spaces.spvnas.training import Batches, Group, Recipe, Scores, Validation, learner_of, train
from coevo.spaces.spvnas.training.batches import Kept
from coevo.spaces.spvnas.training.supernet import Plan, SandwichLearner, load_supernet, train_supernet
from coevo.supernets.checkpoints import Checkpoints
from coevo.supernets.reproducibility import seed_of

SMALL = ("bicycle", "motorcycle", "person", "bicyclist", "motorcyclist", "trunk", "pole", "traffic-sign")
"""The classes of small things."""
HELD_OUT = 0.1
CHECKPOINT_EVERY = 100


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The arguments that all have."""
    options = _bench.parser(doc)
    options.add_argument("--folder", type=Path, default=Path("runs/spvnas"), help="checkpoints; go on there")
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--dataset", type=Path, help="SemanticKITTI's `dataset` folder in place of generated scenes")
    options.add_argument("--scenes", type=int, default=150, help="generated for training")
    options.add_argument("--validation-scenes", type=int, default=30)
    options.add_argument("--rare", type=float, default=3.0, help="factor on people, two-wheelers and lorries")
    options.add_argument("--points", default="voxels", choices=("none", "voxels", "raw"))
    options.add_argument("--width", type=float, default=1.0, help="factor on the published bounds of the space")
    options.add_argument("--quantum", type=int, default=16)
    options.add_argument("--voxel-m", type=float, default=0.1, help="0.05 is SPVNAS's; 0.1 has half the voxels")
    options.add_argument("--most-voxels", type=int, default=40_000, help="of a training scan")
    options.add_argument("--batch", type=int, default=2)
    options.add_argument("--supernet-batch", type=int, default=6, help="its updates wait for the host, not the device")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int, default=8, help="that make batches ahead")
    return options


class Work:
    """The scans of an experiment and what is trained on them."""

    def __init__(self, arguments: argparse.Namespace, quiet: bool = False) -> None:
        self.quiet = quiet
        self.arguments, self.device = arguments, torch.device(arguments.device)
        if self.device.type == "cuda":
            self.device = torch.device("cuda", self.device.index or 0)
        self.precision = "bfloat16" if self.device.type == "cuda" else "float32"
        self.bounds = Bounds.scaled(arguments.width, arguments.points, arguments.quantum)
        self.seed: int = arguments.seed
        began = time.perf_counter()
        self.train, self.validation_source = self._sources()
        held = max(1, round(HELD_OUT * len(self.train)))
        self.teaching = list(range(len(self.train) - held))
        self.judging = self.validation(self.train, range(len(self.train) - held, len(self.train)))
        self.validating = self.validation(self.validation_source, range(len(self.validation_source)))
        self.sizes = mean_map_sizes(self.judging.inputs()) if self.bounds.points != "raw" else self._raw_sizes()
        for number in self.teaching:
            self.train[number]
        self.say(f"{len(self.teaching)} scans teach, {len(self.judging)} judge, {len(self.validating)} validate: "
                 f"{self.train.source}; made in {time.perf_counter() - began:.0f} s")  # fmt: skip

    def _sources(self) -> tuple[ScanSource, ScanSource]:
        given = self.arguments
        if given.dataset is not None:
            from coevo.spaces.spvnas.data.semantickitti import SemanticKitti

            return Kept(SemanticKitti(given.dataset, "train")), Kept(SemanticKitti(given.dataset, "val"))
        from coevo.spaces.spvnas.data.generator.source import GeneratedScans

        made: dict[str, Any] = {"seed": given.seed, "device": self.device, "rare": given.rare}
        folder = given.folder / f"scans-{given.seed}-{given.rare:g}"
        return (
            Kept(Stored(GeneratedScans(given.scenes, "train", **made), folder / "train")),
            Kept(Stored(GeneratedScans(given.validation_scenes, "val", **made), folder / "val")),
        )

    def validation(self, source: ScanSource, numbers: Sequence[int]) -> Validation:
        """Scans of this experiment that judge."""
        return Validation(
            source, numbers, voxel_m=self.arguments.voxel_m, points=self.bounds.points, device=self.device
        )  # fmt: skip

    def _raw_sizes(self) -> MapSizes:
        voxels = Validation(self.train, self.judging.numbers, voxel_m=self.arguments.voxel_m, device=self.device)
        found = mean_map_sizes(voxels.inputs())
        points = float(np.mean([len(each.point_coords) for each in self.judging.samples]))
        return dataclasses.replace(found, points=points)

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)

    def recipe(self, steps: int, seed: int, batch: int | None = None) -> Recipe:
        """SPVNAS's, with a gentle start: so few updates bear no rough one."""
        return Recipe(
            steps, batch or self.arguments.batch, warmup_steps=max(1, steps // 20), voxel_m=self.arguments.voxel_m,
            most_voxels=self.arguments.most_voxels, precision=self.precision, clip=10.0, seed=seed,
            augmentation=Augmentation(flip=True),
        )  # fmt: skip

    def costs(self, design: Backbone) -> dict[str, float]:
        return {"gmacs": total_macs(design, self.sizes) / 1e9, "mparams": parameters_of(design) / 1e6}

    def supernet(self, steps: int) -> InheritedScores:
        """Trained, or as it was trained before in this folder."""
        folder = self.arguments.folder / f"supernet-{self.seed}"
        began = time.perf_counter()
        recipe = self.recipe(steps, self.seed, self.arguments.supernet_batch)
        path, curve = train_supernet(
            self.bounds, self.train, recipe, Plan(), folder, Group(device=self.device), numbers=self.teaching,
            threads=self.arguments.threads, checkpoint_every=CHECKPOINT_EVERY,
            progress=lambda done, total, text: self.say(
                f"supernet {done:.0f}/{total:.0f}: {text}, {time.perf_counter() - began:.0f} s"
            ),
        )  # fmt: skip
        self.supernet_curve = curve.to_json()
        calibration = self.validation(self.train, self.teaching[: min(12, len(self.teaching))])
        return InheritedScores(load_supernet(path, self.bounds, self.device), calibration, self.precision)

    def standalone(self, name: str, design: Backbone, steps: int, seed: int) -> dict[str, Any]:
        """A network of its own, trained and validated; what was finished before is read back."""
        folder = self.arguments.folder / f"{name}-{seed}"
        recipe = self.recipe(steps, seed)
        identity = {"design": design.to_json(), "recipe": recipe.digest, "data": self.train.source,
                    "scans": len(self.teaching)}  # fmt: skip
        done = folder / "result.json"
        if done.is_file():
            kept = json.loads(done.read_text(encoding="utf-8"))
            if kept["identity"] == json.loads(json.dumps(identity)):
                return dict(kept["found"])
        began = time.perf_counter()
        torch.manual_seed(seed_of(seed, "stand-alone"))
        net = build_network(design).to(self.device).train()
        batches = Batches(self.train, recipe, self.teaching, threads=self.arguments.threads)
        scores: list[Scores] = []

        def validate() -> float:
            scores.append(self.validating.score(net, self.precision))
            return scores[-1].miou

        at = sorted({int(share * steps) for share in (0.75, 0.875, 1.0)})
        curve = train(
            learner_of(net, recipe, self.device, design.points), batches, recipe, Group(device=self.device),
            Checkpoints(folder / "checkpoint", identity), checkpoint_every=CHECKPOINT_EVERY, validate=validate,
            validate_at=at,
        )  # fmt: skip
        if not scores:
            validate()
        found = {
            **summary(scores[-1]), **self.costs(design), "curve": curve.to_json(),
            "seconds": round(time.perf_counter() - began, 1),
        }  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "result.part"
        part.write_text(json.dumps({"identity": identity, "found": found}), encoding="utf-8")
        part.replace(done)
        return found

    def standalone_ahead(
        self, tasks: Sequence[tuple[str, Backbone, int]], processes: int
    ) -> list[subprocess.Popen[Any]]:
        """Processes that train (name, design, steps) side by side, from which `standalone` reads back afterwards. A
        network's update leaves most of a large device idle, and batches are made by the host."""
        given = {key: str(value) if isinstance(value, Path) else value for key, value in vars(self.arguments).items()}
        path = self.arguments.folder / f"tasks-{Path(sys.argv[0]).stem}-{self.seed}.json"
        listed = [{"name": name, "design": design.to_json(), "steps": steps} for name, design, steps in tasks]
        write_whole(path, json.dumps({"arguments": given, "tasks": listed}).encode())
        script = Path(__file__).with_name("standalone.py")
        return [
            subprocess.Popen([sys.executable, str(script), str(path), str(share), str(processes)])
            for share in range(min(processes, len(tasks)))
        ]

    def step_seconds(self, design: Backbone) -> tuple[float, float]:
        """Seconds of an update of the supernet (a sandwich of four) and of a stand-alone network."""
        recipe = self.recipe(20, self.seed)
        batches = Batches(self.train, recipe, self.teaching, threads=self.arguments.threads)
        large = self.recipe(20, self.seed, self.arguments.supernet_batch)
        large_batches = Batches(self.train, large, self.teaching, threads=self.arguments.threads)
        torch.manual_seed(0)
        net = Supernet(self.bounds).to(self.device).train()
        sandwiches = SandwichLearner(net, large, Plan(0.0, 0.0, 2), self.device)
        alone = learner_of(
            build_network(design).to(self.device).train(), recipe, self.device, design.points
        )  # fmt: skip
        return self._seconds(sandwiches, large_batches), self._seconds(alone, batches)

    def _seconds(self, learner: Any, batches: Batches) -> float:
        times = []
        optimizer = torch.optim.SGD(learner.net.parameters(), lr=0.0)
        for step, sample in enumerate(batches.stream(0, 8)):
            began = time.perf_counter()
            float(learner(sample.to(self.device), step))
            optimizer.step()
            times.append(time.perf_counter() - began)
        return float(np.median(times[3:]))


class Stored:
    """A source whose scans are kept in files, so that processes side by side make each only once."""

    def __init__(self, made: ScanSource, folder: Path) -> None:
        self._made, self._folder = made, folder

    @property
    def source(self) -> str:
        return self._made.source

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, number: int) -> Scan:
        path = self._folder / f"{number}.npz"
        if path.is_file():
            with np.load(path) as kept:
                return Scan(
                    kept["points"], kept["labels"], str(kept["name"]), kept["boxes"], tuple(kept["classes"].tolist())
                )
        scan = self._made[number]
        buffer = io.BytesIO()
        np.savez(
            buffer, points=scan.points, labels=scan.labels, name=np.array(scan.name), boxes=scan.boxes,
            classes=np.array(scan.box_classes, dtype=str),
        )  # fmt: skip
        write_whole(path, buffer.getvalue())
        return scan


def summary(scores: Scores) -> dict[str, Any]:
    """mIoU, that of small things, and IoU by class, shares."""
    small = [CLASSES.index(name) for name in SMALL]
    by_class = zip(CLASSES, scores.iou, strict=True)
    iou = {name: None if np.isnan(each) else round(float(each), 4) for name, each in by_class}
    little = scores.miou_of(small)
    return {
        "miou": round(scores.miou, 5),
        "small_miou": None if np.isnan(little) else round(little, 5),
        "legacy_miou": round(scores.legacy_miou, 5),
        "iou": iou,
    }


def spread_designs(bounds: Bounds, count: int, seed: int) -> list[Backbone]:
    """Half of them uniform draws of the space, half of all sizes: each has choices near a share of its own."""
    from coevo.search.space import Space

    space = Space(bounds.id, bounds.build)
    plain = [space.build(space.sample(stream(seed, "plain", number))) for number in range(count - count // 2)]
    rng = np.random.default_rng([seed, 77])
    sized = [_sized(bounds, float(share), rng) for share in np.linspace(0.05, 0.95, count // 2)]
    return [*plain, *sized]


def _sized(bounds: Bounds, share: float, rng: np.random.Generator) -> Backbone:
    def one(choices: Sequence[int]) -> int:
        place = np.clip(share + rng.normal(0, 0.15), 0, 1)
        return choices[round(place * (len(choices) - 1))]

    widths = tuple(one(each) for each in bounds.width_choices)
    transitions = tuple(one(each) for each in bounds.transition_choices)
    depths = tuple(1 + int(rng.random() < share) for _ in transitions)
    assert max(depths) <= MOST_DEPTH
    stages = zip(bounds.middle_choices, depths, strict=True)
    middles = tuple(tuple(one(choices) for _ in range(depth)) for choices, depth in stages)
    return Backbone(widths, depths, middles, transitions, bounds.points)


def kendall(a: Sequence[float], b: Sequence[float]) -> float:
    """Tau-b."""
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    first, second = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    scale = np.sqrt(np.abs(first).sum() * np.abs(second).sum())
    return float((first * second).sum() / scale) if scale else float("nan")


def tau_with_interval(a: Sequence[float], b: Sequence[float], seed: int = 0, draws: int = 2000) -> dict[str, Any]:
    """Tau-b and the 95 % bootstrap interval over designs; None where one side has no differences."""
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    rng = np.random.default_rng(seed)
    found = np.array([kendall(x[chosen], y[chosen]) for chosen in rng.integers(0, len(x), (draws, len(x)))])
    found = found[np.isfinite(found)]
    if not len(found) or not np.isfinite(kendall(x, y)):
        return {"tau": None, "low": None, "high": None, "designs": len(x)}
    low, high = np.percentile(found, [2.5, 97.5])
    return {
        "tau": round(kendall(x, y), 4), "low": round(float(low), 4), "high": round(float(high), 4), "designs": len(x)
    }  # fmt: skip
