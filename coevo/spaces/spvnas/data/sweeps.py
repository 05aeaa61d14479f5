"""Single sweeps from files: KITTI's and SemanticKITTI's .bin, nuScenes' .pcd.bin, and .npz."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from coevo.errors import InputError, unknown_name
from coevo.spaces.spvnas.data.files import read_rows
from coevo.spaces.spvnas.data.scan import Scan

Array = np.ndarray[Any, Any]


def read_kitti(path: str | Path) -> Scan:
    """KITTI's and SemanticKITTI's sweeps: float32 x, y, z (metres), remission 0..1."""
    path = Path(path)
    return Scan(read_rows(path, "<f4", 4, "points of float32 x, y, z, remission").astype(np.float32), None, path.stem)


def read_nuscenes(path: str | Path) -> Scan:
    """nuScenes' LIDAR_TOP sweeps: float32 x, y, z, intensity 0..255, ring.

    Their x points right and y forward; the scan is turned to x forward, y left, and its intensity divided by 255.
    """
    path = Path(path)
    rows = read_rows(path, "<f4", 5, "points of float32 x, y, z, intensity, ring")
    points = np.stack([rows[:, 1], -rows[:, 0], rows[:, 2], rows[:, 3] / 255.0], axis=1).astype(np.float32)
    return Scan(points, None, path.name.removesuffix(".pcd.bin"))


def read_npz(path: str | Path) -> Scan:
    """An .npz of coevo or of anybody: `points` [P, 3 or 4] (remission 0 where there are three columns), and optionally
    `labels` [P], class ids, `boxes` [B, 7] with `box_classes` [B], and `instances` [P]."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as an .npz of plain arrays: {error}") from error
    points = found.get("points")
    if points is None or points.ndim != 2 or points.shape[1] not in (3, 4):
        got = "none" if points is None else str(list(points.shape))
        raise InputError(f"{path} must hold an array 'points' [P, 3 or 4], got {got} (arrays: {', '.join(found)})")
    if points.shape[1] == 3:
        points = np.concatenate([points, np.zeros((len(points), 1), points.dtype)], axis=1)
    whole = {name: found[name].astype(np.int64) for name in ("labels", "instances") if name in found}
    boxes = found["boxes"].astype(np.float32) if "boxes" in found else None
    names = tuple(str(name) for name in found.get("box_classes", ()))
    return Scan(points.astype(np.float32), whole.get("labels"), path.stem, boxes, names, whole.get("instances"))


FORMATS: Mapping[str, Callable[[str | Path], Scan]] = MappingProxyType(
    {"kitti": read_kitti, "nuscenes": read_nuscenes, "npz": read_npz}
)
"""Readers by the format's name."""


def read_sweep(path: str | Path, format: str | None = None) -> Scan:
    """A sweep, its format by name or else by the file's ending (.npz, .pcd.bin, .bin).

    Raises:
        InputError: a format or ending that is not known, a file that is absent, empty or truncated.
    """
    if format is None:
        name = Path(path).name
        endings = {".npz": "npz", ".pcd.bin": "nuscenes", ".bin": "kitti"}
        format = next((kind for ending, kind in endings.items() if name.endswith(ending)), None)
        if format is None:
            raise InputError(f"{path}: expected a file that ends in {', '.join(endings)}, or a format by name")
    if format not in FORMATS:
        raise unknown_name("format of sweeps", format, FORMATS)
    return FORMATS[format](path)
