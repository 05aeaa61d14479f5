"""Chips and mappings for the eye: the array with its parallel loops, the loop nest, the energy of each level."""

from coevo.spaces.naas.drawing.array import draw_chip
from coevo.spaces.naas.drawing.bars import bar_lines, energy_by_level
from coevo.spaces.naas.drawing.nest import nest_lines

__all__ = ["bar_lines", "draw_chip", "energy_by_level", "nest_lines"]
