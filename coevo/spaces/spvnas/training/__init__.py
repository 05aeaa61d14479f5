"""Training of networks and of the supernet: recipe, batches, data-parallel steps, checkpoints, scores.

Everything here runs with torch, NumPy and safetensors alone; captured steps on a CUDA device need Triton.
"""

from coevo.spaces.spvnas.training.batches import Batches
from coevo.spaces.spvnas.training.learners import Learner, PlainLearner, learner_of
from coevo.spaces.spvnas.training.loop import Curve, train
from coevo.spaces.spvnas.training.metrics import Confusion, Scores
from coevo.spaces.spvnas.training.parallel import Group
from coevo.spaces.spvnas.training.recipe import Recipe
from coevo.spaces.spvnas.training.validation import Validation

__all__ = [
    "Batches",
    "Confusion",
    "Curve",
    "Group",
    "Learner",
    "PlainLearner",
    "Recipe",
    "Scores",
    "Validation",
    "learner_of",
    "train",
]
