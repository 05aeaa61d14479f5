"""Modules over sparse tensors: convolution, normalisation, pooling; MinkUNet and SPVCNN."""

from coevo.kernels.sparse.modules.activation import ReLU
from coevo.kernels.sparse.modules.batch_norm import BatchNorm
from coevo.kernels.sparse.modules.blocks import ConvBlock, ResidualBlock, concatenate
from coevo.kernels.sparse.modules.conv import Conv3d
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.modules.pooling import AvgPool3d, GlobalAvgPool, GlobalMaxPool, MaxPool3d
from coevo.kernels.sparse.modules.spvcnn import SPVCNN
from coevo.kernels.sparse.modules.state_dict import load_torchsparse

__all__ = [
    "SPVCNN",
    "AvgPool3d",
    "BatchNorm",
    "Conv3d",
    "ConvBlock",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "MaxPool3d",
    "MinkUNet",
    "ReLU",
    "ResidualBlock",
    "concatenate",
    "load_torchsparse",
]
