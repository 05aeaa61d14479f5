"""Elastic layers: one set of weights of which every subnet uses leading slices (Cai et al. 2020, Once-for-All), and how
they are trained together, sorted and calibrated. Those over sparse tensors stand in modules of their own
(`sparse_convolution`, `row_norm`)."""

from coevo.supernets.elastic.calibration import calibrate
from coevo.supernets.elastic.convolution import ElasticConv2d
from coevo.supernets.elastic.linear import ElasticLinear
from coevo.supernets.elastic.norm import ElasticBatchNorm2d, recording, settled
from coevo.supernets.elastic.progressive import ProgressiveDepth
from coevo.supernets.elastic.sandwich import learn_together, sandwich, soft_cross_entropy
from coevo.supernets.elastic.slicing import joined_channels, leading
from coevo.supernets.elastic.sorting import ChannelGroup, Channels, sort_channels

__all__ = [
    "ChannelGroup",
    "Channels",
    "ElasticBatchNorm2d",
    "ElasticConv2d",
    "ElasticLinear",
    "ProgressiveDepth",
    "calibrate",
    "joined_channels",
    "leading",
    "learn_together",
    "recording",
    "sandwich",
    "settled",
    "soft_cross_entropy",
    "sort_channels",
]
