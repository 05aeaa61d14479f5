"""ReLU linear attention without softmax or order, its queries and keys normalised or not."""

from coevo.kernels.linear_attention.attention import relu_linear_attention

__all__ = ["relu_linear_attention"]
