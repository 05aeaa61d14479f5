"""Accelerators: memories, networks and MAC units, as data."""

from coevo.hardware.accelerators.accelerator import Accelerator, Axis, Memory, Network
from coevo.hardware.accelerators.energy_table import EnergyTable, load_energy_table
from coevo.hardware.accelerators.loops import DIMENSIONS, RELEVANT, TENSORS
from coevo.hardware.accelerators.reading import ACCELERATORS, load_accelerator, parse_accelerator
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
    "load_accelerator",
    "load_energy_table",
    "parse_accelerator",
    "write_accelerator",
]
