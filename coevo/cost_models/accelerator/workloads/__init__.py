"""Networks as layers to map: bundled ones, the user's TOML files, ONNX files and torch modules."""

from coevo.cost_models.accelerator.workloads.onnx_import import import_onnx
from coevo.cost_models.accelerator.workloads.reading import WORKLOADS, load_workload, parse_workload
from coevo.cost_models.accelerator.workloads.torch_import import import_torch
from coevo.cost_models.accelerator.workloads.workload import Occurrence, Workload

__all__ = [
    "WORKLOADS",
    "Occurrence",
    "Workload",
    "import_onnx",
    "import_torch",
    "load_workload",
    "parse_workload",
]
