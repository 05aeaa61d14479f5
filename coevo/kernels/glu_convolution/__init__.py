"""The middle of a Mix-FFN: SiLU, depthwise 3x3 convolution and gated linear unit in one pass."""

from coevo.kernels.glu_convolution.convolution import glu_convolution

__all__ = ["glu_convolution"]
