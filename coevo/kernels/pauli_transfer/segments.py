"""The one-qubit segments of a circuit in lanes, compiled: their matrices, and their angles' gradient.

A segment is a product of a few rotations and fixed matrices [4, 4]. Sixteen segments are made side by side, one a lane:
a piece is flat, [4, 4, 16], so that one vector instruction serves as many segments as it has numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.jit import compiled

Integers = NDArray[np.int64]
LANES = 16
"""Segments of a piece."""
_LANES, _ROW, _MATRIX = np.uint64(LANES), np.uint64(4 * LANES), np.uint64(16 * LANES)
_ONE, _FOUR = np.uint64(1), np.uint64(4)


class Segments(NamedTuple):
    """How to make the segments, in integers and fixed matrices. N steps: rotations of one kind, then fixed matrices.

    Attributes:
        members: [pieces, 16] segment of each lane, or -1.
        begins: [pieces + 1] a piece's first step.
        steps: [N, 2] rotation or -1, whether fixed matrices follow.
        rows: [N, 16] the row whose angle a lane is turned by; -1 where it is not turned (an angle of 0).
        matrices: [N 256] flat [N, 4, 4, 16], the identity where a lane has none.
        turns: [R, 1, 2] planes of the rotations: coordinates (a, b) become (c a - s b, s a + c b).
    """

    members: Integers
    begins: Integers
    steps: Integers
    rows: Integers
    matrices: NDArray[Any]
    turns: Integers


def in_lanes(parts: dict[int, list[tuple[int, int, NDArray[Any] | None]]], turns: Integers, dtype: Any) -> Segments:
    """Segments by number, each a list of (row, rotation or -1, fixed matrix after it or None) in order."""
    order = sorted(parts, key=lambda segment: -len(parts[segment]))  # lanes of about the same length side by side
    members = np.full((-(-len(order) // LANES), LANES), -1, np.int64)
    members.reshape(-1)[: len(order)] = order
    begins: list[int] = [0]
    steps: list[tuple[int, int]] = []
    rows: list[NDArray[np.int64]] = []
    matrices: list[NDArray[Any]] = []
    for piece in members.tolist():
        own = [parts[segment] if segment >= 0 else [] for segment in piece]
        for depth in range(max(map(len, own))):
            now = {lane: part[depth] for lane, part in enumerate(own) if depth < len(part)}
            kinds = sorted({rotation for _, rotation, _ in now.values() if rotation >= 0}) or [-1]
            for kind in kinds:
                turned, after = np.full(LANES, -1, np.int64), np.tile(np.eye(4)[..., None], LANES)
                follow = 0
                for lane, (row, rotation, matrix) in now.items():
                    if rotation == kind and kind >= 0:
                        turned[lane] = row
                    if kind == kinds[-1] and matrix is not None:
                        after[..., lane] = matrix
                        follow = 1
                steps.append((kind, follow))
                rows.append(turned)
                matrices.append(after)
        begins.append(len(steps))
    return Segments(
        members,
        np.array(begins, np.int64),
        np.array(steps, np.int64).reshape(-1, 2),
        np.array(rows, np.int64).reshape(-1, LANES),
        np.array(matrices, dtype).reshape(-1),
        turns,
    )


@compiled
def rotate(turns: Any, rotation: int, cosines: Any, sines: Any, place: Any, sign: Any, piece: Any, at: Any) -> None:
    """The piece that begins at `at`: rotations by the angles at `place` + lane, times `sign`, @ it."""
    for n in range(turns.shape[1]):
        a, b = at + np.uint64(turns[rotation, n, 0]) * _ROW, at + np.uint64(turns[rotation, n, 1]) * _ROW
        for j in range(np.uint64(0), _ROW, _LANES):
            for lane in range(_LANES):
                c, s = cosines[place + lane], sign * sines[place + lane]
                x, y = piece[a + j + lane], piece[b + j + lane]
                piece[a + j + lane] = c * x - s * y
                piece[b + j + lane] = s * x + c * y


@compiled
def multiply(matrices: Any, m: Any, down: Any, across: Any, source: Any, s: Any, out: Any, o: Any) -> None:
    """out at o = matrices at m @ source at s, lane by lane; entries of the matrices' columns are `down` apart, those of
    their rows `across` (exchanged for the transposed ones)."""
    for i in range(_FOUR):
        p, q = m + i * down, m + i * down + across
        r, t = q + across, q + across + across
        for j in range(_FOUR):
            u, w = s + j * _LANES, o + i * _ROW + j * _LANES
            for lane in range(_LANES):
                out[w + lane] = (
                    matrices[p + lane] * source[u + lane] + matrices[q + lane] * source[u + _ROW + lane]
                    + matrices[r + lane] * source[u + _ROW + _ROW + lane]
                    + matrices[t + lane] * source[u + _ROW + _ROW + _ROW + lane]
                )  # fmt: skip


@compiled
def build_segments(
    members: Any, begins: Any, steps: Any, matrices: Any, turns: Any, cosines: Any, sines: Any, turned: Any,
    segments: Any,
) -> None:  # fmt: skip
    """segments [S 16]; turned [N 256], a step's piece up to its rotation."""
    kind = segments.dtype.type
    zero, one = np.uint64(0), kind(1)
    piece = np.empty(_MATRIX, segments.dtype)
    for p in range(len(members)):
        piece[:] = 0
        for i in range(np.uint64(0), _MATRIX, _ROW + _LANES):
            for lane in range(_LANES):
                piece[i + lane] = one
        for n in range(begins[p], begins[p + 1]):
            at, rotation = np.uint64(n) * _MATRIX, steps[n, 0]
            for k in range(_MATRIX):
                turned[at + k] = piece[k]
            if rotation >= 0:
                rotate(turns, rotation, cosines, sines, np.uint64(n) * _LANES, one, turned, at)
            if steps[n, 1]:
                multiply(matrices, at, _ROW, _LANES, turned, at, piece, zero)
            else:
                for k in range(_MATRIX):
                    piece[k] = turned[at + k]
        for lane in range(_LANES):
            if members[p, lane] >= 0:
                at = np.uint64(members[p, lane]) * _LANES
                for k in range(_LANES):
                    segments[at + k] = piece[k * _LANES + lane]


@compiled
def chain_segments(
    members: Any, begins: Any, steps: Any, matrices: Any, turns: Any, cosines: Any, sines: Any, turned: Any,
    by_segment: Any, gradient: Any,
) -> None:  # fmt: skip
    """gradient [N 16 or more] = dL / d angles, from by_segment [S 16] = dL / d segments."""
    kind = by_segment.dtype.type
    zero, minus = np.uint64(0), kind(-1)
    piece, behind = np.zeros(_MATRIX, by_segment.dtype), np.empty(_MATRIX, by_segment.dtype)
    for p in range(len(members)):
        for lane in range(_LANES):
            if members[p, lane] >= 0:
                at = np.uint64(members[p, lane]) * _LANES
                for k in range(_LANES):
                    piece[k * _LANES + lane] = by_segment[at + k]
        for n in range(begins[p + 1] - 1, begins[p] - 1, -1):
            at, place, rotation = np.uint64(n) * _MATRIX, np.uint64(n) * _LANES, steps[n, 0]
            if steps[n, 1]:
                multiply(matrices, at, _LANES, _ROW, piece, zero, behind, zero)
                for k in range(_MATRIX):
                    piece[k] = behind[k]
            if rotation < 0:
                continue
            for lane in range(_LANES):
                gradient[place + lane] = 0
            for m in range(turns.shape[1]):
                a, b = np.uint64(turns[rotation, m, 0]) * _ROW, np.uint64(turns[rotation, m, 1]) * _ROW
                for j in range(np.uint64(0), _ROW, _LANES):
                    for lane in range(_LANES):
                        gradient[place + lane] += (
                            piece[b + j + lane] * turned[at + a + j + lane]
                            - piece[a + j + lane] * turned[at + b + j + lane]
                        )
            rotate(turns, rotation, cosines, sines, place, minus, piece, zero)
