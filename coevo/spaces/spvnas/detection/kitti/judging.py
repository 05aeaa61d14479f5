"""KITTI's average precision of a detector over frames of the object benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from coevo.errors import InputError
from coevo.spaces.spvnas.detection.inference import Filter, detect
from coevo.spaces.spvnas.detection.kitti.average_precision import MIN_OVERLAPS, Report, evaluate
from coevo.spaces.spvnas.detection.kitti.folder import KittiFolder, results_of, write_results
from coevo.spaces.spvnas.detection.network import Detector


def judge_frames(
    detector: Detector,
    folder: KittiFolder,
    names: Sequence[str],
    keep: Filter | None = None,
    dtype: torch.dtype | None = None,
    results: str | Path | None = None,
) -> Report:
    """Average precision of the detector's classes over the frames, in the image, from above and in space.

    Args:
        keep, dtype: as `detect`.
        results: a folder for a result file of each frame.

    Raises:
        InputError: a frame has no labels, or a file is wrong.
    """
    truths, found = [], []
    for name in names:
        frame = folder.read(name)
        if frame.objects is None:
            raise InputError(f"frame {name} of {folder.part} has no labels to hold detections against")
        found_here = detect(detector, [frame.scan.points], keep, dtype)[0]
        objects = results_of(found_here, frame.calibration, frame.image_size)
        if results is not None:
            write_results(results, name, objects)
        truths.append(frame.objects)
        found.append(objects)
    kinds = [each.name for each in detector.kinds if each.name in MIN_OVERLAPS]
    return evaluate(truths, found, kinds, ("image", "bev", "3d"))
