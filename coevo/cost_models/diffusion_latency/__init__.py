"""Latency of drawing images with a diffusion transformer, from a table of measured operations.

    evaluation(network, images) = scale * (sum of its operations at so many images) + blocks * block + rest
    drawing(design) = text + steps * (evaluation + solver) + decoding of all samples + verifying them, where there are
                      several

The three constants are fitted on whole networks (`calibrate`). A table holds for the device, the width and the number
of tokens that it was measured on.
"""

from coevo.cost_models.diffusion_latency.calibration import calibrate
from coevo.cost_models.diffusion_latency.storage import default_path, read_table, write_table
from coevo.cost_models.diffusion_latency.table import (
    AROUND,
    Calibration,
    LatencyTable,
    Network,
    Prediction,
    Times,
    Workload,
)

__all__ = [
    "AROUND",
    "Calibration",
    "LatencyTable",
    "Network",
    "Prediction",
    "Times",
    "Workload",
    "calibrate",
    "default_path",
    "read_table",
    "write_table",
]
