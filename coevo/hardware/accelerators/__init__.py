"""Accelerators: memories, networks and MAC units, as data."""

from coevo.hardware.accelerators.accelerator import Accelerator, Axis, Memory, Network
from coevo.hardware.accelerators.loops import DIMENSIONS, RELEVANT, TENSORS

__all__ = ["DIMENSIONS", "RELEVANT", "TENSORS", "Accelerator", "Axis", "Memory", "Network"]
