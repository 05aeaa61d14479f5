"""Rectified flow: the objective of training, and the solvers that sample.

Time t runs from 0 (data) to 1 (noise); x_t = (1 - t) data + t noise, and the velocity that a model learns is
dx_t / dt = noise - data. Models are told 1000 t.
"""
