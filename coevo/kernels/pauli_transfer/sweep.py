"""The backward sweep, compiled: measured operators pulled through a noisy circuit, one candidate a call.

Two steps, all on arrays: `assemble` drops what lies outside the light cone and merges each one-qubit row into the next
two-qubit block (rows on one pair, in either direction, become one block); `pull_back` takes each operator through the
blocks, on the qubits that it has reached so far and no others. Loops are written out where NumPy would assign a slice:
numba compiles them in a tenth of the time.
Conventions and the arrays' meaning: `coevo.kernels.pauli_transfer`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled
from coevo.kernels.pauli_transfer.products import PIECE, mix


@compiled
def light_cone(rows: Any, read: Any, num_qubits: int) -> Any:
    """(kept uint8 [G], position int32 [num_qubits], the cone's size): which rows can influence a readout, and where in
    the ascending list of the cone's qubits each qubit stands (-1 outside)."""
    kept = np.empty(len(rows), np.uint8)
    position = np.empty(num_qubits, np.int32)
    for qubit in range(num_qubits):
        position[qubit] = -1
    for place in range(len(read)):
        position[read[place]] = 0
    for row in range(len(rows) - 1, -1, -1):
        first, second = rows[row, 0], rows[row, 1]
        kept[row] = 0
        if position[first] == 0 or (second >= 0 and position[second] == 0):
            kept[row] = 1
            position[first] = 0
            if second >= 0:
                position[second] = 0
    size = 0
    for qubit in range(num_qubits):
        if position[qubit] == 0:
            position[qubit] = size
            size += 1
    return kept, position, size


@compiled
def row_matrix(rotation: int, after: int, angle: float, basis: Any, matrices: Any, out: Any, spare: Any) -> None:
    """out [d, d] = the noisy PTM of a row: its rotation by the angle, then its matrix."""
    dim = len(out)
    if rotation < 0:
        for i in range(dim):
            for j in range(dim):
                if after < 0:
                    out[i, j] = 1.0 if i == j else 0.0
                else:
                    out[i, j] = matrices[after, i, j]
        return
    cosine, sine = np.cos(angle), np.sin(angle)
    for i in range(dim):
        for j in range(dim):
            spare[i, j] = basis[rotation, 0, i, j] + cosine * basis[rotation, 1, i, j] + sine * basis[rotation, 2, i, j]
    for i in range(dim):
        for j in range(dim):
            if after < 0:
                out[i, j] = spare[i, j]
            else:
                total = matrices[after, i, 0] * spare[0, j]
                for k in range(1, dim):
                    total += matrices[after, i, k] * spare[k, j]
                out[i, j] = total


@compiled
def multiply(left: Any, right: Any, out: Any) -> None:
    """out = left @ right, square and small."""
    dim = len(out)
    for i in range(dim):
        for j in range(dim):
            out[i, j] = left[i, 0] * right[0, j]
        for k in range(1, dim):
            factor = left[i, k]
            if factor != 0.0:
                for j in range(dim):
                    out[i, j] += factor * right[k, j]


@compiled
def pair_product(a: Any, b: Any, right: Any, out: Any) -> None:
    """out [16, 16] = (a kron b) @ right, for a, b [4, 4]."""
    for i in range(4):
        for k in range(4):
            row = 4 * i + k
            for j in range(16):
                out[row, j] = 0.0
            for p in range(4):
                if a[i, p] == 0.0:
                    continue
                for q in range(4):
                    factor = a[i, p] * b[k, q]
                    if factor != 0.0:
                        for j in range(16):
                            out[row, j] += factor * right[4 * p + q, j]


@compiled
def assemble(
    rows: Any,
    angles: Any,
    singles: Any,
    doubles: Any,
    single_basis: Any,
    double_basis: Any,
    read: Any,
    num_qubits: int,
    max_qubits: int,
) -> Any:
    """(pairs int32 [B, 2] as positions in the cone, blocks [B, 16, 16], tails [size, 4, 4], position, size): what
    one-qubit rows after a qubit's last block amount to stands in `tails`. Beyond `max_qubits` only the size counts."""
    kept, position, size = light_cone(rows, read, num_qubits)
    kind = singles.dtype
    count = 0
    for row in range(len(rows)):
        if kept[row] and rows[row, 1] >= 0 and size <= max_qubits:
            count += 1
    pairs = np.empty((count, 2), np.int32)
    blocks = np.empty((count, 16, 16), kind)
    tails = np.empty((size, 4, 4), kind)
    dirty = np.empty(size, np.uint8)
    owner = np.empty(size, np.int32)
    for place in range(size):
        clear(tails, place)
        dirty[place] = 0
        owner[place] = -1
    if size > max_qubits:
        return pairs, blocks, tails, position, size
    small, spare, product = np.empty((4, 4), kind), np.empty((4, 4), kind), np.empty((4, 4), kind)
    large, large_spare, before = np.empty((16, 16), kind), np.empty((16, 16), kind), np.empty((16, 16), kind)
    found = 0
    for row in range(len(rows)):
        if not kept[row]:
            continue
        first = position[rows[row, 0]]
        if rows[row, 1] < 0:
            row_matrix(rows[row, 2], rows[row, 3], angles[row], single_basis, singles, small, spare)
            multiply(small, tails[first], product)
            for i in range(4):
                for j in range(4):
                    tails[first, i, j] = product[i, j]
            dirty[first] = 1
            continue
        second = position[rows[row, 1]]
        row_matrix(rows[row, 2], rows[row, 3], angles[row], double_basis, doubles, large, large_spare)
        block = owner[first]
        joined = block >= 0 and block == owner[second]
        if not joined:
            block = found
            found += 1
            pairs[block, 0] = first
            pairs[block, 1] = second
            owner[first] = block
            owner[second] = block
        elif pairs[block, 0] != first:  # the same pair the other way round
            for i in range(16):
                for j in range(16):
                    large_spare[i, j] = large[(i % 4) * 4 + i // 4, (j % 4) * 4 + j // 4]
            for i in range(16):
                for j in range(16):
                    large[i, j] = large_spare[i, j]
            first, second = second, first
        if not joined:
            if not dirty[first] and not dirty[second]:
                for i in range(16):
                    for j in range(16):
                        blocks[block, i, j] = large[i, j]
                continue
            for i in range(16):
                for j in range(16):
                    before[i, j] = tails[first, i // 4, j // 4] * tails[second, i % 4, j % 4]
        elif dirty[first] or dirty[second]:
            pair_product(tails[first], tails[second], blocks[block], before)
        else:
            for i in range(16):
                for j in range(16):
                    before[i, j] = blocks[block, i, j]
        multiply(large, before, blocks[block])
        clear(tails, first)
        clear(tails, second)
        dirty[first] = 0
        dirty[second] = 0
    return pairs[:found], blocks[:found], tails, position, size


@compiled
def clear(tails: Any, place: int) -> None:
    """tails[place] = the identity."""
    for i in range(4):
        for j in range(4):
            tails[place, i, j] = 1.0 if i == j else 0.0


@compiled
def contract(block: Any, source: Any, first: int, second: int, digits: int, target: Any) -> None:
    """target = block^T source.

    `source` [4^digits] has the pair's digits at places `first` and `second` (place 0 is the most significant);
    `target` has them in front, the block's first qubit first, and the other digits after them in their order.
    """
    low, high = min(first, second), max(first, second)
    middle = 4 ** (high - low - 1)
    right = 4 ** (digits - 1 - high)
    columns = 4 ** (digits - 2)
    swapped = first > second
    weights = np.empty((16, 16), source.dtype)
    for i in range(16):
        for j in range(16):
            weights[i, j] = block[j, i]
    tile, product = np.empty(16 * PIECE, source.dtype), np.empty(16 * PIECE, source.dtype)
    offsets = np.empty(PIECE, np.int64)
    x, y, z = 0, 0, 0  # the digits before both qubits, between them and after them
    for begin in range(0, columns, PIECE):
        width = min(PIECE, columns - begin)
        for k in range(width):
            offsets[k] = 4 * right * (4 * middle * x + y) + z
            z += 1
            if z == right:
                z = 0
                y += 1
                if y == middle:
                    y = 0
                    x += 1
        for i in range(16):
            a, b = (i % 4, i // 4) if swapped else (i // 4, i % 4)
            shift = (4 * middle * a + b) * right
            for k in range(width):
                tile[PIECE * i + k] = source[offsets[k] + shift]
        if columns == PIECE:
            mix(weights, tile, target)
        elif width == PIECE:
            mix(weights, tile, product)
            for i in range(16):
                for k in range(PIECE):
                    target[i * columns + begin + k] = product[PIECE * i + k]
        else:
            for i in range(16):
                out = target[i * columns : i * columns + width]
                for k in range(width):
                    out[k] = 0.0
                for j in range(0, 16, 4):
                    p, q, r, s = weights[i, j], weights[i, j + 1], weights[i, j + 2], weights[i, j + 3]
                    if p == 0.0 and q == 0.0 and r == 0.0 and s == 0.0:
                        continue
                    at = PIECE * j
                    for k in range(width):
                        out[k] += (
                            p * tile[at + k] + q * tile[at + PIECE + k]
                            + r * tile[at + 2 * PIECE + k] + s * tile[at + 3 * PIECE + k]
                        )  # fmt: skip


@compiled
def pull_back(
    pairs: Any, blocks: Any, supports: Any, starts: Any, columns: Any, encoded: int, out: Any, reached: Any
) -> None:
    """out [n_obs, 4^m] = operators pulled back through all blocks, over the m encoded qubits.

    Operator o acts on the cone positions supports[o] int32 [most], of which the first that is -1 ends the list, with
    the coefficients starts[o] [4^most] after the last block (the first position the most significant digit; only the
    4^positions first count). `columns` [size] gives each cone position's digit among the encoded qubits, or -1 for a
    qubit in |0>. Only the qubits that an operator has reached are carried; `reached` uint8 [n_obs, m], zeros before,
    gets 1 where that is an encoded one.
    """
    size = len(columns)
    work = np.empty((2, 4**size), out.dtype)
    order, spare = np.empty(size + 2, np.int32), np.empty(size + 2, np.int32)
    for observable in range(len(supports)):
        current, digits = 0, 0
        for place in range(supports.shape[1]):
            if supports[observable, place] < 0:
                break
            order[digits] = supports[observable, place]
            digits += 1
        for j in range(4**digits):
            work[0, j] = starts[observable, j]
        for block in range(len(pairs) - 1, -1, -1):
            a, b = pairs[block, 0], pairs[block, 1]
            first, second = -1, -1
            for i in range(digits):
                if order[i] == a:
                    first = i
                elif order[i] == b:
                    second = i
            if first < 0 and second < 0:
                continue
            source, target = work[current], work[1 - current]
            if first >= 0 and second >= 0:
                contract(blocks[block], source, first, second, digits, target)
            else:
                grow(blocks[block], source, first, second, digits, target)
            kept = 2
            for i in range(digits):
                if order[i] != a and order[i] != b:
                    spare[kept] = order[i]
                    kept += 1
            spare[0] = a
            spare[1] = b
            digits = kept
            for i in range(digits):
                order[i] = spare[i]
            current = 1 - current
        for i in range(digits):
            if columns[order[i]] >= 0:
                reached[observable, columns[order[i]]] = 1
        to_digits(work[current], order, digits, columns, encoded, out[observable])


@compiled
def grow(block: Any, source: Any, first: int, second: int, digits: int, target: Any) -> None:
    """As `contract`, where only one qubit of the pair is among the digits; the other's place is -1."""
    old = max(first, second)
    left, right = 4**old, 4 ** (digits - 1 - old)
    columns = left * right
    step = 4 if first >= 0 else 1  # the digit of the qubit that is new is 0
    for i in range(16):
        m0, m1 = block[0, i], block[step, i]
        m2, m3 = block[2 * step, i], block[3 * step, i]
        for x in range(left):
            for y in range(right):
                base = x * 4 * right + y
                target[i * columns + x * right + y] = (
                    m0 * source[base]
                    + m1 * source[base + right]
                    + m2 * source[base + 2 * right]
                    + m3 * source[base + 3 * right]
                )


@compiled
def to_digits(source: Any, order: Any, digits: int, columns: Any, encoded: int, out: Any) -> None:
    """out [4^encoded] = the operator over the encoded qubits alone. A qubit in |0> counts I and Z as 1, X and Y as 0;
    an encoded qubit that the operator never reached stays at I."""
    for i in range(len(out)):
        out[i] = 0.0
    if digits == 0:  # a multiple of the identity
        out[0] = source[0]
        return
    stride = np.empty(digits, np.int64)
    for i in range(digits):
        place = columns[order[i]]
        stride[i] = 4 ** (encoded - 1 - place) if place >= 0 else -1
    last = stride[digits - 1]
    for head in range(4 ** (digits - 1)):
        rest = head
        where = 0
        dropped = False
        for i in range(digits - 2, -1, -1):
            digit = rest & 3
            rest >>= 2
            if stride[i] >= 0:
                where += digit * stride[i]
            elif digit in (1, 2):
                dropped = True
        if dropped:
            continue
        base = 4 * head
        if last >= 0:
            for digit in range(4):
                out[where + digit * last] += source[base + digit]
        else:
            out[where] += source[base] + source[base + 3]
