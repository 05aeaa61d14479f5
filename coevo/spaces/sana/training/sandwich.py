"""Training of a depth supernet: the whole transformer, then sandwiches of it, a smallest subnet and some between.

Every update of the second part trains the largest by the flow's velocity, the others by the same velocity and by what
the largest answers (in-place distillation, Yu and Huang 2019, arXiv 1903.05134, sections 3 and 4), at the same noise
and times.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from coevo.errors import ConfigError
from coevo.spaces.sana.depth.supernet import DepthSupernet, Subnet
from coevo.spaces.sana.flow.objective import draw_times, noisy_latents
from coevo.spaces.sana.flow.schedule import TIMESTEPS
from coevo.spaces.sana.training.batches import Batch
from coevo.spaces.sana.training.captured import CapturedFlowLearner, learner_of
from coevo.spaces.sana.training.learners import FlowLearner, autocast, generator_of, scaled
from coevo.spaces.sana.training.recipe import Recipe
from coevo.supernets.elastic import learn_together, sandwich
from coevo.supernets.reproducibility import seed_of


@dataclass(frozen=True)
class Plan:
    """Of a supernet's training.

    Attributes:
        whole: share of the updates that train the largest alone, after which hidden channels are sorted.
        between: subnets of a later update beside the largest and a smallest.
        velocity: share of the velocity in what the smaller ones learn; the rest is the largest's answer.
    """

    whole: float = 0.25
    between: int = 2
    velocity: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.whole <= 1 or self.between < 0 or not 0 <= self.velocity <= 1:
            raise ConfigError(f"a plan has 0 <= whole <= 1, between >= 0 and 0 <= velocity <= 1, got {self}")


class SandwichLearner(FlowLearner):
    """The gradients of an update, of all its subnets; which they are follows from (seed, step).

    While the largest trains alone its operators are launched together where the device can (`training.captured`).

    Args:
        supernet: on its device, before it is wrapped.
        recipe, null_text: as of a `FlowLearner`.
        plan: see `Plan`.
        prior: weights over 0 [depth] of the blocks that drawn subnets keep, such as their importance; None is all
            alike.
        net: what is trained, called as the supernet is: the supernet itself, or it behind an encoder (`Captioned`).
    """

    def __init__(
        self,
        supernet: DepthSupernet,
        recipe: Recipe,
        plan: Plan | None = None,
        prior: npt.ArrayLike | None = None,
        null_text: tuple[Tensor, Tensor] | None = None,
        net: nn.Module | None = None,
    ) -> None:
        super().__init__(supernet if net is None else net, recipe, null_text)
        self.supernet, self.plan, self.prior = supernet, plan or Plan(), prior
        self._first_sandwich = int(self.plan.whole * recipe.steps)
        alone = learner_of(self.net, dataclasses.replace(recipe, steps=self._first_sandwich), null_text)
        self._captured = alone if isinstance(alone, CapturedFlowLearner) else None

    def begin(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Sorts hidden channels before the first sandwich."""
        if step == self._first_sandwich and step:
            self.supernet.sort_ffn(optimizer)

    def designs(self, step: int) -> list[Subnet]:
        """Of an update: the largest first."""
        supernet = self.supernet
        if step < self._first_sandwich:
            return [supernet.largest]
        rng = np.random.default_rng(seed_of(self.recipe.seed, "subnets", step))
        smallest = supernet.smallest(rng, self.prior)
        return sandwich(supernet.largest, smallest, self.plan.between, lambda: supernet.draw(rng, self.prior))

    def __call__(self, batch: Batch, step: int) -> Tensor:
        if self._captured is not None and step < self._first_sandwich:
            self.supernet.set_design(self.supernet.largest)
            return self._captured(batch, step)
        self._captured = None  # with the memory that its graph holds
        self.net.zero_grad(set_to_none=True)
        generator = generator_of(self.recipe, step, self.device)
        batch = self.dropped(batch, generator)
        x0 = batch.latents
        times = draw_times(batch.size, generator=generator, device=self.device)
        noise = torch.randn(x0.shape, generator=generator, device=self.device).to(x0)
        noisy, target = noisy_latents(x0, noise, times), (noise - x0).float()

        def run(design: Subnet) -> Tensor:
            self.supernet.set_design(design)
            with autocast(self.recipe.precision, self.device):
                velocity: Tensor = self.net(noisy, TIMESTEPS * times, batch.text, batch.text_mask)
            return velocity.float()

        def distil(answer: Tensor, teacher: Tensor) -> Tensor:
            share = self.plan.velocity
            return share * (answer - target).square().mean() + (1 - share) * (answer - teacher).square().mean()

        try:
            return learn_together(
                self.designs(step), run, lambda velocity: (velocity - target).square().mean(), distil=distil,
                scale=lambda loss: scaled(loss, self.scaler),
            )  # fmt: skip
        finally:
            self.supernet.set_design(self.supernet.largest)
