"""Latency of a network over point clouds from a table of measured layers and the cost of coordinate maps.

    latency(network, scan) = scale * (maps(scan) + sum of the layers' times on that scan) + launches * launch + rest

Every entry of the table is a vector over measured scans, so that a prediction has a median and a 95th percentile over
scans. The three constants are fitted on whole networks (`calibrate`). A table holds for the device it was measured on.
"""

from coevo.cost_models.fingerprint import fingerprint
from coevo.cost_models.point_cloud_latency.calibration import calibrate
from coevo.cost_models.point_cloud_latency.layers import Axes, Layer, axes_over
from coevo.cost_models.point_cloud_latency.quality import Quality, quality
from coevo.cost_models.point_cloud_latency.storage import default_path, read_table, write_table
from coevo.cost_models.point_cloud_latency.table import Calibration, Grid, LatencyTable, Prediction

__all__ = [
    "Axes",
    "Calibration",
    "Grid",
    "LatencyTable",
    "Layer",
    "Prediction",
    "Quality",
    "axes_over",
    "calibrate",
    "default_path",
    "fingerprint",
    "quality",
    "read_table",
    "write_table",
]
