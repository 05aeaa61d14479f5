"""KITTI's average precision, as its development kit counts it (`evaluate_object.cpp`, 2017; 40 points since 2019).

The kit's rules are kept to the letter, also where they are odd: with the scores still open, every truth takes the
candidate with the highest score, at a threshold the one with the largest overlap; a detection whose image box is too
low is ignored whatever its class; a detection that may match a truth not counted is ignored with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from coevo.errors import InputError, unknown_name
from coevo.spaces.spvnas.detection.kitti.objects import DONT_CARE, Object
from coevo.spaces.spvnas.detection.overlap import bev_overlaps, box_overlaps

METRICS = ("image", "bev", "3d")
DIFFICULTIES = ("easy", "moderate", "hard")
MIN_HEIGHT_PX = (40, 25, 25)
MAX_OCCLUSION = (0, 1, 2)
MAX_TRUNCATION = (0.15, 0.3, 0.5)
MIN_OVERLAPS = {"Car": 0.7, "Pedestrian": 0.5, "Cyclist": 0.5}
"""KITTI's, of every metric; 0.5, 0.25 and 0.25 are often given beside them for boxes (`LOOSE_OVERLAPS`)."""
LOOSE_OVERLAPS = {"Car": 0.5, "Pedestrian": 0.25, "Cyclist": 0.25}
NEIGHBOURS = {"Car": "Van", "Pedestrian": "Person_sitting"}
"""Found in place of the class, they are neither right nor wrong."""
RECALLS = 41


@dataclass(frozen=True)
class AveragePrecision:
    """In percent, of one class, metric and difficulty; NaN where no truth counts.

    Attributes:
        ap_11, ap_40: over recalls 0, 0.1, .. 1 (KITTI until 2019), and 1/40, 2/40, .. 1.
        precisions: 41, at recalls 0, 1/40, .. 1, each the best from there on.
        truths: that count.
    """

    ap_11: float
    ap_40: float
    precisions: tuple[float, ...]
    truths: int


Report = dict[str, dict[str, dict[str, AveragePrecision]]]
"""By class, metric and difficulty."""


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame as one class and difficulty see it. 1 is ignored, -1 of no concern.

    Attributes:
        truths: int [T], 0, 1 or -1. detections: int [D], likewise. scores: float [D].
        candidates: of each truth, (detection, overlap) with enough overlap, in the detections' order.
        stuff: of each DontCare, detections that lie in it.
    """

    truths: list[int]
    detections: list[int]
    scores: list[float]
    candidates: list[list[tuple[int, float]]]
    stuff: list[list[int]]


def average_precision(
    truths: Sequence[Sequence[Object]],
    detections: Sequence[Sequence[Object]],
    kind: str,
    metric: str,
    difficulty: str,
    min_overlap: float | None = None,
) -> AveragePrecision:
    """Of one class over frames.

    Args:
        truths, detections: of each frame, in one order; detections have scores.
        kind: "Car", "Pedestrian" or "Cyclist".
        metric: "image", "bev" (seen from above) or "3d".
        difficulty: "easy", "moderate" or "hard".
        min_overlap: more than this is a match; `MIN_OVERLAPS` where it is None.

    Raises:
        UnknownName: another class, metric or difficulty.
        InputError: other numbers of frames, or a detection without a finite score.
    """
    least = {kind: MIN_OVERLAPS.get(kind, 0.0) if min_overlap is None else min_overlap}
    return evaluate(truths, detections, (kind,), (metric,), least, (difficulty,))[kind][metric][difficulty]


def evaluate(
    truths: Sequence[Sequence[Object]],
    detections: Sequence[Sequence[Object]],
    kinds: Sequence[str] = tuple(MIN_OVERLAPS),
    metrics: Sequence[str] = ("bev", "3d"),
    overlaps: Mapping[str, float] | None = None,
    difficulties: Sequence[str] = DIFFICULTIES,
) -> Report:
    """`average_precision` by class, metric and difficulty; `overlaps` are the least ones by class. Errors likewise."""
    asked = ((kinds, MIN_OVERLAPS, "class"), (metrics, METRICS, "metric"), (difficulties, DIFFICULTIES, "difficulty"))
    for names, offered, what in asked:
        for name in names:
            if name not in offered:
                raise unknown_name(what, name, offered)
    if len(truths) != len(detections):
        raise InputError(f"truth has {len(truths)} frames and detections {len(detections)}; give each frame both")
    for number, frame in enumerate(detections):
        for each in frame:
            if each.score is None or not math.isfinite(each.score):
                raise InputError(f"a {each.type} among the detections of frame {number} has the score {each.score}")
    least = {**MIN_OVERLAPS, **(overlaps or {})}
    found: Report = {kind: {metric: {} for metric in metrics} for kind in kinds}
    for metric in metrics:
        pairs = [_Pairs.of(true, seen, metric) for true, seen in zip(truths, detections, strict=True)]
        for kind in kinds:
            for difficulty in difficulties:
                level = DIFFICULTIES.index(difficulty)
                frames = [_frame(each, kind, level, least[kind]) for each in pairs]
                found[kind][metric][difficulty] = _average(frames)
    return found


def _average(frames: Sequence[_Frame]) -> AveragePrecision:
    total = sum(frame.truths.count(0) for frame in frames)
    if not total:
        return AveragePrecision(math.nan, math.nan, (math.nan,) * RECALLS, 0)
    scores = [score for frame in frames for score in _count(frame, None)[3]]
    precisions = [0.0] * RECALLS
    for place, threshold in enumerate(recall_thresholds(scores, total)):
        counts = [_count(frame, threshold) for frame in frames]
        right, wrong = sum(each[0] for each in counts), sum(each[1] for each in counts)
        precisions[place] = right / (right + wrong) if right + wrong else 0.0
    best = np.maximum.accumulate(np.array(precisions)[::-1])[::-1] * 100
    return AveragePrecision(float(best[::4].mean()), float(best[1:].mean()), tuple(float(each) for each in best), total)


def recall_thresholds(scores: Sequence[float], truths: int) -> list[float]:
    """Scores at which the recall is nearest to 0, 1/40, .. 1, falling; at most 41.

    Args:
        scores: of the detections that found a truth.
        truths: that count.
    """
    ranked = sorted(scores, reverse=True)
    found, wanted = [], 0.0
    for number, score in enumerate(ranked, 1):
        last = number == len(ranked)
        here = number / truths
        following = here if last else (number + 1) / truths
        if following - wanted < wanted - here and not last:
            continue
        found.append(score)
        wanted += 1.0 / (RECALLS - 1)
    return found


@dataclass(frozen=True, eq=False)
class _Pairs:
    """A frame's objects, and by [detection][truth] what they share under one metric.

    Attributes:
        truths: all but DontCares. shared: intersection over union with each. covered: the part of a detection that lies
            in each DontCare.
    """

    truths: list[Object]
    detections: Sequence[Object]
    shared: list[list[float]]
    covered: list[list[float]]

    @classmethod
    def of(cls, truths: Sequence[Object], detections: Sequence[Object], metric: str) -> _Pairs:
        valid = [each for each in truths if each.type != DONT_CARE]
        stuff = [each for each in truths if each.type == DONT_CARE]
        shared, covered = _overlaps(detections, valid, metric, "union"), _overlaps(detections, stuff, metric, "first")
        return cls(valid, detections, shared, covered)


def _frame(pairs: _Pairs, kind: str, level: int, least: float) -> _Frame:
    seen = pairs.detections
    wanted = [_standing(each, kind, level) for each in pairs.truths]
    low = [int(abs(each.image_box[1] - each.image_box[3])) < MIN_HEIGHT_PX[level] for each in seen]
    found = [1 if small else 0 if each.type == kind else -1 for each, small in zip(seen, low, strict=True)]
    candidates: list[list[tuple[int, float]]] = [[] for _ in wanted]
    stuff: list[list[int]] = [[] for _ in (pairs.covered[0] if seen else ())]
    for row, (shared, covered) in enumerate(zip(pairs.shared, pairs.covered, strict=True)):
        for column, overlap in enumerate(shared):
            if overlap > least:
                candidates[column].append((row, overlap))
        for column, part in enumerate(covered):
            if part > least:
                stuff[column].append(row)
    return _Frame(wanted, found, [float(each.score or 0.0) for each in seen], candidates, stuff)


def _standing(truth: Object, kind: str, level: int) -> int:
    """0 where a truth counts, 1 where it is ignored, -1 where it is of another class."""
    if truth.type == NEIGHBOURS.get(kind):
        return 1
    if truth.type != kind:
        return -1
    height = truth.image_box[3] - truth.image_box[1]
    hard = truth.occlusion > MAX_OCCLUSION[level] or truth.truncation > MAX_TRUNCATION[level]
    return int(hard or height < MIN_HEIGHT_PX[level])


def _overlaps(first: Sequence[Object], second: Sequence[Object], metric: str, of: str) -> list[list[float]]:
    """[first][second]. Boxes without a size (DontCare has none in space) overlap nothing."""
    if not first or not second:
        return [[0.0] * len(second) for _ in first]
    if metric == "image":
        found = _image_overlaps(first, second, of)
    else:
        measure = bev_overlaps if metric == "bev" else box_overlaps
        one, other = (torch.tensor([each.upright for each in side], dtype=torch.float64) for side in (first, second))
        solid = (one[:, 3:6] > 0).all(dim=1)[:, None] & (other[:, 3:6] > 0).all(dim=1)
        found = torch.where(solid, measure(one, other, of), 0.0)
    rows: list[list[float]] = found.tolist()
    return rows


def _image_overlaps(first: Sequence[Object], second: Sequence[Object], of: str) -> torch.Tensor:
    one, other = (torch.tensor([each.image_box for each in side], dtype=torch.float64) for side in (first, second))
    sides = torch.minimum(one[:, None, 2:], other[:, 2:]) - torch.maximum(one[:, None, :2], other[:, :2])
    shared = sides.clamp(min=0).prod(dim=-1)
    area = (one[:, 2:] - one[:, :2]).prod(dim=-1)[:, None]
    whole = area if of == "first" else area + (other[:, 2:] - other[:, :2]).prod(dim=-1) - shared
    return torch.where(shared > 0, shared / whole, 0.0)


def _count(frame: _Frame, threshold: float | None) -> tuple[int, int, int, list[float]]:
    """Right, wrong and missed at a threshold, and the scores of the right ones. Without a threshold all detections are
    in, and nothing is counted as wrong."""
    taken = [False] * len(frame.scores)
    out = [threshold is not None and score < threshold for score in frame.scores]
    right, missed, scores = 0, 0, []
    for standing, candidates in zip(frame.truths, frame.candidates, strict=True):
        if standing == -1:
            continue
        free = [
            each for each in candidates if frame.detections[each[0]] != -1 and not taken[each[0]] and not out[each[0]]
        ]
        chosen = _by_score(frame, free) if threshold is None else _by_overlap(frame, free)
        if chosen is None:
            missed += standing == 0
            continue
        taken[chosen] = True
        if standing == 0 and frame.detections[chosen] == 0:
            right += 1
            scores.append(frame.scores[chosen])
    if threshold is None:
        return right, 0, missed, scores
    loose = [row for row, each in enumerate(frame.detections) if each == 0 and not taken[row] and not out[row]]
    forgiven = {row for inside in frame.stuff for row in inside}
    return right, sum(row not in forgiven for row in loose), missed, scores


def _by_score(frame: _Frame, candidates: list[tuple[int, float]]) -> int | None:
    """The first candidate with the highest score."""
    return max(candidates, key=lambda each: frame.scores[each[0]])[0] if candidates else None


def _by_overlap(frame: _Frame, candidates: list[tuple[int, float]]) -> int | None:
    """The first candidate with the largest overlap that is not ignored, else the first one that is."""
    valid = [each for each in candidates if frame.detections[each[0]] == 0]
    if valid:
        return max(valid, key=lambda each: each[1])[0]
    return candidates[0][0] if candidates else None
