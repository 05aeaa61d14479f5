"""What `accelerator.py` measures on: a layer with sizes that are no powers of two, an accelerator, its switches."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from coevo.cost_models.accelerator import Assumptions, Mapping, convolution, tables_of
from coevo.hardware.accelerators import load_accelerator
from coevo.kernels.mapping_cost import MappingArrays, Tables, axis_excess, count, excess_bits, uncovered

LAYER = convolution("resnet50.conv2_x.3x3", (56, 56), 64, 64, 3, padding=1)
ACCELERATOR = load_accelerator("eyeriss")
"""Three memories, an array of 12 x 14."""

SETTINGS = {
    "every switch off": Assumptions(),
    "every switch on": Assumptions(True, True, True, True, True),
    "every switch on, holes not fetched": Assumptions(True, True, True, False, True),
}
"""Nothing is left out of the kernels: a rate counts where it holds under each of these."""

# Row-stationary by hand; its bounds multiply to the sizes, which zigzag wants.
MAPPING = Mapping(
    temporal=((("Y", 4), ("K", 4), ("C", 4)), (("X", 56),), (("C", 4), ("K", 16), ("S", 3))),
    spatial=((("R", 3), ("C", 4)), (("Y", 14),)),
)


def tables(setting: str) -> Tables:
    return tables_of(LAYER, ACCELERATOR, SETTINGS[setting])


def described() -> dict[str, Any]:
    """For the result's settings."""
    return {
        "layer": {"name": LAYER.name, **LAYER.sizes},
        "accelerator": ACCELERATOR.name,
        "memories": [memory.name for memory in ACCELERATOR.memories],
        "axes": [axis.size for _, axis in ACCELERATOR.axes],
        "settings": {name: assumptions.as_dict() for name, assumptions in SETTINGS.items()},
    }


def are_valid(given: Tables, mappings: MappingArrays) -> np.ndarray:
    """bool [B], by the reference."""
    valid: np.ndarray = (
        (excess_bits(given, count(given, mappings)) == 0).all(axis=(1, 2))
        & (axis_excess(given, mappings) == 0).all(axis=1)
        & (uncovered(given, mappings) == 0).all(axis=1)
    )
    return valid


def joined(parts: list[MappingArrays]) -> MappingArrays:
    return MappingArrays(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("temporal", "rank", "spatial"))
    )


def parts_of(total: int, size: int) -> list[tuple[int, int]]:
    """[begin, end) of parts of at most `size`."""
    return list(pairwise([*range(0, total, size), total]))


def timed(work: Callable[[], Any], repeats: int) -> list[float]:
    """Seconds of each run, after one that is not counted (it compiles)."""
    work()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds
