"""A short fine-tune, after which a changed transformer is judged (Sana-1.5, arXiv 2501.18427, 2.2: 100 steps)."""

from __future__ import annotations

from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training.average import Average
from coevo.spaces.sana.training.batches import Batches
from coevo.spaces.sana.training.learners import FlowLearner
from coevo.spaces.sana.training.loop import Curve, train
from coevo.spaces.sana.training.recipe import Recipe


def recover(model: SanaTransformer, batches: Batches, recipe: Recipe) -> Curve:
    """Fine-tunes the model in place; with recipe.ema it ends with the averaged weights.

    Raises:
        NonFiniteLoss: the fine-tune did not survive.
    """
    average = None if recipe.ema is None else Average(model, recipe.ema)
    curve = train(FlowLearner(model, recipe), batches, recipe, average=average)
    if average is not None:
        average.copy_to(model)
    return curve
