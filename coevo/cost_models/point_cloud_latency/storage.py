"""Tables as JSON files: one a device, kind of numbers and point branch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from coevo.cost_models.cache import table_path
from coevo.cost_models.point_cloud_latency.layers import Axes
from coevo.cost_models.point_cloud_latency.table import Calibration, Grid, LatencyTable
from coevo.errors import InputError

VERSION = 1
KIND = "point cloud latency"
DIGITS = 6


def default_path(device: Mapping[str, Any], points: str, dtype: str) -> Path:
    """This device's own table (`table_path`)."""
    return table_path([dict(device), points, dtype])


def write_table(table: LatencyTable, path: Path) -> None:
    """Whole, or not at all."""
    document = {
        "kind": KIND,
        "version": VERSION,
        "device": dict(table.device),
        "dtype": table.dtype,
        "capacity": list(table.capacity),
        "points": table.points,
        "scans": table.scans,
        "rows": table.rows.tolist(),
        "pairs": table.pairs.tolist(),
        "maps_ms": _rounded(table.maps_ms),
        "calibration": asdict(table.calibration),
        "grids": [
            {
                "layer": kind,
                "level": level,
                "inputs": list(grid.axes.inputs),
                "outputs": list(grid.axes.outputs),
                "ms": _rounded(grid.ms),
            }
            for (kind, level), grid in sorted(table.grids.items())
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(document) + "\n", encoding="utf-8")
    part.replace(path)


def read_table(path: Path) -> LatencyTable:
    """InputError where there is none, or it is damaged or of another version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no latency table at {path}; `coevo measure PROBLEM` makes one") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no latency table: {error}. Measure again (coevo measure)") from None
    if not isinstance(document, dict) or document.get("kind") != KIND or document.get("version") != VERSION:
        found = (document.get("kind"), document.get("version")) if isinstance(document, dict) else document
        raise InputError(f"{path}: expected a {KIND} table of version {VERSION}, got {found!r}; measure again "
                         "(coevo measure)")  # fmt: skip
    try:
        return _table(document)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({type(error).__name__}: {error}); measure again (coevo measure)"
        ) from None


def _table(document: Mapping[str, Any]) -> LatencyTable:
    maps, rows = np.array(document["maps_ms"], dtype=float), np.array(document["rows"], dtype=np.int64)
    pairs = np.array(document["pairs"], dtype=np.int64)
    grids = {}
    for entry in document["grids"]:
        axes = Axes(tuple(entry["inputs"]), tuple(entry["outputs"]))
        times = np.array(entry["ms"], dtype=float)
        if times.shape != (len(axes.inputs), len(axes.outputs), len(maps)) or not np.isfinite(times).all():
            raise ValueError(f"{entry['layer']} at level {entry['level']} has times of shape {times.shape}")
        grids[str(entry["layer"]), int(entry["level"])] = Grid(axes, times)
    if rows.shape[:1] != maps.shape or pairs.shape != rows.shape or not len(maps):
        raise ValueError(f"{len(maps)} scans with rows of shape {rows.shape} and pairs of shape {pairs.shape}")
    return LatencyTable(
        dict(document["device"]), str(document["dtype"]), tuple(document["capacity"]), str(document["points"]),
        str(document["scans"]), rows, pairs, maps, grids, Calibration(**document["calibration"]),
    )  # fmt: skip


def _rounded(values: np.ndarray[Any, Any]) -> Any:
    return np.round(values, DIGITS).tolist()
