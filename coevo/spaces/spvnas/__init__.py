"""Networks over the voxels and points of LiDAR scans, searched by evolution under measured latency (SPVNAS, ECCV 2020,
arXiv 2007.16100)."""
