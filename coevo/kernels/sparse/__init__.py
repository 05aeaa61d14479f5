"""Sparse convolution over voxels: data, coordinates, kernel maps. torch, triton and NumPy alone."""
