"""Elastic layers: one set of weights of which every subnet uses leading slices (Cai et al. 2020, Once-for-All)."""

from coevo.supernets.elastic.convolution import ElasticConv2d
from coevo.supernets.elastic.linear import ElasticLinear
from coevo.supernets.elastic.norm import ElasticBatchNorm2d, recording, settled

__all__ = ["ElasticBatchNorm2d", "ElasticConv2d", "ElasticLinear", "recording", "settled"]
