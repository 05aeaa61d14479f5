"""Flow losses of designs with inherited weights, and after a short recovery (Sana-1.5, section 2.2): the loss right
after pruning does not rank what comes out of a fine-tune (TinyFusion, arXiv 2412.01199)."""

from __future__ import annotations

import dataclasses

import torch

from coevo.spaces.sana.design import SanaDesign
from coevo.spaces.sana.judging.material import Scenes
from coevo.spaces.sana.judging.painter import Painter
from coevo.spaces.sana.judging.weights import Inherited
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training.batches import Batch
from coevo.spaces.sana.training.captured import learner_of
from coevo.spaces.sana.training.held_out import HeldOutLoss
from coevo.spaces.sana.training.loop import Curve, train
from coevo.spaces.sana.training.recipe import Recipe

WORTH_CAPTURING = 32
"""Updates from which a recovery's operators are launched as one: capturing them takes about five."""


class Losses:
    """Held-out losses of designs, at equal noise and times for all.

    Args:
        net: trained weights.
        painter: whose encoder's features networks read.
        held_out: scenes that nothing was trained on.
        draws: times and noises of each.
    """

    def __init__(self, net: Inherited, painter: Painter, held_out: Scenes, *, draws: int, seed: int) -> None:
        self.net, self.painter = net, painter
        self._loss = HeldOutLoss(
            [with_features(each, painter) for each in held_out.all()], draws=draws, seed=seed,
            precision=painter.precision,
        )  # fmt: skip

    def inherited(self, design: SanaDesign) -> float:
        """With the supernet's weights as they are."""
        return self.of(self.net.extract(design))

    def of(self, model: SanaTransformer) -> float:
        """Of a network."""
        return self._loss(model)


@torch.no_grad()
def with_features(batch: Batch, painter: Painter) -> Batch:
    """A batch of tokens with the encoder's features in their place."""
    return Batch(batch.latents, painter.encoder(batch.text), batch.text_mask)


def recovered(net: Inherited, design: SanaDesign, scenes: Scenes, painter: Painter, recipe: Recipe, batch: int) -> (
    SanaTransformer
):  # fmt: skip
    """The design's network after recipe.steps updates on training scenes, the encoder staying as it is.

    Raises:
        NonFiniteLoss: it did not survive.
    """
    model = net.extract(design)
    if recipe.steps:
        fine_tune(model, scenes, painter, recipe, batch)
    return model


def fine_tune(model: SanaTransformer, scenes: Scenes, painter: Painter, recipe: Recipe, batch: int) -> Curve:
    """Trains a network in place; it ends in evaluation mode."""

    def batches(step: int) -> Batch:
        return with_features(scenes.batch(scenes.rows_of(step, batch, recipe.seed)), painter)

    model.requires_grad_(True)
    null = (painter.null_text, painter.null_mask) if recipe.drop_text else None
    try:
        return train(learner_of(model, recipe, null, WORTH_CAPTURING), batches, recipe)
    finally:
        model.eval().requires_grad_(False)


def recovery_recipe(recipe: Recipe, steps: int, rate: float, seed: int) -> Recipe:
    """The supernet's recipe, shorter: a factor on its learning rate, a tenth of the updates to warm up, down to 0."""
    return dataclasses.replace(
        recipe, steps=steps, learning_rate=recipe.learning_rate * rate, warmup_steps=steps // 10, final_share=0.0,
        seed=seed,
    )  # fmt: skip
