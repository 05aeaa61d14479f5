"""The loop of updates: the same weights whether it was interrupted or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from coevo.errors import CoevoError
from coevo.spaces.spvnas.training.batches import Batches
from coevo.spaces.spvnas.training.learners import Learner
from coevo.spaces.spvnas.training.parallel import Group
from coevo.spaces.spvnas.training.recipe import Recipe
from coevo.supernets.checkpoints import Checkpoints
from coevo.supernets.reproducibility import reproducible, seed_of

Progress = Callable[[float, float, str], None]
Validate = Callable[[], float]
SETTLED = 0.005
"""How far the mIoU may move over the last quarter of a training that counts as finished."""


@dataclass
class Curve:
    """What a training wrote down.

    Attributes:
        losses: (updates done, mean loss since the last entry).
        mious: (updates done, mIoU of a validation, 0 .. 1).
        steps: updates in all.
    """

    steps: int
    losses: list[tuple[int, float]] = field(default_factory=list)
    mious: list[tuple[int, float]] = field(default_factory=list)

    @property
    def finished(self) -> bool | None:
        """Whether the mIoU moved less than 0.5 points over the last quarter; None where nobody validated then."""
        last = [miou for step, miou in self.mious if step >= 0.75 * self.steps]
        return max(last) - min(last) < SETTLED if len(last) >= 2 else None

    def to_json(self) -> dict[str, Any]:
        return {"steps": self.steps, "losses": self.losses, "mious": self.mious, "finished": self.finished}


def train(
    learner: Learner,
    batches: Batches,
    recipe: Recipe,
    group: Group,
    checkpoints: Checkpoints | None = None,
    *,
    checkpoint_every: int = 200,
    validate: Validate | None = None,
    validate_at: Sequence[int] = (),
    progress: Progress = lambda *_: None,
    stop_after: int | None = None,
) -> Curve:
    """Updates the learner's network until recipe.steps are done, from its last checkpoint where there is one.

    Args:
        learner: of a network on the group's device, in training mode.
        checkpoints: where to write; nowhere where it is None.
        validate: gives the mIoU of the network as it is; called by the leading process after the updates of
            `validate_at`.
        stop_after: end, with a checkpoint, after so many updates; the schedule stays that of recipe.steps.

    Raises:
        InputError: the checkpoint is of another training.
        CoevoError: the loss is no number any more.
    """
    net = learner.net
    optimizer = torch.optim.SGD(
        net.parameters(), lr=recipe.learning_rate_per_scan, momentum=recipe.momentum,
        weight_decay=recipe.weight_decay, nesterov=recipe.momentum > 0,
    )  # fmt: skip
    curve, begin = Curve(recipe.steps), 0
    if checkpoints is not None:
        begin, state = checkpoints.load(net, optimizer, learner.scaler)
        curve.losses = [(int(step), float(loss)) for step, loss in state.get("losses", [])]
        curve.mious = [(int(step), float(miou)) for step, miou in state.get("mious", [])]
    group.share([*net.parameters(), *net.buffers()])
    end = recipe.steps if stop_after is None else min(stop_after, recipe.steps)
    total, since = torch.zeros((), device=group.device), 0
    with reproducible(recipe.reproducible):
        for step, sample in zip(range(begin, end), batches.stream(begin, end), strict=True):
            for parameters in optimizer.param_groups:
                parameters["lr"] = recipe.rate(step, batches.scans)
            torch.manual_seed(seed_of(recipe.seed, "step", step, group.rank))  # dropout: nothing to keep over a kill
            learner.begin(step, optimizer)
            total += learner(sample.to(group.device, non_blocking=True), step)
            since += 1
            _update(net, optimizer, learner.scaler, group, recipe.clip)
            done = step + 1
            if validate is not None and done in validate_at and group.leads:
                curve.mious.append((done, validate()))
                net.train()
            if done % checkpoint_every == 0 or done == end:
                loss = float(group.sum(total)) / (since * group.world)
                if not math.isfinite(loss):
                    raise CoevoError(
                        f"the loss became {loss} by update {done}; train with a lower rate, with float32 or bfloat16, "
                        "or with `clip`"
                    )
                curve.losses.append((done, loss))
                total, since = torch.zeros((), device=group.device), 0
                group.share(net.buffers())
                if checkpoints is not None and group.leads:
                    state = {"losses": curve.losses, "mious": curve.mious}
                    checkpoints.save(done, net, optimizer, learner.scaler, state)
                if group.leads:
                    progress(done, recipe.steps, f"loss {loss:.3f}")
        group.wait()
    return curve


def _update(
    net: nn.Module, optimizer: torch.optim.Optimizer, scaler: Any, group: Group, clip: float | None
) -> None:  # fmt: skip
    group.average_gradients(net.parameters())
    if scaler is not None:
        scaler.unscale_(optimizer)
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
