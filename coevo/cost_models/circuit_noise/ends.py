"""What a trained circuit measures at its end, readouts or Pauli sums: the operators that its backward sweep starts
from, and the way of the gradient into the one-qubit rows after the last two-qubit blocks (`segments` of the plan).

Both classes know the read qubits as digits of the plan: `starts` [r, 2] lists (digit, segment after the last block).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.circuit_noise.pauli_sums import PauliSums
from coevo.cost_models.circuit_noise.program import Program

Array = NDArray[Any]


class End(Protocol):
    """The end of a circuit. Operators and states are [n_obs, 4^width] with the plan's digits in their order."""

    n_obs: int
    qubits: tuple[int, ...]

    def fill(self, starts: Array, segments: Array, operators: Array) -> None:
        """The operators before the last segments."""

    def flow(self, starts: Array, segments: Array, states: Array, by_segment: Array) -> None:
        """Adds dL / d segments [S, 4, 4] to `by_segment`, where dL / d operators is `states`."""


class Readouts:
    """The measured Z of every read qubit, an observable each."""

    def __init__(self, program: Program, kind: Any):
        self.qubits = program.read
        self.n_obs = len(program.read)
        self._readout = program.readout.astype(kind)

    def fill(self, starts: Array, segments: Array, operators: Array) -> None:
        operators[:] = 0
        width = _digits(operators)
        for observable, (digit, segment) in enumerate(starts.tolist()):
            identity, z = self._readout[observable]
            tail = segments[segment]
            step = 4 ** (width - 1 - digit)
            operators[observable, : 4 * step : step] = identity * tail[0] + z * tail[3]

    def flow(self, starts: Array, segments: Array, states: Array, by_segment: Array) -> None:
        width = _digits(states)
        for observable, (digit, segment) in enumerate(starts.tolist()):
            if segment:
                ends = states[observable, : 4 ** (width - digit) : 4 ** (width - 1 - digit)]
                identity, z = self._readout[observable]
                by_segment[segment, 0] += identity * ends
                by_segment[segment, 3] += z * ends


class Sums:
    """Pauli sums over the read qubits that they touch (one or more), an observable each."""

    def __init__(self, program: Program, sums: PauliSums, kind: Any):
        places = sums.touched
        self.qubits = tuple(program.read[place] for place in places)
        self.n_obs = len(sums.coefficients)
        self._operators = np.array([sums.operator(observable, places) for observable in range(self.n_obs)], kind)
        self._measured = sums.measured(program, places).astype(kind)
        self._partial: list[Array] = []

    def fill(self, starts: Array, segments: Array, operators: Array) -> None:
        # Every contraction takes the axis after the observables' and puts its image last, so after all the order is
        # back; what stood before each contraction is kept for the gradient.
        tensor, self._partial = self._operators, []
        for place, segment in enumerate(starts[:, 1].tolist()):
            self._partial.append(tensor)
            tensor = np.tensordot(tensor, self._measured[place] @ segments[segment], axes=(1, 0))
        operators[:] = 0
        self._view(starts, operators)[...] = tensor

    def flow(self, starts: Array, segments: Array, states: Array, by_segment: Array) -> None:
        state = self._view(starts, states)
        for place in range(len(starts) - 1, -1, -1):
            state = np.moveaxis(state, -1, 1)  # as the axes of self._partial[place] stand
            segment, measured = int(starts[place, 1]), self._measured[place]
            if segment:
                before = np.moveaxis(self._partial[place], 1, 0).reshape(4, -1)
                by_segment[segment] += measured.T @ (before @ np.moveaxis(state, 1, 0).reshape(4, -1).T)
            state = np.moveaxis(np.tensordot(measured @ segments[segment], state, axes=(1, 1)), 0, 1)

    def _view(self, starts: Array, tensor: Array) -> Array:
        """[n_obs] + [4] * r of a tensor [n_obs, 4^width]: I on every other digit, axes in the order of the places."""
        width, digits = _digits(tensor), starts[:, 0].tolist()
        chosen: list[int | slice] = [slice(None) if digit in digits else 0 for digit in range(width)]
        inside = tensor.reshape(self.n_obs, *[4] * width)[(slice(None), *chosen)]
        rank = {digit: 1 + axis for axis, digit in enumerate(sorted(digits))}
        return inside.transpose(0, *(rank[digit] for digit in digits))


def _digits(tensor: Array) -> int:
    return (int(tensor.shape[1]).bit_length() - 1) // 2
