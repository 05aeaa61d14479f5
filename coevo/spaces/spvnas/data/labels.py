"""SemanticKITTI's classes and the maps from the ids in its label files to them (semantic-kitti.yaml; ICCV 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from coevo.errors import InputError, unknown_name

IGNORED = 255
"""The label of points that neither train nor count."""

CLASSES = (
    "car",
    "bicycle",
    "motorcycle",
    "truck",
    "other-vehicle",
    "person",
    "bicyclist",
    "motorcyclist",
    "road",
    "parking",
    "sidewalk",
    "other-ground",
    "building",
    "fence",
    "vegetation",
    "trunk",
    "terrain",
    "pole",
    "traffic-sign",
)
"""The 19 classes of the benchmark; a class's id is its place here (the official id minus one)."""

CLASS_IDS: Mapping[str, int] = MappingProxyType({name: number for number, name in enumerate(CLASSES)})

RAW_IDS = (10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81)
"""The id that a label file gives each class (the official inverse map)."""

_FOLDED = {252: 0, 253: 6, 254: 5, 255: 7, 258: 3, 259: 4}  # what moves counts as its class
_OFFICIAL = {13: 4, 16: 4, 256: 4, 257: 4, 60: 8}  # buses and rail vehicles are other vehicles, lane markings road
_UNLABELLED = (0, 1, 52, 99)


def _table(extra: Mapping[int, int]) -> Mapping[int, int]:
    known = dict.fromkeys((*_UNLABELLED, *_OFFICIAL), IGNORED)
    known.update({raw: number for number, raw in enumerate(RAW_IDS)})
    return MappingProxyType(known | _FOLDED | dict(extra))


LEARNING_MAPS: Mapping[str, Mapping[int, int]] = MappingProxyType({"official": _table(_OFFICIAL), "legacy": _table({})})
"""From a raw id to a class's, by name: "official" is the benchmark's; "legacy" is what SPVNAS's released code trained
with, which ignores buses, rail vehicles and lane markings."""


def classes_of(
    raw: np.ndarray[Any, Any], learning_map: str = "official", where: str = "labels"
) -> np.ndarray[Any, Any]:
    """Class ids int64 [P] (IGNORED where there is none) of a label file's semantic ids [P].

    Raises:
        UnknownName: no such map.
        InputError: an id that SemanticKITTI does not have; `where` is named.
    """
    if learning_map not in LEARNING_MAPS:
        raise unknown_name("learning map", learning_map, LEARNING_MAPS)
    table = LEARNING_MAPS[learning_map]
    lookup = np.full(max(table) + 1, -1, dtype=np.int64)
    lookup[list(table)] = list(table.values())
    ids = np.asarray(raw).astype(np.int64)
    found = np.where((ids >= 0) & (ids < len(lookup)), lookup[np.clip(ids, 0, len(lookup) - 1)], -1)
    if len(found) and found.min() < 0:
        row = int(np.argmax(found < 0))
        raise InputError(
            f"{where}: point {row} has the semantic id {int(ids[row])}, which SemanticKITTI does not have; expected "
            f"one of {', '.join(map(str, sorted(table)))}. Other data sets' labels must be mapped to these ids first"
        )
    return found


def raw_ids_of(labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Semantic ids uint32 [P] for a label file of class ids [P]; IGNORED becomes 0, unlabelled."""
    lookup = np.zeros(256, dtype=np.uint32)
    lookup[: len(RAW_IDS)] = RAW_IDS
    found: np.ndarray[Any, Any] = lookup[labels]
    return found
