"""The matrices of a circuit's blocks and the way of a gradient back through them to its angles, compiled.

What a block is made of says `coevo.kernels.pauli_transfer.plan`. A two-qubit row n makes of what its block amounted to
before it, B', noise @ rotation @ (first kron second) @ B': the segments before it on its two qubits, its rotation, its
noise. Three things keep that far below a product of 16 x 16 matrices: the Kronecker product is taken one factor after
the other; a rotation by a Pauli turns planes of two coordinates; and a noisy CX or CZ has 25 entries in 256.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coevo.errors import CoevoError
from coevo.kernels.jit import compiled
from coevo.kernels.pauli_transfer.plan import Plan
from coevo.kernels.pauli_transfer.products import add_small_outer, left_factor, right_factor
from coevo.kernels.pauli_transfer.segments import Segments, build_segments, chain_segments, in_lanes
from coevo.kernels.trigonometry import cosines_sines

Integers = NDArray[np.int64]
_EXCHANGED = np.array([4 * (i % 4) + i // 4 for i in range(16)])  # the index of a pair named the other way round


class Recipe(NamedTuple):
    """How to make the blocks of one program, in integers and fixed matrices.

    Attributes:
        segments: the one-qubit segments: rotations by open angles, after each the matrix of all fixed rows up to the
            next.
        angles: [P] the row of each angle that turns something, or -1: lane by lane of the segments' steps, then of the
            two-qubit rotations.
        twos: [N2, 6] place of its angle, previous row of the block (a number below N2, or -1), segment before on the
            pair's first qubit, on its second, rotation or -1 (+ R' where the row names the pair the other way round),
            noise or -1.
        last: [steps] the last two-qubit row of each block, in the order of the circuit.
        pair_turns: [2 R', 4, 2] planes of the two-qubit rotations, and of those with the qubits exchanged.
        begins, columns, entries: noise k's row i has entries[e] in columns[e] for begins[k, i] <= e < begins[k, i + 1].
            The second half of the noises are the transposed ones.
    """

    segments: Segments
    angles: Integers
    twos: Integers
    last: Integers
    pair_turns: Integers
    begins: Integers
    columns: Integers
    entries: NDArray[Any]


def recipe(
    plan: Plan, rows: NDArray[np.int32], angles: NDArray[np.float64], opened: NDArray[np.bool_], singles: NDArray[Any],
    doubles: NDArray[Any], single_basis: NDArray[Any], double_basis: NDArray[Any], dtype: Any,
) -> Recipe:  # fmt: skip
    """The recipe of a plan's only program with `angles` [G], of which those `opened` [G] depend on weights.

    Conventions: `coevo.kernels.pauli_transfer`.
    """
    kinds = rows[:, 2:].astype(np.int64)
    parts: dict[int, list[tuple[int, int, NDArray[Any] | None]]] = {}
    for row, segment, _ in sorted(plan.singles.tolist()):
        rotation, after = kinds[row].tolist()
        matrix = None if after < 0 else singles[after]
        if rotation >= 0 and not opened[row]:
            constant, cosine, sine = single_basis[rotation]
            turned = constant + np.cos(angles[row]) * cosine + np.sin(angles[row]) * sine
            matrix = turned if matrix is None else matrix @ turned
            rotation = -1
        part = parts.setdefault(segment, [])
        if rotation >= 0 or not part:
            part.append((row, rotation, matrix))
        elif matrix is not None:
            one, turn_before, fixed = part[-1]
            part[-1] = one, turn_before, matrix if fixed is None else matrix @ fixed
    lanes = in_lanes(parts, planes(single_basis), dtype)
    places = lanes.rows.ravel().tolist()
    noises: dict[tuple[int, int], int] = {}
    newest: dict[int, int] = {}  # block -> its newest row
    twos = []
    for number, (row, block, _, first, second, exchanged) in enumerate(sorted(plan.doubles.tolist())):
        rotation, matrix = kinds[row].tolist()
        noise = -1 if matrix < 0 else noises.setdefault((matrix, exchanged), len(noises))
        turn = rotation if rotation < 0 else rotation + len(double_basis) * exchanged
        twos.append((len(places), newest.get(block, -1), first, second, turn, noise))
        if rotation >= 0:
            places.append(row)
        newest[block] = number
    begins: list[list[int]] = []
    columns: list[int] = []
    entries: list[float] = []
    noisy_pairs = [doubles[m][np.ix_(_EXCHANGED, _EXCHANGED)] if exchanged else doubles[m] for m, exchanged in noises]
    for noisy in noisy_pairs + [each.T for each in noisy_pairs]:
        begins.append([len(columns)])
        for row in noisy:
            used = np.flatnonzero(row)
            columns += used.tolist()
            entries += row[used].tolist()
            begins[-1].append(len(columns))
    pair_turns = planes(double_basis)
    return Recipe(
        lanes,
        np.array(places, np.int64),
        np.array(twos, np.int64).reshape(-1, 6),
        np.array([newest[block] for block in plan.blocks[0, ::-1].tolist()], np.int64),
        np.concatenate([pair_turns, _EXCHANGED[pair_turns]]),
        np.array(begins, np.int64).reshape(-1, 17),
        np.array(columns, np.int64),
        np.array(entries, dtype),
    )


def planes(basis: NDArray[Any]) -> Integers:
    """The planes that rotations turn, [R, P, 2], from their PTMs' constant, cosine and sine parts [R, 3, d, d]."""
    found = []
    for constant, cosine, sine in basis:
        pairs = np.argwhere(sine < -0.5)
        again = np.zeros((3, *sine.shape))
        again[0] = np.eye(len(sine))
        for a, b in pairs:
            again[0, [a, b], [a, b]], again[1, [a, b], [a, b]] = 0, 1
            again[2, a, b], again[2, b, a] = -1, 1
        if not np.allclose(again, (constant, cosine, sine), rtol=0, atol=1e-12):
            raise CoevoError("a rotation that does not turn planes of two coordinates; expected one by a Pauli string")
        found.append(pairs)
    return np.array(found, np.int64)


@compiled
def angles_of(offsets: Any, terms: Any, slopes: Any, weights: Any, cosines: Any, sines: Any) -> None:
    """cosines, sines [P] of the angles offsets [P] + slopes * weights[terms[:, 1]] at places terms[:, 0]."""
    angles = offsets.copy()
    for n in range(len(terms)):
        angles[terms[n, 0]] += slopes[n] * weights[terms[n, 1]]
    c, s = np.empty(len(angles)), np.empty(len(angles))
    cosines_sines(angles, 1.0, c, s)  # in double precision, as the sums of terms
    for place in range(len(angles)):
        cosines[place] = c[place]
        sines[place] = s[place]


@compiled
def turn(planes: Any, cosine: Any, sine: Any, matrix: Any) -> None:
    """matrix = rotation @ matrix."""
    for n in range(len(planes)):
        upper, lower = matrix[planes[n, 0]], matrix[planes[n, 1]]
        for j in range(len(upper)):
            x, y = upper[j], lower[j]
            upper[j] = cosine * x - sine * y
            lower[j] = sine * x + cosine * y


@compiled
def by_angle(planes: Any, turned: Any, flow: Any) -> Any:
    """dL / d angle, where turned = rotation @ something and flow = dL / d turned."""
    total = flow[0, 0] * 0
    for n in range(len(planes)):
        a, b = planes[n, 0], planes[n, 1]
        for j in range(turned.shape[1]):
            total += flow[b, j] * turned[a, j] - flow[a, j] * turned[b, j]
    return total


# Matrices of 16 x 16 stand in flat arrays and are known by where they begin: a view made in a loop is counted as a
# reference, which takes as long as a small product.
_ONE, _FOUR, _SIXTEEN, _ALL = np.uint64(1), np.uint64(4), np.uint64(16), np.uint64(256)


@compiled
def sparse(begins: Any, columns: Any, entries: Any, noise: int, source: Any, s: Any, out: Any, o: Any) -> None:
    """out [16, 16] at o = noise @ source [16, 16] at s."""
    for i in range(16):
        t, begin, end = o + np.uint64(16 * i), begins[noise, i], begins[noise, i + 1]
        if begin == end:
            for j in range(_SIXTEEN):
                out[t + j] = 0
        for e in range(begin, end):
            factor, u = entries[e], s + np.uint64(16 * columns[e])
            if e == begin:
                for j in range(_SIXTEEN):
                    out[t + j] = factor * source[u + j]
            else:
                for j in range(_SIXTEEN):
                    out[t + j] += factor * source[u + j]


@compiled
def spread(first: Any, second: Any, segments: Any, wide: Any) -> None:
    """wide [8, 16] flat: rows 0 .. 3 have row i of segment `first` with every entry four times, rows 4 .. 7 that of
    `second` four times over; (first kron second)[4 i + k] = wide[i] * wide[4 + k]."""
    for i in range(_SIXTEEN):
        for q in range(_FOUR):
            wide[_FOUR * i + q] = segments[_SIXTEEN * first + i]
    for k in range(_FOUR):
        for j in range(_SIXTEEN):
            wide[np.uint64(64) + _SIXTEEN * k + j] = segments[_SIXTEEN * second + _FOUR * k + j % _FOUR]


@compiled
def copy(source: Any, s: Any, out: Any, o: Any) -> None:
    """out [16, 16] at o = source [16, 16] at s."""
    for j in range(_ALL):
        out[o + j] = source[s + j]


@compiled
def build(
    offsets: Any, terms: Any, slopes: Any, weights: Any, members: Any, starts: Any, steps: Any, matrices: Any,
    turns: Any, twos: Any, pair_turns: Any, begins: Any, columns: Any, entries: Any, cosines: Any, sines: Any,
    segments: Any, turned: Any, wide: Any, blocks: Any,
) -> None:  # fmt: skip
    """Every matrix of a program. Flat: segments [S, 4, 4], of which segment 0 is the identity; turned, see
    `build_segments`; wide [N2, 16, 16], a block up to a row's rotation; blocks [N2, 16, 16], a block up to and with a
    row."""
    angles_of(offsets, terms, slopes, weights, cosines, sines)
    build_segments(members, starts, steps, matrices, turns, cosines, sines, turned, segments)
    spare, pair = np.empty(256, blocks.dtype), np.empty(128, blocks.dtype)
    zero = np.uint64(0)
    for n in range(len(twos)):
        place, previous, rotation, noise = twos[n, 0], twos[n, 1], twos[n, 4], twos[n, 5]
        first, second = np.uint64(twos[n, 2]), np.uint64(twos[n, 3])
        here, before = np.uint64(n) * _ALL, np.uint64(max(previous, 0)) * _ALL
        if previous < 0:
            spread(first, second, segments, pair)
            for i in range(_FOUR):
                for k in range(_FOUR):
                    a, b, out = _SIXTEEN * i, np.uint64(64) + _SIXTEEN * k, here + _SIXTEEN * (_FOUR * i + k)
                    for j in range(_SIXTEEN):
                        wide[out + j] = pair[a + j] * pair[b + j]
        elif first and second:
            left_factor(segments, _SIXTEEN * first, _FOUR, _ONE, blocks, before, spare, zero)
            right_factor(segments, _SIXTEEN * second, _FOUR, _ONE, spare, zero, wide, here)
        elif first:
            left_factor(segments, _SIXTEEN * first, _FOUR, _ONE, blocks, before, wide, here)
        elif second:
            right_factor(segments, _SIXTEEN * second, _FOUR, _ONE, blocks, before, wide, here)
        else:
            copy(blocks, before, wide, here)
        if rotation >= 0:
            matrix = wide.reshape(-1, 16, 16)[n]
            turn(pair_turns[rotation], cosines[place], sines[place], matrix)
        if noise < 0:
            copy(wide, here, blocks, here)
        else:
            sparse(begins, columns, entries, noise, wide, here, blocks, here)


@compiled
def chain(
    members: Any, starts: Any, steps: Any, matrices: Any, turns: Any, twos: Any, pair_turns: Any, begins: Any,
    columns: Any, entries: Any, cosines: Any, sines: Any, segments: Any, turned: Any, wide: Any, blocks: Any, flow: Any,
    by_segment: Any, by_place: Any,
) -> None:  # fmt: skip
    """by_place [P] = dL / d angles. `flow` [N2, 16, 16] has dL / d block at each block's last row and is used up;
    `by_segment` [S, 4, 4] enters with dL / d the segments after the last blocks. All flat."""
    kind = blocks.dtype
    adjoint, spare, other, third = np.empty(256, kind), np.empty(256, kind), np.empty(256, kind), np.empty(256, kind)
    pair, product, sums = np.empty(128, kind), np.empty((4, 4), kind), np.empty(16, kind)
    transposed, zero = len(begins) // 2, np.uint64(0)
    for n in range(len(twos) - 1, -1, -1):
        place, previous, rotation, noise = twos[n, 0], twos[n, 1], twos[n, 4], twos[n, 5]
        first, second = np.uint64(twos[n, 2]), np.uint64(twos[n, 3])
        here, before = np.uint64(n) * _ALL, np.uint64(max(previous, 0)) * _ALL
        one, two = _SIXTEEN * first, _SIXTEEN * second
        if noise < 0:
            copy(flow, here, adjoint, zero)
        else:
            sparse(begins, columns, entries, transposed + noise, flow, here, adjoint, zero)
        if rotation >= 0:
            matrix = adjoint.reshape(16, 16)
            by_place[place] = by_angle(pair_turns[rotation], wide.reshape(-1, 16, 16)[n], matrix)
            turn(pair_turns[rotation], cosines[place], -sines[place], matrix)
        if previous < 0:  # what stands before the rotation is first kron second alone
            spread(first, second, segments, pair)
            if first:
                for i in range(_FOUR):
                    add_rows(adjoint, np.uint64(64) * i, _SIXTEEN, pair, np.uint64(64), sums)
                    for p in range(_FOUR):
                        for q in range(_FOUR):
                            by_segment[one + _FOUR * i + p] += sums[_FOUR * p + q]
            if second:
                for k in range(_FOUR):
                    add_rows(adjoint, _SIXTEEN * k, np.uint64(64), pair, zero, sums)
                    for p in range(_FOUR):
                        for q in range(_FOUR):
                            by_segment[two + _FOUR * k + q] += sums[_FOUR * p + q]
            continue
        if first and second:
            left_factor(segments, one, _ONE, _FOUR, adjoint, zero, spare, zero)
            right_factor(segments, two, _ONE, _FOUR, adjoint, zero, third, zero)
            by_first(third, blocks, before, product, by_segment, one)
            by_second(spare, blocks, before, other, third, product, by_segment, two)
            right_factor(segments, two, _ONE, _FOUR, spare, zero, flow, before)
        elif first:
            by_first(adjoint, blocks, before, product, by_segment, one)
            left_factor(segments, one, _ONE, _FOUR, adjoint, zero, flow, before)
        elif second:
            by_second(adjoint, blocks, before, other, third, product, by_segment, two)
            right_factor(segments, two, _ONE, _FOUR, adjoint, zero, flow, before)
        else:
            copy(adjoint, zero, flow, before)
    chain_segments(members, starts, steps, matrices, turns, cosines, sines, turned, by_segment, by_place)


@compiled
def add_rows(source: Any, begin: Any, apart: Any, weights: Any, w: Any, out: Any) -> None:
    """out [16] = sum over k < 4 of source [16] at begin + k apart, times weights [4, 16] at w, row k."""
    b, c, d = begin + apart, begin + apart + apart, begin + apart + apart + apart
    x, y, z = w + _SIXTEEN, w + np.uint64(32), w + np.uint64(48)
    for j in range(_SIXTEEN):
        out[j] = (
            source[begin + j] * weights[w + j] + source[b + j] * weights[x + j]
            + source[c + j] * weights[y + j] + source[d + j] * weights[z + j]
        )  # fmt: skip


@compiled
def by_first(adjoint: Any, blocks: Any, before: Any, product: Any, by_segment: Any, at: Any) -> None:
    """Adds dL / d first [4, 4] to `by_segment` at `at`; adjoint = dL / d ((first kron 1) @ the block at `before`)."""
    product[:] = 0
    add_small_outer(adjoint, blocks[before : before + _ALL], product)
    for i in range(_FOUR):
        for j in range(_FOUR):
            by_segment[at + _FOUR * i + j] += product[i, j]


@compiled
def by_second(
    adjoint: Any, blocks: Any, before: Any, one: Any, two: Any, product: Any, by_segment: Any, at: Any
) -> None:
    """As `by_first` for (1 kron second): with rows (first, second) as (second, first), in `one` and `two` [16, 16]."""
    exchange(adjoint, np.uint64(0), one)
    exchange(blocks, before, two)
    product[:] = 0
    add_small_outer(one, two, product)
    for i in range(_FOUR):
        for j in range(_FOUR):
            by_segment[at + _FOUR * i + j] += product[i, j]


@compiled
def exchange(source: Any, s: Any, out: Any) -> None:
    """out [16, 16] = source [16, 16] at s with rows (first, second) as (second, first)."""
    for i in range(_FOUR):
        for k in range(_FOUR):
            t, u = _SIXTEEN * (_FOUR * i + k), s + _SIXTEEN * (_FOUR * k + i)
            for j in range(_SIXTEEN):
                out[t + j] = source[u + j]
