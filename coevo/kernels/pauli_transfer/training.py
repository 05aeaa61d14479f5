"""Exact gradients through noisy channels, compiled: one backward sweep stored, one forward sweep meeting it.

With g[b, o] = dL / dE[b, o], the full-batch loss depends on the data only through the n_obs operators
R_o = sum_b g[b, o] rho_b, and dL / d theta = sum_o Tr(dO_o / d theta R_o): the sweeps cost the same for one sample and
for a thousand. Noise is not invertible, so operators are stored and not undone. Conventions:
`coevo.kernels.pauli_transfer`; the blocks' matrices: `coevo.kernels.pauli_transfer.blocks`.

Observables are swept in groups of as many lanes: 1 or 4, more where there are few qubits, so that C = lanes 4^(k - 2)
columns fill pieces of 64. Operators and states are [groups, C / 64, 16 64]: two qubits' digits number 16 rows, the
other digits and then the lane the columns, 64 columns of all rows side by side. Before and after every block its own
pair stands in front, so that a block is one product a piece.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coevo.kernels.jit import compiled
from coevo.kernels.pauli_transfer.products import PIECE, add_outer, mix


class Route(NamedTuple):
    """How the order of the digits changes from block to block.

    Attributes:
        orders: [steps + 1, k] the digits before each block, its pair in front, and at the end (0, 1, ... k - 1).
        strides: [steps, 2] in the order AFTER block t, how far apart neighbours in its pair's two digits are.
        runs: [steps] there, how many entries with both digits 0 stand side by side at least, at most 64.
        begins: [steps, C] there, where each such run begins; C / run of them count.
        lanes: of every group.
        groups: of observables.
    """

    orders: NDArray[np.int64]
    strides: NDArray[np.uint64]
    runs: NDArray[np.uint64]
    begins: NDArray[np.uint64]
    lanes: int
    groups: int


def route(pairs: NDArray[np.int64], digits: int, n_obs: int) -> Route:
    """The route along pairs [steps, 2] of digits, in the order of the circuit."""
    lanes = 1 if n_obs < 3 else 4
    while lanes * 4 ** (digits - 2) < PIECE:
        lanes *= 4  # a power of 4, so that no digit's four values lie in two pieces if their neighbours lie in one
    steps = len(pairs)
    orders = np.empty((steps + 1, digits), np.int64)
    orders[steps] = np.arange(digits)
    strides, runs = np.empty((steps, 2), np.uint64), np.empty(steps, np.uint64)
    begins = np.zeros((steps, lanes * 4 ** (digits - 2)), np.uint64)
    columns = [lanes * 4 ** (digits - 1 - place) for place in range(digits)]
    apart = [4 * PIECE, PIECE, *(each if each < PIECE else 16 * each for each in columns[2:])]
    for t in range(steps - 1, -1, -1):
        after = orders[t + 1].tolist()
        first, second = (after.index(digit) for digit in pairs[t].tolist())
        rest = [place for place in range(digits) if place not in (first, second)]
        orders[t] = [after[first], after[second], *(after[place] for place in rest)]
        strides[t] = apart[first], apart[second]
        where = np.zeros(1, np.int64)
        run = min(columns[max(first, second, 1)], PIECE)
        for place in rest:
            if columns[place] >= run or place < 2:
                where = (where[:, None] + apart[place] * np.arange(4)).ravel()
        runs[t] = run
        begins[t, : len(where)] = where
    return Route(orders, strides, runs, begins, lanes, -(-n_obs // lanes))


def places(way: Route, n_obs: int) -> NDArray[np.int64]:
    """[n_obs, 4^k]: where flat operators [groups, C / 64, 16 64] have coefficient j of observable o, for digits in the
    order that they stand in. What stands elsewhere is padding and 0."""
    digits = way.orders.shape[1]
    flat = np.arange(way.groups * way.lanes * 4**digits).reshape(way.groups, -1, 16, PIECE)
    rows = flat.transpose(0, 2, 1, 3).reshape(way.groups, 4**digits, way.lanes)
    return np.ascontiguousarray(rows.transpose(0, 2, 1).reshape(-1, 4**digits)[:n_obs])


# Indices are unsigned: of signed ones it would be asked every time whether they count from the end.
_ONE, _TWO, _THREE, _FOUR, _SIXTEEN = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4), np.uint64(16)
_WIDTH = np.uint64(PIECE)


@compiled
def gather(flat: Any, begins: Any, run: Any, first: Any, second: Any, tile: Any) -> None:
    """tile [C / 64, 16, 64], flat = the runs of `flat` that begin at begins + a first + b second, by (a, b)."""
    target, each = np.uint64(0), _WIDTH // run
    for piece in range(np.uint64(len(tile)) // (_SIXTEEN * _WIDTH)):
        for row in range(_SIXTEEN):
            shift = (row // _FOUR) * first + (row % _FOUR) * second
            for n in range(piece * each, piece * each + each):
                begin = begins[n] + shift
                if run >= _FOUR:
                    for s in range(np.uint64(0), run, _FOUR):  # four at a time: one vector instruction each way
                        x, y = begin + s, target + s
                        a, b, c, d = flat[x], flat[x + _ONE], flat[x + _TWO], flat[x + _THREE]
                        tile[y] = a
                        tile[y + _ONE] = b
                        tile[y + _TWO] = c
                        tile[y + _THREE] = d
                else:
                    for s in range(run):
                        tile[target + s] = flat[begin + s]
                target += run


@compiled
def scatter(tile: Any, begins: Any, run: Any, first: Any, second: Any, flat: Any) -> None:
    """The inverse of `gather`."""
    source, each = np.uint64(0), _WIDTH // run
    for piece in range(np.uint64(len(tile)) // (_SIXTEEN * _WIDTH)):
        for row in range(_SIXTEEN):
            shift = (row // _FOUR) * first + (row % _FOUR) * second
            for n in range(piece * each, piece * each + each):
                begin = begins[n] + shift
                if run >= _FOUR:
                    for s in range(np.uint64(0), run, _FOUR):
                        x, y = source + s, begin + s
                        a, b, c, d = tile[x], tile[x + _ONE], tile[x + _TWO], tile[x + _THREE]
                        flat[y] = a
                        flat[y + _ONE] = b
                        flat[y + _TWO] = c
                        flat[y + _THREE] = d
                else:
                    for s in range(run):
                        flat[begin + s] = tile[source + s]
                source += run


@compiled
def sweep_back(blocks: Any, last: Any, strides: Any, runs: Any, begins: Any, operators: Any, tiles: Any) -> None:
    """`operators` [groups, C / 64, 16 64], those after the last block, become those before the first; `tiles`
    [steps, groups, C / 64, 16 64] keep those after each block, its pair in front."""
    for t in range(len(last) - 1, -1, -1):
        block = blocks[last[t]].T
        for group in range(len(operators)):
            of_group, tile = operators[group], tiles[t, group]
            gather(of_group.ravel(), begins[t], runs[t], strides[t, 0], strides[t, 1], tile.ravel())
            for piece in range(len(tile)):
                mix(block, tile[piece], of_group[piece])


@compiled
def sweep_forward(
    blocks: Any, last: Any, strides: Any, runs: Any, begins: Any, tiles: Any, states: Any, flow: Any
) -> None:
    """flow[last[t]] [16, 16] = dL / d block t. `states` [groups, C / 64, 16 64], the R_o before the first block, end as
    those after the last."""
    image = np.empty_like(states[0])
    for t in range(len(last)):
        block, gradient = blocks[last[t]], flow[last[t]]
        gradient[:] = 0
        for group in range(len(states)):
            of_group, tile = states[group], tiles[t, group]
            for piece in range(len(tile)):
                add_outer(tile[piece], of_group[piece], gradient)
                mix(block, of_group[piece], image[piece])
            scatter(image.ravel(), begins[t], runs[t], strides[t, 0], strides[t, 1], of_group.ravel())


@compiled
def meet_left(partial: Any, left: Any, out: Any) -> None:
    """out [n_obs, samples] = sum over L of partial [n_obs, L, samples] * left [L, samples]."""
    for o in range(len(out)):
        total = out[o]
        for row in range(len(left)):
            one, two = partial[o, row], left[row]
            if row == 0:
                for s in range(len(total)):
                    total[s] = one[s] * two[s]
            else:
                for s in range(len(total)):
                    total[s] += one[s] * two[s]


@compiled
def weigh_left(factors: Any, left: Any, out: Any) -> None:
    """out [n_obs, L, samples] = factors [n_obs, samples] * left [L, samples]."""
    for o in range(len(out)):
        for row in range(len(left)):
            one, two, target = factors[o], left[row], out[o, row]
            for s in range(len(two)):
                target[s] = one[s] * two[s]


@compiled
def by_weight(terms: Any, slopes: Any, by_angle: Any, gradient: Any) -> None:
    """gradient [W] += slopes * by_angle[terms[:, 0]] at terms[:, 1]."""
    for n in range(len(terms)):
        gradient[terms[n, 1]] += slopes[n] * by_angle[terms[n, 0]]


@compiled
def read_out(readout: Any, starts: Any, segments: Any, out: Any) -> None:
    """out [n_obs, 4] = readout [n_obs, 2] in I and Z, pulled back through each readout's segment, starts[:, 1]."""
    for o in range(len(out)):
        for j in range(4):
            segment = starts[o, 1]
            out[o, j] = readout[o, 0] * segments[segment, 0, j] + readout[o, 1] * segments[segment, 3, j]


@compiled
def read_back(readout: Any, starts: Any, states: Any, by_segment: Any) -> None:
    """Adds dL / d segments to `by_segment`, where dL / d what `read_out` gave is `states` [n_obs, 4]."""
    for o in range(len(states)):
        for j in range(4):
            by_segment[starts[o, 1], 0, j] += readout[o, 0] * states[o, j]
            by_segment[starts[o, 1], 3, j] += readout[o, 1] * states[o, j]
