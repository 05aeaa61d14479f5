"""SemanticKITTI's layout of files, read and written (ICCV 2019, sec. 3; semantic-kitti.org).

sequences/00/velodyne/000000.bin   float32 [P, 4]: x, y, z in metres, remission
sequences/00/labels/000000.label   uint32 [P]: low 16 bits the semantic id, high 16 bits the object's number
sequences/00/poses.txt             12 numbers a line: rows of [R | t] of the left camera, as calib.txt's Tr takes it
sequences/00/calib.txt             "Tr: " and 12 numbers, from the sensor's frame to the camera's
sequences/00/boxes/000000.txt      of coevo: class, centre x y z, length, width, height, yaw a line; real data has none
source.json                        of coevo: {"source": what data these are}; real data has none
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from coevo.errors import InputError, unknown_name
from coevo.spaces.spvnas.data.files import read_rows, write_whole
from coevo.spaces.spvnas.data.labels import classes_of, raw_ids_of
from coevo.spaces.spvnas.data.scan import Scan
from coevo.spaces.spvnas.data.sweeps import read_kitti

Array = np.ndarray[Any, Any]

SPLITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
        "val": ("08",),
        "test": tuple(f"{number:02d}" for number in range(11, 22)),
    }
)
"""The benchmark's sequences."""


class SemanticKitti:
    """The scans of some sequences, in the order of sequences and frames.

    Args:
        root: the folder that holds `sequences`.
        split: "train", "val" or "test" (test has no labels).
        learning_map: "official" or "legacy" (`labels.LEARNING_MAPS`).
        sequences: these instead of the split's. Sequences of the split that are absent are left out; named ones must be
            there.

    Raises:
        InputError: nothing to read, or frames without labels where the split has them.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        learning_map: str = "official",
        sequences: Sequence[str] | None = None,
    ) -> None:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        classes_of(np.zeros(0, dtype=np.int64), learning_map)  # the name is known
        self.root, self.learning_map, self.labelled = Path(root), learning_map, split != "test"
        wanted = SPLITS[split] if sequences is None else tuple(sequences)
        self.frames: list[Path] = []
        for sequence in wanted:
            folder = self.root / "sequences" / sequence / "velodyne"
            if sequences is not None and not folder.is_dir():
                raise InputError(f"there is no {folder}: expected the sweeps of sequence {sequence}")
            self.frames += sorted(folder.glob("*.bin"))
        if not self.frames:
            raise InputError(
                f"there are no sweeps under {self.root / 'sequences'} (sequences {', '.join(wanted)}): expected "
                "SemanticKITTI's layout, sequences/00/velodyne/000000.bin and so on"
            )
        bare = [path for path in self.frames if self.labelled and not _beside(path, "labels", ".label").is_file()]
        if bare:
            raise InputError(
                f"{len(bare)} of {len(self.frames)} sweeps have no labels; the first is {bare[0]}, for which "
                f"{_beside(bare[0], 'labels', '.label')} was expected"
            )

    @property
    def source(self) -> str:
        """What data these are: what `source.json` says, else SemanticKITTI."""
        note = self.root / "source.json"
        if not note.is_file():
            return "SemanticKITTI"
        try:
            return str(json.loads(note.read_text(encoding="utf-8"))["source"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f'{note} must be {{"source": "what data these are"}}, got something else') from error

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, number: int) -> Scan:
        return read_frame(self.frames[number], self.learning_map, labelled=self.labelled)


def read_frame(path: str | Path, learning_map: str = "official", *, labelled: bool = True) -> Scan:
    """One frame of the layout: the sweep, with the labels and, where there are any, the boxes beside it.

    Raises:
        InputError: a file that is absent, empty or truncated, labels of another length, or ids that nobody knows.
    """
    path = Path(path)
    sweep = read_kitti(path)
    name = f"{path.parent.parent.name}/{path.stem}"
    labels = instances = None
    if labelled:
        beside = _beside(path, "labels", ".label")
        both = read_rows(beside, "<u4", 1, "labels of uint32")[:, 0]
        if len(both) != len(sweep.points):
            raise InputError(
                f"{beside} has {len(both)} labels and {path} {len(sweep.points)} points: they must have one length"
            )
        labels = classes_of(both & 0xFFFF, learning_map, str(beside))
        instances = (both >> 16).astype(np.int64)
    boxes, classes = _read_boxes(_beside(path, "boxes", ".txt"))
    return Scan(sweep.points, labels, name, boxes, classes, instances)


def write_frame(root: str | Path, sequence: str, frame: int, scan: Scan) -> Path:
    """Writes a scan as frame number `frame` of a sequence; the sweep itself comes last and is the path returned."""
    folder = Path(root) / "sequences" / sequence
    stem = f"{frame:06d}"
    if scan.labels is not None:
        raw = raw_ids_of(scan.labels)
        if scan.instances is not None:
            raw = raw | (scan.instances.astype(np.uint32) << 16)
        write_whole(folder / "labels" / f"{stem}.label", raw.astype("<u4").tobytes())
    if scan.boxes is not None:
        rows = [
            " ".join([name, *(f"{value:.4f}" for value in box)])
            for name, box in zip(scan.box_classes, scan.boxes, strict=True)
        ]
        write_whole(folder / "boxes" / f"{stem}.txt", "".join(f"{row}\n" for row in rows).encode())
    path = folder / "velodyne" / f"{stem}.bin"
    write_whole(path, scan.points.astype("<f4").tobytes())
    return path


# From the sensor's frame (x forward, y left, z up) to the camera's (x right, y down, z forward).
_TR = np.array([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def write_poses(root: str | Path, sequence: str, poses: Array) -> None:
    """Writes poses.txt and calib.txt of a sequence whose sensor's poses are float64 [frames, 4, 4]."""
    folder = Path(root) / "sequences" / sequence
    rows = []
    for pose in poses:
        of_camera = _TR @ pose @ np.linalg.inv(_TR)
        rows.append(" ".join(f"{value:.9e}" for value in of_camera[:3].ravel()))
    write_whole(folder / "calib.txt", ("Tr: " + " ".join(f"{value:g}" for value in _TR[:3].ravel()) + "\n").encode())
    write_whole(folder / "poses.txt", ("\n".join(rows) + "\n").encode())


def read_poses(root: str | Path, sequence: str) -> Array:
    """The sensor's poses of a sequence, float64 [frames, 4, 4]. InputError where files are absent or malformed."""
    folder = Path(root) / "sequences" / sequence
    try:
        lines = (folder / "calib.txt").read_text(encoding="utf-8").splitlines()
        tr = _square(np.array(next(line for line in lines if line.startswith("Tr:")).split()[1:], dtype=np.float64))
        found = np.loadtxt(folder / "poses.txt", dtype=np.float64, ndmin=2)
        return np.stack([np.linalg.inv(tr) @ _square(row) @ tr for row in found])
    except (OSError, ValueError, StopIteration) as error:
        raise InputError(
            f"{folder} must have poses.txt with 12 numbers a line and calib.txt with a line 'Tr: ' and 12 numbers: "
            f"{error or 'no line Tr'}"
        ) from error


def _square(row: Array) -> Array:
    return np.concatenate([row.reshape(3, 4), [[0.0, 0.0, 0.0, 1.0]]])


def _beside(sweep: Path, folder: str, ending: str) -> Path:
    return sweep.parent.parent / folder / f"{sweep.stem}{ending}"


def _read_boxes(path: Path) -> tuple[Array | None, tuple[str, ...]]:
    if not path.is_file():
        return None, ()
    rows: list[list[float]] = []
    names = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = line.split()
        try:
            name, values = fields[0], [float(field) for field in fields[1:]]
            if len(values) != 7:
                raise ValueError
        except (ValueError, IndexError) as error:
            raise InputError(f"{path}, line {number}: expected a class and 7 numbers, got {line!r}") from error
        names.append(name)
        rows.append(values)
    return np.array(rows, dtype=np.float32).reshape(-1, 7), tuple(names)


def hold_out(source: SemanticKitti, share: float) -> tuple[SemanticKitti, SemanticKitti]:
    """A source without the last `share` of every sequence's frames, and those frames: neighbouring frames show nearly
    the same, so whole stretches are held out. Search judges on them and leaves the validation split untouched.

    Raises:
        InputError: a share that is not within 0..1, or that leaves one of the two empty.
    """
    if not 0 < share < 1:
        raise InputError(f"the share held out must be between 0 and 1, got {share!r}")
    by_sequence: dict[Path, list[Path]] = {}
    for path in source.frames:
        by_sequence.setdefault(path.parent, []).append(path)
    rest: list[Path] = []
    held: list[Path] = []
    for frames in by_sequence.values():
        cut = len(frames) - round(share * len(frames))
        rest += frames[:cut]
        held += frames[cut:]
    if not rest or not held:
        raise InputError(f"holding out {share:g} of {len(source)} frames leaves {len(rest)} and {len(held)}")
    return _with_frames(source, rest), _with_frames(source, held)


def _with_frames(source: SemanticKitti, frames: list[Path]) -> SemanticKitti:
    made = object.__new__(SemanticKitti)
    made.__dict__.update(source.__dict__)
    made.frames = frames
    return made
