"""Files of the KITTI object benchmark: calibration, labels and results, sweeps, image sets."""
