"""Voxels of every stride of a scan: packed keys, one sort, parents."""
