"""Generated scenes as SemanticKITTI's files, so that the real data set is a drop-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from coevo.errors import InputError
from coevo.spaces.spvnas.data.files import write_whole
from coevo.spaces.spvnas.data.generator.source import GeneratedScans
from coevo.spaces.spvnas.data.semantickitti import SPLITS, write_frame, write_poses


def write_sequences(
    root: str | Path, scans: GeneratedScans, *, on_frame: Callable[[int, int], None] | None = None
) -> tuple[str, ...]:
    """Writes all scans as sequences of their split (00-07, 09, 10: training; 08: validation; 11-21: testing).

    Scenes are dealt to the sequences in runs, each a whole stretch of frames, so that the end of a sequence can be held
    out (`semantickitti.hold_out`). Files that are there already are left, so that a write that was cut off goes
    on; `source.json` comes first and says that the data are generated, and with which settings.

    Args:
        root: a folder, made where it is missing.
        scans: what is written.
        on_frame: called with (frames done, frames in all) after each.

    Returns:
        The sequences that were written.

    Raises:
        InputError: the folder holds other data, or the same with other settings.
    """
    root = Path(root)
    settings = {
        "scenes": scans.scenes,
        "seed": scans.seed,
        "frames_per_scene": scans.frames_per_scene,
        "rare": scans.rare,
    }
    _claim(root, scans, settings)
    names = SPLITS[scans.split][: scans.scenes]
    done = 0
    for place, part in enumerate(np.array_split(np.arange(scans.scenes), len(names))):
        poses: list[np.ndarray[Any, Any]] = []
        for scene in part.tolist():
            for frame in range(scans.frames_per_scene):
                at = len(poses)
                poses.append(scans.sweeper(scene).pose(frame).matrix())
                if not (root / "sequences" / names[place] / "velodyne" / f"{at:06d}.bin").is_file():
                    write_frame(root, names[place], at, scans[scene * scans.frames_per_scene + frame])
                done += 1
                if on_frame is not None:
                    on_frame(done, len(scans))
        write_poses(root, names[place], np.stack(poses))
    return names


def _claim(root: Path, scans: GeneratedScans, settings: dict[str, float]) -> None:
    note = root / "source.json"
    if not note.is_file() and (root / "sequences").exists():
        raise InputError(f"{root} holds other data (no source.json): generated scenes need a folder of their own")
    found: dict[str, object] = {"source": scans.source, "splits": {}}
    if note.is_file():
        try:
            found = json.loads(note.read_text(encoding="utf-8"))
            given = found["splits"].get(scans.split, settings)  # type: ignore[attr-defined]
        except (ValueError, KeyError, AttributeError) as error:
            raise InputError(f"{note} is not what coevo writes beside generated scenes: take another folder") from error
        if found.get("source") != scans.source or given != settings:
            raise InputError(
                f"{root} holds {found.get('source')!r} made with {given}, and {scans.source!r} with {settings} was "
                "asked for: take another folder, or remove this one"
            )
    splits = {**found["splits"], scans.split: settings}  # type: ignore[dict-item]
    write_whole(note, (json.dumps({**found, "splits": splits}, indent=1) + "\n").encode())
