"""The loop of updates: the same weights whether it was interrupted or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import CoevoError, InputError
from coevo.spaces.sana.training.average import Average
from coevo.spaces.sana.training.batches import Batches
from coevo.spaces.sana.training.learners import Learner
from coevo.spaces.sana.training.recipe import Recipe
from coevo.supernets.checkpoints import Checkpoints
from coevo.supernets.reproducibility import reproducible

Progress = Callable[[int, int, str], None]
LEAST_SCALE = 2.0**-14
"""A GradScaler below this finds no scale at which float16 gradients are finite."""


@dataclass
class Curve:
    """What a training wrote down.

    Attributes:
        steps: updates in all.
        losses: (updates done, mean loss since the last entry).
        validations: (updates done, loss of a validation).
    """

    steps: int
    losses: list[tuple[int, float]] = field(default_factory=list)
    validations: list[tuple[int, float]] = field(default_factory=list)

    def reached(self, loss: float) -> int | None:
        """Updates until a validation was at this loss or below, in a line between validations; None if none was."""
        before: tuple[int, float] | None = None
        for step, found in self.validations:
            if found <= loss:
                if before is None:
                    return step
                return math.ceil(before[0] + (step - before[0]) * (before[1] - loss) / (before[1] - found))
            before = (step, found)
        return None

    def to_json(self) -> dict[str, Any]:
        return {"steps": self.steps, "losses": self.losses, "validations": self.validations}


class NonFiniteLoss(CoevoError):
    """A training's loss became NaN or infinite. `update` says when, counted from 1."""

    def __init__(self, message: str, update: int):
        super().__init__(message)
        self.update = update


def make_optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Of the parameters that have gradients."""
    parameters = [each for each in net.parameters() if each.requires_grad]
    if not parameters:
        raise InputError("nothing to train: no parameter of the model has requires_grad")
    if recipe.optimizer != "adamw":
        from coevo.kernels.came import CAME8bit

        bits = 8 if recipe.optimizer == "came8bit" else 32
        return CAME8bit(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, bits=bits)
    fused = parameters[0].is_cuda
    return torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.99), fused=fused
    )  # fmt: skip


def train(
    learner: Learner,
    batches: Batches,
    recipe: Recipe,
    checkpoints: Checkpoints | None = None,
    *,
    checkpoint_every: int = 100,
    average: Average | None = None,
    validate: Callable[[], float] | None = None,
    validate_at: Sequence[int] = (),
    progress: Progress = lambda *_: None,
    stop_after: int | None = None,
    make: Callable[[nn.Module, Recipe], torch.optim.Optimizer] = make_optimizer,
) -> Curve:
    """Updates the learner's network until recipe.steps are done, from its last checkpoint where there is one.

    Args:
        learner: of a network on its device.
        batches: see `Batches`.
        checkpoints: where to write; nowhere where it is None.
        checkpoint_every: updates between checkpoints, and between looks at the loss: nobody waits for the device in
            between.
        average: of the weights; made by the caller, who reads it afterwards. Expected where recipe.ema is given.
        validate: gives the loss of the network as it is, after the updates of `validate_at` (0 is before the first).
        make: gives the optimiser, where it is none of those that a recipe names.
        stop_after: end, with a checkpoint, after so many updates; the schedule stays that of recipe.steps.

    Raises:
        InputError: the checkpoint is of another training; recipe.ema without `average`, or the other way round.
        NonFiniteLoss: the loss is no number any more. The last checkpoint is of before that, and is left as it is.
    """
    if (recipe.ema is None) != (average is None):
        raise InputError(
            f"recipe.ema is {recipe.ema}: give `average`, an Average of the network, exactly where it is set"
        )
    net = learner.net
    optimizer = make(net, recipe)
    curve, begin = Curve(recipe.steps), 0
    beside = None if average is None else average.tensors
    if checkpoints is not None:
        begin, state = checkpoints.load(net, optimizer, learner.scaler, beside)
        curve.losses = [(int(step), float(loss)) for step, loss in state.get("losses", [])]
        curve.validations = [(int(step), float(loss)) for step, loss in state.get("validations", [])]
    end = recipe.steps if stop_after is None else min(stop_after, recipe.steps)
    validating = set(validate_at) if validate is not None else set()
    if begin == 0 and 0 in validating and validate is not None:
        curve.validations.append((0, _validated(validate, net)))
    device = next(net.parameters()).device
    watch = _Watch(device, recipe.precision)
    net.train()
    with reproducible(recipe.reproducible):
        for step in range(begin, end):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            learner.begin(step, optimizer)
            watch.add(learner(batches(step).to(device), step))
            _update(net, optimizer, learner.scaler, recipe.clip)
            done = step + 1
            if average is not None:
                average.update(net, done)
            ends = done % checkpoint_every == 0 or done == end
            if ends:
                curve.losses.append((done, watch.mean(done, learner.scaler)))
            if done in validating and validate is not None:
                curve.validations.append((done, _validated(validate, net)))
            if ends:
                if checkpoints is not None:
                    state = {"losses": curve.losses, "validations": curve.validations}
                    checkpoints.save(done, net, optimizer, learner.scaler, state, beside)
                progress(done, recipe.steps, f"loss {curve.losses[-1][1]:.4f}")
    return curve


def _validated(validate: Callable[[], float], net: nn.Module) -> float:
    net.eval()
    found = validate()
    net.train()
    return found


def _update(net: nn.Module, optimizer: torch.optim.Optimizer, scaler: Any, clip: float | None) -> None:
    if scaler is not None:
        scaler.unscale_(optimizer)
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()


class _Watch:
    """The mean loss, and the first update whose loss was no number, both on the device until somebody looks."""

    def __init__(self, device: torch.device, precision: str) -> None:
        self._total = torch.zeros((), dtype=torch.float64, device=device)
        self._finite = torch.zeros((), dtype=torch.int64, device=device)
        self._failed = torch.zeros((), dtype=torch.bool, device=device)
        self._count, self._precision = 0, precision

    def add(self, loss: Tensor) -> None:
        self._failed |= ~torch.isfinite(loss)
        self._finite += ~self._failed
        self._total += loss
        self._count += 1

    def mean(self, done: int, scaler: Any) -> float:
        """Since the last look; NonFiniteLoss where one of these losses was no number."""
        total, count, finite = float(self._total), self._count, int(self._finite)
        if finite < count:
            update = done - count + finite + 1
            raise NonFiniteLoss(_explained(total, update, self._precision), update)
        if scaler is not None and scaler.get_scale() < LEAST_SCALE:
            raise NonFiniteLoss(_explained(float("inf"), done, self._precision, "the gradients were"), done)
        self._total.zero_()
        self._finite.zero_()
        self._count = 0
        return total / count


def _explained(loss: float, update: int, precision: str, what: str = "the loss became") -> str:
    begun = f"{what} {loss} at update {update} in {precision}"
    rest = "a checkpoint on disk is of before that"
    if precision == "float16":
        return (
            f"{begun}: float16 overflows at 65504, which the values of a deep transformer reach. Train with "
            f"precision='bfloat16', or 'float32' where the device has no bfloat16 "
            f"(`model.overflow.refuse_overflow` names the layer); {rest}"
        )
    return f"{begun}: train with a lower learning_rate, more warmup_steps or a smaller clip, or with qk_norm; {rest}"
