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
from coevo.kernels.trigonometry import cosines_sines

Integers = NDArray[np.int64]
_EXCHANGED = np.array([4 * (i % 4) + i // 4 for i in range(16)])  # the index of a pair named the other way round


class Recipe(NamedTuple):
    """How to make the blocks of one program, in integers and fixed matrices.

    Attributes:
        ones: [N1, 4] row, segment, rotation or -1, matrix or -1: what segments are made of, in order; a rotation by an
            open angle, then the matrix of all fixed rows up to the next.
        twos: [N2, 6] row, previous row of the block (a number below N2, or -1), segment before on the pair's first
            qubit, on its second, rotation or -1 (+ R' where the row names the pair the other way round), noise or -1.
        last: [steps] the last two-qubit row of each block, in the order of the circuit.
        turns: [R, 1, 2] planes of the one-qubit rotations: coordinates (a, b) become (c a - s b, s a + c b).
        pair_turns: [2 R', 4, 2] the same of the two-qubit rotations, and of those with the qubits exchanged.
        singles: [S, 4, 4] those matrices.
        begins, columns, entries: noise k's row i has entries[e] in columns[e] for begins[k, i] <= e < begins[k, i + 1].
    """

    ones: Integers
    twos: Integers
    last: Integers
    turns: Integers
    pair_turns: Integers
    singles: NDArray[Any]
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
    ones: list[list[int]] = []
    fixed: list[NDArray[Any]] = []
    latest: dict[int, list[int]] = {}  # segment -> its newest entry
    for row, segment, _ in sorted(plan.singles.tolist()):
        rotation, after = kinds[row].tolist()
        matrix = np.eye(4) if after < 0 else singles[after]
        if rotation >= 0 and not opened[row]:
            constant, cosine, sine = single_basis[rotation]
            matrix = matrix @ (constant + np.cos(angles[row]) * cosine + np.sin(angles[row]) * sine)
            rotation = -1
        entry = latest.get(segment)
        if entry is None or rotation >= 0:
            entry = latest[segment] = [row, segment, rotation, -1]
            ones.append(entry)
        if rotation < 0 or after >= 0:
            if entry[3] < 0:
                entry[3] = len(fixed)
                fixed.append(matrix)
            else:
                fixed[entry[3]] = matrix @ fixed[entry[3]]
    noises: dict[tuple[int, int], int] = {}
    newest: dict[int, int] = {}  # block -> its newest row
    twos = []
    for number, (row, block, _, first, second, exchanged) in enumerate(sorted(plan.doubles.tolist())):
        rotation, matrix = kinds[row].tolist()
        noise = -1 if matrix < 0 else noises.setdefault((matrix, exchanged), len(noises))
        turn = rotation if rotation < 0 else rotation + len(double_basis) * exchanged
        twos.append((row, newest.get(block, -1), first, second, turn, noise))
        newest[block] = number
    begins: list[list[int]] = []
    columns: list[int] = []
    entries: list[float] = []
    for matrix, exchanged in noises:
        noisy = doubles[matrix][np.ix_(_EXCHANGED, _EXCHANGED)] if exchanged else doubles[matrix]
        begins.append([len(columns)])
        for row in noisy:
            used = np.flatnonzero(row)
            columns += used.tolist()
            entries += row[used].tolist()
            begins[-1].append(len(columns))
    pair_turns = planes(double_basis)
    return Recipe(
        np.array(ones, np.int64).reshape(-1, 4),
        np.array(twos, np.int64).reshape(-1, 6),
        np.array([newest[block] for block in plan.blocks[0, ::-1].tolist()], np.int64),
        planes(single_basis),
        np.concatenate([pair_turns, _EXCHANGED[pair_turns]]),
        np.array(fixed, dtype).reshape(-1, 4, 4),
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
    """cosines, sines [G] of the angles offsets [G] + slopes * weights[terms[:, 1]] at rows terms[:, 0]."""
    angles = offsets.copy()
    for n in range(len(terms)):
        angles[terms[n, 0]] += slopes[n] * weights[terms[n, 1]]
    c, s = np.empty(len(angles)), np.empty(len(angles))
    cosines_sines(angles, 1.0, c, s)  # in double precision, as the sums of terms
    for row in range(len(angles)):
        cosines[row] = c[row]
        sines[row] = s[row]


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


@compiled
def build(
    ones: Any, twos: Any, turns: Any, pair_turns: Any, singles: Any, begins: Any, columns: Any, entries: Any,
    cosines: Any, sines: Any, segments: Any, turned: Any, wide: Any, blocks: Any,
) -> None:  # fmt: skip
    """Every matrix of a program: segments [S, 4, 4]; turned [N1, 4, 4], a segment up to a row's rotation; wide
    [N2, 16, 16], a block up to a row's rotation; blocks [N2, 16, 16], a block up to and with a row."""
    spare = np.empty((16, 16), blocks.dtype)
    segments[:] = 0
    for s in range(len(segments)):
        for i in range(4):
            segments[s, i, i] = 1
    for n in range(len(ones)):
        row, rotation, after = ones[n, 0], ones[n, 2], ones[n, 3]
        segment, kept = segments[ones[n, 1]], turned[n]
        if rotation >= 0:
            turn(turns[rotation], cosines[row], sines[row], segment)
        for i in range(4):
            for j in range(4):
                kept[i, j] = segment[i, j]
        if after >= 0:
            matrix = singles[after]
            for i in range(4):
                for j in range(4):
                    segment[i, j] = (
                        matrix[i, 0] * kept[0, j] + matrix[i, 1] * kept[1, j]
                        + matrix[i, 2] * kept[2, j] + matrix[i, 3] * kept[3, j]
                    )  # fmt: skip
    for n in range(len(twos)):
        row, previous, rotation, noise = twos[n, 0], twos[n, 1], twos[n, 4], twos[n, 5]
        first, second = segments[twos[n, 2]], segments[twos[n, 3]]
        before = wide[n]
        if previous < 0:
            for i in range(16):
                for j in range(16):
                    before[i, j] = first[i // 4, j // 4] * second[i % 4, j % 4]
        elif twos[n, 2] and twos[n, 3]:
            left_factor(first, blocks[previous].ravel(), spare.ravel())
            right_factor(second, spare.ravel(), before.ravel())
        elif twos[n, 2]:
            left_factor(first, blocks[previous].ravel(), before.ravel())
        elif twos[n, 3]:
            right_factor(second, blocks[previous].ravel(), before.ravel())
        else:
            before[:] = blocks[previous]
        if rotation >= 0:
            turn(pair_turns[rotation], cosines[row], sines[row], before)
        if noise < 0:
            blocks[n] = before
            continue
        for i in range(16):
            out = blocks[n, i]
            for j in range(16):
                out[j] = 0
            for e in range(begins[noise, i], begins[noise, i + 1]):
                factor, source = entries[e], before[columns[e]]
                for j in range(16):
                    out[j] += factor * source[j]


@compiled
def chain(
    ones: Any, twos: Any, turns: Any, pair_turns: Any, singles: Any, begins: Any, columns: Any, entries: Any,
    cosines: Any, sines: Any, segments: Any, turned: Any, wide: Any, blocks: Any, flow: Any, by_segment: Any,
    gradient: Any,
) -> None:  # fmt: skip
    """gradient [G] = dL / d angles. `flow` [N2, 16, 16] has dL / d block at each block's last row and is used up;
    `by_segment` [S, 4, 4] enters with dL / d the segments after the last blocks."""
    kind = blocks.dtype
    adjoint, spare, other = np.empty((16, 16), kind), np.empty((16, 16), kind), np.empty((16, 16), kind)
    product = np.empty((4, 4), kind)
    for n in range(len(twos) - 1, -1, -1):
        row, previous, rotation, noise = twos[n, 0], twos[n, 1], twos[n, 4], twos[n, 5]
        first, second = segments[twos[n, 2]], segments[twos[n, 3]]
        if noise < 0:
            adjoint[:] = flow[n]
        else:
            for i in range(16):
                for j in range(16):
                    adjoint[i, j] = 0
            for i in range(16):
                source = flow[n, i]
                for e in range(begins[noise, i], begins[noise, i + 1]):
                    factor, out = entries[e], adjoint[columns[e]]
                    for j in range(16):
                        out[j] += factor * source[j]
        if rotation >= 0:
            gradient[row] += by_angle(pair_turns[rotation], wide[n], adjoint)
            turn(pair_turns[rotation], cosines[row], -sines[row], adjoint)
        if previous < 0:  # what stands before the rotation is first kron second alone
            for i in range(4):
                for p in range(4):
                    total, also = adjoint[0, 0] * 0, adjoint[0, 0] * 0
                    for k in range(4):
                        for q in range(4):
                            total += adjoint[4 * i + k, 4 * p + q] * second[k, q]
                            also += adjoint[4 * k + i, 4 * q + p] * first[k, q]
                    by_segment[twos[n, 2], i, p] += total
                    by_segment[twos[n, 3], i, p] += also
            continue
        if twos[n, 3]:  # by the second factor, with the first pulled through: index (k, i) and (q, i)
            if twos[n, 2]:
                left_factor(first.T, adjoint.ravel(), spare.ravel())
            else:
                spare[:] = adjoint
            exchange(spare, other)
            exchange(blocks[previous], spare)
            product[:] = 0
            add_small_outer(other.ravel(), spare.ravel(), product)
            for i in range(4):
                for j in range(4):
                    by_segment[twos[n, 3], i, j] += product[i, j]
            right_factor(second.T, adjoint.ravel(), spare.ravel())
        else:
            spare[:] = adjoint
        if twos[n, 2]:
            product[:] = 0
            add_small_outer(spare.ravel(), blocks[previous].ravel(), product)
            for i in range(4):
                for j in range(4):
                    by_segment[twos[n, 2], i, j] += product[i, j]
            left_factor(first.T, spare.ravel(), flow[previous].ravel())
        else:
            flow[previous] = spare
    for n in range(len(ones) - 1, -1, -1):
        row, rotation, after = ones[n, 0], ones[n, 2], ones[n, 3]
        behind = by_segment[ones[n, 1]]
        if after >= 0:
            matrix = singles[after]
            for i in range(4):
                for j in range(4):
                    product[i, j] = (
                        matrix[0, i] * behind[0, j] + matrix[1, i] * behind[1, j]
                        + matrix[2, i] * behind[2, j] + matrix[3, i] * behind[3, j]
                    )  # fmt: skip
            behind[:] = product
        if rotation >= 0:
            gradient[row] += by_angle(turns[rotation], turned[n], behind)
            turn(turns[rotation], cosines[row], -sines[row], behind)


@compiled
def exchange(source: Any, out: Any) -> None:
    """out = source with rows (first, second) as (second, first)."""
    for i in range(4):
        for k in range(4):
            for j in range(16):
                out[4 * i + k, j] = source[4 * k + i, j]
