"""Sparse convolution given a kernel map: forward, gradients, fused epilogues."""
