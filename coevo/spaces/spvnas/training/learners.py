"""How the gradients of a batch come about: of one network, by a captured step where the device has one."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.spaces.spvnas.data.labels import IGNORED
from coevo.spaces.spvnas.data.voxels import VoxelSample
from coevo.spaces.spvnas.training.recipe import Recipe
from coevo.spaces.spvnas.training.validation import DTYPES, network_input, precise, target

ROOM_SHARES = (1.0, 1.0, 0.85, 0.55, 0.3)
"""Of a batch's most voxels, for strides 1 to 16 of a captured step: half as much again as scans need, or more."""


class Learner(Protocol):
    """Fills the gradients of its network's parameters from a batch, and returns the loss, detached. With a scaler the
    gradients are times its scale."""

    net: nn.Module
    scaler: Any

    def begin(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Called before every update."""

    def __call__(self, sample: VoxelSample, step: int) -> Tensor: ...


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over voxels (or points) that have a class; 0 where none has."""
    total = functional.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")
    return total / (labels != IGNORED).sum().clamp(min=1)


def make_scaler(precision: str, device: torch.device) -> Any:
    """What float16 needs: its smallest gradients would vanish. None for the others."""
    return torch.amp.GradScaler(device.type) if precision == "float16" else None


class PlainLearner:
    """Cross entropy of one network, launched operator by operator."""

    def __init__(self, net: nn.Module, recipe: Recipe, device: torch.device, points: str) -> None:
        self.net, self.precision, self.device, self.points = net, recipe.precision, device, points
        self.scaler = make_scaler(recipe.precision, device)

    def begin(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Nothing."""

    def __call__(self, sample: VoxelSample, step: int) -> Tensor:
        self.net.zero_grad(set_to_none=True)
        x = network_input(sample, self.points)
        with precise(self.precision, self.device):
            logits = self.net(x)
        loss = cross_entropy(logits, target(sample, x))
        scaled(loss, self.scaler).backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class CapturedLearner:
    """The same by one CUDA graph (`coevo.kernels.sparse.training.TrainingStep`)."""

    def __init__(self, net: MinkUNet, recipe: Recipe, device: torch.device) -> None:
        from coevo.kernels.sparse.training import TrainingStep

        self.net: nn.Module = net
        self.scaler = make_scaler(recipe.precision, device)
        rows = recipe.batch * recipe.most_voxels
        dtype = None if recipe.precision == "float32" else DTYPES[recipe.precision]
        self._step = TrainingStep(
            net, cross_entropy, [int(share * rows) for share in ROOM_SHARES], dtype=dtype, scaler=self.scaler,
            ignored=IGNORED,
        )  # fmt: skip

    def begin(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Nothing."""

    def __call__(self, sample: VoxelSample, step: int) -> Tensor:
        return self._step(sample.feats, sample.coords, sample.labels)


def learner_of(net: nn.Module, recipe: Recipe, device: torch.device, points: str) -> Learner:
    """The captured one where the device and the network allow it."""
    if device.type == "cuda" and points != "raw" and isinstance(net, MinkUNet):
        return CapturedLearner(net, recipe, device)
    return PlainLearner(net, recipe, device, points)


def scaled(loss: Tensor, scaler: Any) -> Tensor:
    """The loss to differentiate."""
    found: Tensor = loss if scaler is None else scaler.scale(loss)
    return found
