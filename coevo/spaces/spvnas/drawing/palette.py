"""Colours of classes on a dark ground: vehicles blue, people red, ground grey to violet, plants green."""

from __future__ import annotations

from coevo.spaces.spvnas.data.labels import CLASSES

GROUND = "#0d1117"
"""Behind the points."""
CORRECT, WRONG = "#3d4756", "#ff5a4f"
"""Of points in a picture of errors."""
UNLABELLED = "#4a5160"

_COLOURS = {
    "car": "#5a9bff",
    "bicycle": "#5ce1e6",
    "motorcycle": "#2f6bd6",
    "truck": "#8a6bff",
    "other-vehicle": "#4c5bd8",
    "person": "#ff4d4d",
    "bicyclist": "#ff5cc8",
    "motorcyclist": "#c2407a",
    "road": "#7b7f9e",
    "parking": "#b7a3d6",
    "sidewalk": "#a0748f",
    "other-ground": "#8c4a5f",
    "building": "#f2c14e",
    "fence": "#f08a4b",
    "vegetation": "#3fa34d",
    "trunk": "#9c6b3f",
    "terrain": "#a6c957",
    "pole": "#fff0a8",
    "traffic-sign": "#ff7a1a",
}
COLOURS = tuple(_COLOURS[name] for name in CLASSES)
"""Of each class, in the order of their ids."""
