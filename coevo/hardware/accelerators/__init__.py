"""Accelerators: memories, networks and MAC units, as data."""

from coevo.hardware.accelerators.accelerator import Accelerator, Axis, Memory, Network
from coevo.hardware.accelerators.energy_table import EnergyTable, load_energy_table
from coevo.hardware.accelerators.loops import DIMENSIONS, RELEVANT, TENSORS
from coevo.hardware.accelerators.reading import ACCELERATORS, load_accelerator, parse_accelerator
from coevo.hardware.accelerators.resizing import Resizable, load_resizable
from coevo.hardware.accelerators.writing import write_accelerator

__all__ = [
    "ACCELERATORS",
    "DIMENSIONS",
    "RELEVANT",
    "TENSORS",
    "Accelerator",
    "Axis",
    "EnergyTable",
    "Memory",
    "Network",
    "Resizable",
    "load_accelerator",
    "load_energy_table",
    "load_resizable",
    "parse_accelerator",
    "write_accelerator",
]
