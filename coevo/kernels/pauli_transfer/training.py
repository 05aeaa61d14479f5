"""Exact gradients through noisy channels, compiled: one backward sweep stored, one forward sweep meeting it.

With g[b, o] = dL / dE[b, o], the full-batch loss depends on the data only through the n_obs operators
R_o = sum_b g[b, o] rho_b, and dL / d theta = sum_o Tr(dO_o / d theta R_o): the sweeps cost the same for one sample and
for a thousand. Noise is not invertible, so operators are stored and not undone. Conventions:
`coevo.kernels.pauli_transfer`; who merges with whom: `coevo.kernels.pauli_transfer.plan`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled
from coevo.kernels.pauli_transfer.sweep import multiply, pair_product, row_matrix


@compiled
def build(
    rows: Any, angles: Any, singles: Any, doubles: Any, single_basis: Any, double_basis: Any, small: Any, large: Any,
    segments: Any, prefixes: Any, mixed: Any, cores: Any, blocks: Any,
) -> None:  # fmt: skip
    """Every matrix of a program.

    small int64 [N1, 3] and large int64 [N2, 6] are a plan's `singles` and `doubles`. Filled: segments [S, 4, 4];
    prefixes [N1, 4, 4], what stands before each row in its segment; cores [N2, 16, 16], each two-qubit row alone; mixed
    [N2, 16, 16], what its block amounts to before it and its segments; blocks [B, 16, 16].
    """
    kind = segments.dtype
    matrix, spare, product = np.empty((4, 4), kind), np.empty((4, 4), kind), np.empty((4, 4), kind)
    core, wide, whole = np.empty((16, 16), kind), np.empty((16, 16), kind), np.empty((16, 16), kind)
    for s in range(len(segments)):
        for i in range(4):
            for j in range(4):
                segments[s, i, j] = 1.0 if i == j else 0.0
    for b in range(len(blocks)):
        for i in range(16):
            for j in range(16):
                blocks[b, i, j] = 1.0 if i == j else 0.0
    for n in range(len(small)):
        row, segment = small[n, 0], small[n, 1]
        row_matrix(rows[row, 2], rows[row, 3], angles[row], single_basis, singles, matrix, spare)
        multiply(matrix, segments[segment], product)
        for i in range(4):
            for j in range(4):
                prefixes[n, i, j] = segments[segment, i, j]
                segments[segment, i, j] = product[i, j]
    for n in range(len(large)):
        row, block = large[n, 0], large[n, 1]
        row_matrix(rows[row, 2], rows[row, 3], angles[row], double_basis, doubles, core, wide)
        for i in range(16):
            for j in range(16):
                if large[n, 5]:
                    cores[n, i, j] = core[(i % 4) * 4 + i // 4, (j % 4) * 4 + j // 4]
                else:
                    cores[n, i, j] = core[i, j]
                mixed[n, i, j] = blocks[block, i, j]
        pair_product(segments[large[n, 3]], segments[large[n, 4]], mixed[n], wide)
        multiply(cores[n], wide, whole)
        for i in range(16):
            for j in range(16):
                blocks[block, i, j] = whole[i, j]


@compiled
def offsets_of(first: int, second: int, digits: int, out: Any) -> None:
    """out int64 [columns]: where the entries with both digits 0 at places `first`, `second` stand, rest in order."""
    low, high = min(first, second), max(first, second)
    middle, right = 4 ** (high - low - 1), 4 ** (digits - 1 - high)
    for column in range(len(out)):
        within = column % right
        rest = column // right
        out[column] = ((rest // middle) * 4 * middle + rest % middle) * 4 * right + within


@compiled
def sweep_back(pairs: Any, blocks: Any, used: Any, stored: Any, orders: Any) -> None:
    """stored [T + 1, n_obs, 4^k]: from stored[T], the operators after all T blocks, those before each block t.

    `used` [T] numbers the block of each step in circuit order, `pairs` [T, 2] its digits; orders int64 [T + 1, k] lists
    the digits of stored[t]: the pair of block t in front.
    """
    steps, digits = len(used), orders.shape[1]
    columns = 4 ** (digits - 2)
    base = np.empty(columns, np.int64)
    tile = np.empty((16, columns), stored.dtype)
    for t in range(steps - 1, -1, -1):
        first, second = 0, 0
        kept = 2
        orders[t, 0] = pairs[t, 0]
        orders[t, 1] = pairs[t, 1]
        for i in range(digits):
            if orders[t + 1, i] == pairs[t, 0]:
                first = i
            elif orders[t + 1, i] == pairs[t, 1]:
                second = i
            else:
                orders[t, kept] = orders[t + 1, i]
                kept += 1
        step_a, step_b = 4 ** (digits - 1 - first), 4 ** (digits - 1 - second)
        offsets_of(first, second, digits, base)
        block = blocks[used[t]]
        for observable in range(stored.shape[1]):
            source, target = stored[t + 1, observable], stored[t, observable]
            for i in range(16):
                shift = (i // 4) * step_a + (i % 4) * step_b
                for c in range(columns):
                    tile[i, c] = source[base[c] + shift]
            for i in range(16):
                mix(block[:, i], tile, target[i * columns : (i + 1) * columns])


@compiled
def mix(weights: Any, tile: Any, out: Any) -> None:
    """out [columns] = weights [16] @ tile [16, columns]."""
    width = len(out)
    for c in range(width):
        out[c] = 0.0
    for j in range(0, 16, 4):
        a, b, e, f = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        for c in range(width):
            out[c] += a * tile[j, c] + b * tile[j + 1, c] + e * tile[j + 2, c] + f * tile[j + 3, c]


@compiled
def sweep_forward(pairs: Any, blocks: Any, used: Any, stored: Any, orders: Any, states: Any, flow: Any) -> None:
    """flow [B, 16, 16] = dL / d blocks. `states` [n_obs, 4^k] are the R_o with digits in the order of orders[0]; they
    end as those after the circuit, in the order of orders[T]."""
    steps, digits = len(used), orders.shape[1]
    columns = 4 ** (digits - 2)
    base = np.empty(columns, np.int64)
    tile, image = np.empty((columns, 16), stored.dtype), np.empty((16, columns), stored.dtype)
    for t in range(steps):
        first, second = 0, 0
        for i in range(digits):
            if orders[t + 1, i] == pairs[t, 0]:
                first = i
            elif orders[t + 1, i] == pairs[t, 1]:
                second = i
        step_a, step_b = 4 ** (digits - 1 - first), 4 ** (digits - 1 - second)
        offsets_of(first, second, digits, base)
        block, gradient = blocks[used[t]], flow[used[t]]
        for observable in range(len(states)):
            after, state = stored[t + 1, observable], states[observable]
            for c in range(columns):
                for i in range(16):
                    tile[c, i] = after[base[c] + (i // 4) * step_a + (i % 4) * step_b]
            front = state.reshape(16, columns)
            for j in range(16):  # the gradient transposed: neighbours in memory
                if columns < 4:
                    for c in range(columns):
                        for i in range(16):
                            gradient[j, i] += front[j, c] * tile[c, i]
                else:
                    for c in range(0, columns, 4):
                        a, b, e, f = front[j, c], front[j, c + 1], front[j, c + 2], front[j, c + 3]
                        for i in range(16):
                            gradient[j, i] += (
                                a * tile[c, i] + b * tile[c + 1, i] + e * tile[c + 2, i] + f * tile[c + 3, i]
                            )
            for i in range(16):
                mix(block[i], front, image[i])
            for i in range(16):
                shift = (i // 4) * step_a + (i % 4) * step_b
                for c in range(columns):
                    state[base[c] + shift] = image[i, c]


@compiled
def chain(
    rows: Any, angles: Any, singles: Any, doubles: Any, single_basis: Any, double_basis: Any, small: Any, large: Any,
    segments: Any, prefixes: Any, mixed: Any, cores: Any, flow: Any, by_segment: Any, gradient: Any,
) -> None:  # fmt: skip
    """gradient [G] = dL / d angles from dL / d blocks. `flow` [B, 16, 16] is transposed, as `sweep_forward` leaves it,
    and used up; `by_segment` [S, 4, 4] enters with dL / d the segments after the last blocks."""
    kind = segments.dtype
    pulled, left, turned = np.empty((16, 16), kind), np.empty((16, 16), kind), np.empty((16, 16), kind)
    adjoint, wide, spare = np.empty((16, 16), kind), np.empty((16, 16), kind), np.empty((16, 16), kind)
    for n in range(len(large) - 1, -1, -1):
        row, block = large[n, 0], large[n, 1]
        first, second = segments[large[n, 3]], segments[large[n, 4]]
        for i in range(16):
            for j in range(16):
                pulled[i, j] = flow[block, j, i]
        if rows[row, 2] >= 0:  # a two-qubit rotation: its own angle
            pair_product(first, second, mixed[n], wide)
            turn(rows[row, 2], rows[row, 3], angles[row], double_basis, doubles, left, spare)
            total = left[0, 0] * 0
            for i in range(16):
                for j in range(16):
                    value = left[(i % 4) * 4 + i // 4, (j % 4) * 4 + j // 4] if large[n, 5] else left[i, j]
                    if value != 0.0:
                        for k in range(16):
                            total += value * pulled[i, k] * wide[j, k]
            gradient[row] += total
        # adjoint = core^T pulled: dL / d of what the core acts on
        for i in range(16):
            for j in range(16):
                spare[i, j] = cores[n, j, i]
        multiply(spare, pulled, adjoint)
        if large[n, 3] or large[n, 4]:
            # left[(i, k), (p, q)] = dL / d (first[i, p] second[k, q])
            for i in range(16):
                for j in range(16):
                    turned[i, j] = mixed[n, j, i]
            multiply(adjoint, turned, left)
            for i in range(4):
                for p in range(4):
                    total, other = left[0, 0] * 0, left[0, 0] * 0
                    for k in range(4):
                        for q in range(4):
                            total += left[4 * i + k, 4 * p + q] * second[k, q]
                            other += left[4 * k + i, 4 * q + p] * first[k, q]
                    if large[n, 3]:
                        by_segment[large[n, 3], i, p] += total
                    if large[n, 4]:
                        by_segment[large[n, 4], i, p] += other
        if large[n, 2]:  # the block has an earlier row
            pair_product(first.T, second.T, adjoint, left)
            for i in range(16):
                for j in range(16):
                    flow[block, j, i] = left[i, j]
    matrix, change, four = np.empty((4, 4), kind), np.empty((4, 4), kind), np.empty((4, 4), kind)
    for n in range(len(small) - 1, -1, -1):
        row, segment = small[n, 0], small[n, 1]
        after = by_segment[segment]
        if rows[row, 2] >= 0:
            turn(rows[row, 2], rows[row, 3], angles[row], single_basis, singles, change, four)
            multiply(change, prefixes[n], four)
            total = four[0, 0] * 0
            for i in range(4):
                for j in range(4):
                    total += after[i, j] * four[i, j]
            gradient[row] += total
        row_matrix(rows[row, 2], rows[row, 3], angles[row], single_basis, singles, matrix, four)
        for i in range(4):
            for j in range(4):
                total = after[0, j] * matrix[0, i]
                for k in range(1, 4):
                    total += after[k, j] * matrix[k, i]
                four[i, j] = total
        for i in range(4):
            for j in range(4):
                by_segment[segment, i, j] = four[i, j]


@compiled
def turn(rotation: int, after: int, angle: float, basis: Any, matrices: Any, out: Any, spare: Any) -> None:
    """out = d (noisy PTM of a row) / d angle."""
    dim = len(out)
    cosine, sine = np.cos(angle), np.sin(angle)
    for i in range(dim):
        for j in range(dim):
            spare[i, j] = cosine * basis[rotation, 2, i, j] - sine * basis[rotation, 1, i, j]
    for i in range(dim):
        for j in range(dim):
            if after < 0:
                out[i, j] = spare[i, j]
            else:
                total = matrices[after, i, 0] * spare[0, j]
                for k in range(1, dim):
                    total += matrices[after, i, k] * spare[k, j]
                out[i, j] = total
