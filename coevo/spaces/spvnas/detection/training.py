"""Training a detector: AdamW in one cycle of its rate (SECOND's released recipe), resumable to the same weights."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coevo.errors import ConfigError, CorruptRun, InputError
from coevo.search.canonical import derived_seed
from coevo.spaces.spvnas.data.augment import Augmentation, augment
from coevo.spaces.spvnas.data.files import write_whole
from coevo.spaces.spvnas.data.scan import Scan, ScanSource
from coevo.spaces.spvnas.detection.boxes import check_boxes
from coevo.spaces.spvnas.detection.judging import kitti_type
from coevo.spaces.spvnas.detection.losses import detection_loss
from coevo.spaces.spvnas.detection.network import Detector
from coevo.spaces.spvnas.detection.pasting import ObjectBank, paste
from coevo.spaces.spvnas.detection.targets import Targets, assign

CHECKPOINT = "detector-checkpoint.npz"
_BETAS = (0.95, 0.85)
"""Adam's first, away from and at the highest rate; the second is 0.99."""
_RISE, _BEGIN, _END = 0.4, 0.1, 1e-4
AUGMENTATION = Augmentation(turn_rad=math.pi / 4)
"""SECOND's turns and scales. It also mirrors y and moves each object for itself: not done here. A flip of
`Augmentation` mirrors x too, which is for scans all around."""
Progress = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class Plan:
    """`steps` of `batch` scans; gradients are cut to the norm `clip`; a checkpoint every `checkpoint_steps`."""

    steps: int
    batch: int = 2
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    clip: float = 10.0
    checkpoint_steps: int = 200
    augmentation: Augmentation = AUGMENTATION

    def __post_init__(self) -> None:
        if self.augmentation.polar_mix:
            raise ConfigError("PolarMix cuts through boxes: train detectors with polar_mix = 0")
        if min(self.steps, self.batch, self.checkpoint_steps) < 1 or min(self.learning_rate, self.clip) <= 0:
            raise ConfigError(f"steps, batch and checkpoint_steps must be >= 1, rates and norms positive, got {self}")


def train_detector(
    detector: Detector,
    scans: ScanSource,
    plan: Plan,
    seed: int,
    folder: Path | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress = lambda *_: None,
    bank: ObjectBank | None = None,
) -> list[float]:
    """Trains in place; gives the loss of every step, those before a resumption included.

    Which scans a step has, and how they are turned, follows from (seed, step): a training that was stopped and goes on
    from the checkpoint in `folder` ends with the weights of one that was not; on a CUDA device to within what cuDNN's
    convolutions differ from run to run.

    Args:
        detector: on its device.
        scans: with boxes, of KITTI's or SemanticKITTI's classes.
        folder: of the checkpoint; none is written without one.
        dtype: of autocast: torch.bfloat16, or None for float32.
        bank: objects to paste into the scans (`ObjectBank.of(scans)`); None pastes nothing.

    Raises:
        InputError: no scan, fewer than a batch, one without boxes or with boxes of unknown classes or sizes that are
            not positive, or a checkpoint of another training.
        CorruptRun: a checkpoint that cannot be read.
    """
    if len(scans) < plan.batch:
        raise InputError(f"a batch of {plan.batch} scans is more than the {len(scans)} that train")
    optimiser = torch.optim.AdamW(
        detector.parameters(), plan.learning_rate, betas=(_BETAS[0], 0.99), weight_decay=plan.weight_decay
    )
    identity = _identity(detector, scans, plan, seed, bank)
    losses = _resume(folder, detector, optimiser, identity) if folder is not None else []
    device = detector.anchors.device
    detector.train()
    for step in range(len(losses), plan.steps):
        rate, beta = one_cycle(step, plan.steps, plan.learning_rate)
        for group in optimiser.param_groups:
            group["lr"], group["betas"] = rate, (beta, 0.99)
        batch = [_drawn(scans, plan, seed, step, place, bank) for place in range(plan.batch)]
        targets = [targets_of(detector, scan) for scan in batch]
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            outputs = detector([scan.points for scan in batch])
        parts = detection_loss(outputs.logits, outputs.residuals, outputs.directions, targets)
        optimiser.zero_grad(set_to_none=True)
        parts["total"].backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(detector.parameters(), plan.clip, error_if_nonfinite=True)
        optimiser.step()
        told = {name: float(each.detach()) for name, each in parts.items()}
        losses.append(told["total"])
        if folder is not None and ((step + 1) % plan.checkpoint_steps == 0 or step + 1 == plan.steps):
            _save(folder, detector, optimiser, identity, losses)
        progress(step + 1, plan.steps, told)
    return losses


def targets_of(detector: Detector, scan: Scan) -> Targets:
    """What the detector's anchors are to find in a scan. Boxes of other classes, and those whose middle lies outside
    the grid, are found by none. InputError where the boxes are wrong."""
    where = f"scan {scan.name}"
    if scan.boxes is None:
        raise InputError(f"{where} has no boxes to learn from")
    check_boxes(scan.boxes, scan.box_classes, where=where)
    names = [each.name for each in detector.kinds]
    types = [kitti_type(name, where) for name in scan.box_classes]
    rows = [
        row for row, (box, kind) in enumerate(zip(scan.boxes, types, strict=True))
        if kind in names and detector.grid.holds(*(float(each) for each in box[:3]))
    ]  # fmt: skip
    device = detector.anchors.device
    boxes = torch.from_numpy(np.ascontiguousarray(scan.boxes[rows])).to(device)
    classes = torch.tensor([names.index(types[row]) for row in rows], dtype=torch.int64, device=device)
    return assign(detector.anchors, detector.kinds, boxes, classes)


def one_cycle(step: int, steps: int, highest: float) -> tuple[float, float]:
    """The rate and Adam's first beta of a step (Smith and Topin, arXiv 1708.07120): up from a tenth over two fifths of
    the steps, then down to a ten-thousandth, in half waves; the beta goes the other way."""
    turn = max(1.0, _RISE * steps)
    if step < turn:
        share = 0.5 - 0.5 * math.cos(math.pi * step / turn)
        return highest * (_BEGIN + (1 - _BEGIN) * share), _BETAS[0] + (_BETAS[1] - _BETAS[0]) * share
    share = 0.5 - 0.5 * math.cos(math.pi * (step - turn) / max(1.0, steps - turn))
    return highest * (1 + (_END - 1) * share), _BETAS[1] + (_BETAS[0] - _BETAS[1]) * share


def _drawn(scans: ScanSource, plan: Plan, seed: int, step: int, place: int, bank: ObjectBank | None) -> Scan:
    draw = np.random.Generator(np.random.Philox(derived_seed(seed, "detection batch", step)))
    number = int(draw.choice(len(scans), plan.batch, replace=False)[place])
    turns = np.random.Generator(np.random.Philox(derived_seed(seed, "detection augmentation", step, place)))
    scan = scans[number]
    return augment(scan if bank is None else paste(scan, bank, turns), plan.augmentation, turns)


def _identity(detector: Detector, scans: ScanSource, plan: Plan, seed: int, bank: ObjectBank | None) -> str:
    """What two trainings must share so that one may go on with the other's checkpoint."""
    shapes = {name: list(each.shape) for name, each in detector.state_dict().items()}
    settings = dataclasses.asdict(plan) | {"checkpoint_steps": None}
    told = {"seed": seed, "plan": settings, "scans": [scans.source, len(scans)], "shapes": shapes,
            "grid": dataclasses.asdict(detector.grid), "pasted": bank.told() if bank else None}  # fmt: skip
    return json.dumps(told, sort_keys=True)


def _save(
    folder: Path, detector: Detector, optimiser: torch.optim.Optimizer, identity: str, losses: list[float]
) -> None:
    """One file, whole or not at all."""
    arrays = {f"weight/{name}": each.detach().cpu().numpy() for name, each in detector.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        arrays |= {f"adam/{number}/{name}": torch.as_tensor(each).cpu().numpy() for name, each in state.items()}
    arrays |= {"losses": np.array(losses), "identity": np.frombuffer(identity.encode(), dtype=np.uint8)}
    held = io.BytesIO()
    np.savez(held, **arrays)
    write_whole(folder / CHECKPOINT, held.getvalue())


def _resume(folder: Path, detector: Detector, optimiser: torch.optim.Optimizer, identity: str) -> list[float]:
    """The losses so far; none where there is no checkpoint."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return []
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Any] = {name: file[name] for name in file.files}
        written = arrays.pop("identity").tobytes().decode()
        losses: list[float] = arrays.pop("losses").tolist()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptRun(f"{path}: no whole checkpoint ({error}); remove it to train from the beginning") from None
    if written != identity:
        raise InputError(
            f"{path} is of another training (network, grid, plan, scans or seed differ); take another folder, or "
            "remove it to train from the beginning"
        )
    tensors = {name: torch.from_numpy(each) for name, each in arrays.items()}
    detector.load_state_dict(
        {name.removeprefix("weight/"): each for name, each in tensors.items() if name.startswith("weight/")}
    )
    state: dict[int, dict[str, Any]] = {}
    for name, each in tensors.items():
        if name.startswith("adam/"):
            _, number, label = name.split("/")
            state.setdefault(int(number), {})[label] = each
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return losses
