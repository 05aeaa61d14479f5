"""CAME, its first moment in blocks of eight bits or in float32."""

from coevo.kernels.came.optimizer import CAME8bit

__all__ = ["CAME8bit"]
