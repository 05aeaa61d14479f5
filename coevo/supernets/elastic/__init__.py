"""Elastic layers: one set of weights of which every subnet uses leading slices (Cai et al. 2020, Once-for-All), and how
they are trained together, sorted and calibrated. Those over sparse tensors stand in modules of their own
(`sparse_convolution`, `row_norm`)."""

from coevo.supernets.elastic.calibration import calibrate
from coevo.supernets.elastic.convolution import ElasticConv2d
from coevo.supernets.elastic.linear import ElasticLinear
from coevo.supernets.elastic.norm import ElasticBatchNorm2d, recording, settled
from coevo.supernets.elastic.slicing import joined_channels, leading

__all__ = [
    "ElasticBatchNorm2d",
    "ElasticConv2d",
    "ElasticLinear",
    "calibrate",
    "joined_channels",
    "leading",
    "recording",
    "settled",
]
