"""Training of Sana's transformer by rectified flow: recipe, batches, the loop, checkpoints, short recoveries.

Everything here runs with torch and NumPy alone; checkpoints need safetensors.
"""

from coevo.spaces.sana.training.average import Average
from coevo.spaces.sana.training.batches import Batch, Batches, Drawn, in_parts
from coevo.spaces.sana.training.captioned import Captioned
from coevo.spaces.sana.training.held_out import HeldOutLoss
from coevo.spaces.sana.training.learners import FlowLearner, Learner
from coevo.spaces.sana.training.loop import Curve, NonFiniteLoss, train
from coevo.spaces.sana.training.recipe import Recipe
from coevo.spaces.sana.training.recovery import recover
from coevo.spaces.sana.training.sandwich import Plan, SandwichLearner

__all__ = [
    "Average",
    "Batch",
    "Batches",
    "Captioned",
    "Curve",
    "Drawn",
    "FlowLearner",
    "HeldOutLoss",
    "Learner",
    "NonFiniteLoss",
    "Plan",
    "Recipe",
    "SandwichLearner",
    "in_parts",
    "recover",
    "train",
]
