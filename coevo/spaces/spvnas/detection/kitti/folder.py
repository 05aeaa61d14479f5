"""The object benchmark's folder: `training/{velodyne,calib,label_2}/000000.*` and lists of frames in `ImageSets`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coevo.errors import InputError
from coevo.spaces.spvnas.data.scan import Scan
from coevo.spaces.spvnas.data.sweeps import read_kitti
from coevo.spaces.spvnas.detection.inference import Detections
from coevo.spaces.spvnas.detection.kitti.calibration import Calibration, read_calibration
from coevo.spaces.spvnas.detection.kitti.objects import Object, boxes_of, object_of, read_objects, write_objects

_NUMBER = re.compile(r"\d{6}")


@dataclass(frozen=True, eq=False)
class Frame:
    """`scan`: points and boxes in the sensor's frame; `objects`: the label file's lines, None without one;
    `image_size`: width and height in pixels."""

    scan: Scan
    calibration: Calibration
    objects: list[Object] | None
    image_size: tuple[int, int]


class KittiFolder:
    """Frames of KITTI's object benchmark.

    Args:
        folder: that holds `training` or `testing`.
        part: "training" (with labels) or "testing".
        in_view: keep only points that project into the left colour image, as SECOND does: labels stop there.
        image_size: width and height in pixels of frames whose image (`image_2/NAME.png`) is not there.

    Raises:
        InputError: no such folder.
    """

    def __init__(self, folder: str | Path, part: str = "training", in_view: bool = True,
                 image_size: tuple[int, int] = (1242, 375)) -> None:  # fmt: skip
        self.folder, self.part, self.in_view, self.image_size = Path(folder), part, in_view, image_size
        if not (self.folder / part / "velodyne").is_dir():
            raise InputError(
                f"{self.folder / part / 'velodyne'}: no such folder; KITTI's archives are unpacked side by side, so "
                f"that {part} holds velodyne, calib and, to train, label_2"
            )

    def names(self, image_set: str | None = None) -> list[str]:
        """Frames of a list in `ImageSets` ("train", "val"), or all that have a sweep, in order."""
        if image_set is None:
            return sorted(each.stem for each in (self.folder / self.part / "velodyne").glob("*.bin"))
        path = self.folder / "ImageSets" / f"{image_set}.txt"
        if not path.is_file():
            raise InputError(f"{path}: no such list of frames: a text file with one six-figure number a line")
        found = []
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if line.strip() and not _NUMBER.fullmatch(line.strip()):
                raise InputError(f"{path}, line {number}: expected a six-figure number, got {line.strip()[:40]!r}")
            if line.strip():
                found.append(line.strip())
        return found

    def read(self, name: str) -> Frame:
        """A frame by its number, "000042".

        Raises:
            InputError: a file is missing, cut short or malformed; names it, and the line.
        """
        base = self.folder / self.part
        points = read_kitti(base / "velodyne" / f"{name}.bin").points
        calibration = read_calibration(base / "calib" / f"{name}.txt")
        labels = base / "label_2" / f"{name}.txt"
        objects = None
        if self.part == "training":
            objects = read_objects(labels, scored=False)
        size = png_size(base / "image_2" / f"{name}.png") or self.image_size
        if self.in_view:
            points = points[seen(points, calibration, size)]
        if objects is None:
            return Frame(Scan(points, None, name), calibration, None, size)
        boxes, classes = boxes_of(objects, calibration)
        return Frame(Scan(points, None, name, boxes, classes), calibration, objects, size)


class KittiScans:
    """A ScanSource: the scans of a list of frames."""

    def __init__(self, folder: KittiFolder, image_set: str | None = None) -> None:
        self.folder, self.names = folder, folder.names(image_set)
        self.source = f"KITTI's object benchmark, {image_set or f'all of {folder.part}'}"

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: int) -> Scan:
        return self.folder.read(self.names[number]).scan


def png_size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG, by its head; None where there is no file. InputError where it is no PNG."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        raise InputError(f"{path} is no PNG; copy the image again")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def seen(points: np.ndarray, calibration: Calibration, image_size: tuple[int, int]) -> np.ndarray:
    """bool [P]: the points [P, >= 3] that lie ahead of the camera and within its image (width, height in pixels)."""
    ahead = calibration.to_camera(points[:, :3])
    visible = np.asarray(ahead[:, 2] > 0)
    pixels = calibration.to_image(ahead[visible])
    visible[visible] = ((pixels >= 0) & (pixels < np.array(image_size))).all(axis=1)
    return visible


def results_of(
    detections: Detections, calibration: Calibration, image_size: tuple[int, int] = (1242, 375)
) -> list[Object]:
    """Detections as lines of a result file; those that the image does not show are left out."""
    rows = zip(detections.boxes, detections.scores, detections.classes, strict=True)
    found = [object_of(box.tolist(), kind, calibration, float(score), image_size) for box, score, kind in rows]
    return [each for each in found if each.image_box[2] > each.image_box[0] and each.image_box[3] > each.image_box[1]]


def write_results(folder: str | Path, name: str, objects: list[Object]) -> Path:
    """`folder/NAME.txt` as the benchmark takes it; an empty file where nothing was found."""
    path = Path(folder) / f"{name}.txt"
    write_objects(path, objects)
    return path
