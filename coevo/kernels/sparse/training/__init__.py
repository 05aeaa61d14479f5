"""Training of networks over sparse tensors."""

from coevo.kernels.sparse.training.batch import PaddedBatch
from coevo.kernels.sparse.training.loss import cross_entropy
from coevo.kernels.sparse.training.step import TrainingStep

__all__ = ["PaddedBatch", "TrainingStep", "cross_entropy"]
