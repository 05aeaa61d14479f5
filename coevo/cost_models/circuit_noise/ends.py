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

    def places(self, starts: Array, width: int) -> Array:
        """[n_obs, m]: the coefficients of operators [4^width] that may not be 0 before the last segments."""

    def fill(self, starts: Array, segments: Array) -> Array:
        """Those coefficients, [n_obs, m]."""

    def flow(self, starts: Array, segments: Array, states: Array, by_segment: Array) -> None:
        """Adds dL / d segments [S, 4, 4] to `by_segment`, where dL / d these coefficients is `states` [n_obs, m]."""


class Readouts:
    """The measured Z of every read qubit, an observable each."""

    def __init__(self, program: Program, kind: Any):
        self.qubits = program.read
        self.n_obs = len(program.read)
        self._readout = program.readout.astype(kind)

    def places(self, starts: Array, width: int) -> Array:
        places: Array = 4 ** (width - 1 - starts[:, :1]) * np.arange(4)  # I, X, Y, Z of its qubit
        return places

    def fill(self, starts: Array, segments: Array) -> Array:
        from coevo.kernels.pauli_transfer.training import read_out

        measured = np.empty((self.n_obs, 4), segments.dtype)
        read_out(self._readout, starts, segments, measured)
        return measured

    def flow(self, starts: Array, segments: Array, states: Array, by_segment: Array) -> None:
        from coevo.kernels.pauli_transfer.training import read_back

        read_back(self._readout, starts, states, by_segment)


class Sums:
    """Pauli sums over the read qubits that they touch (one or more), an observable each."""

    def __init__(self, program: Program, sums: PauliSums, kind: Any):
        places = sums.touched
        self.qubits = tuple(program.read[place] for place in places)
        self.n_obs = len(sums.coefficients)
        self._operators = np.array([sums.operator(observable, places) for observable in range(self.n_obs)], kind)
        self._measured = sums.measured(program, places).astype(kind)
        self._partial: list[Array] = []

    def places(self, starts: Array, width: int) -> Array:
        apart = 4 ** (width - 1 - starts[:, 0])
        digits = np.indices([4] * len(starts)).reshape(len(starts), -1)  # of the touched qubits, in their order
        return np.tile(apart @ digits, (self.n_obs, 1))

    def fill(self, starts: Array, segments: Array) -> Array:
        # Every contraction takes the axis after the observables' and puts its image last, so after all the order is
        # back; what stood before each contraction is kept for the gradient.
        tensor, self._partial = self._operators, []
        for place, segment in enumerate(starts[:, 1].tolist()):
            self._partial.append(tensor)
            tensor = np.tensordot(tensor, self._measured[place] @ segments[segment], axes=(1, 0))
        return tensor.reshape(self.n_obs, -1)

    def flow(self, starts: Array, segments: Array, states: Array, by_segment: Array) -> None:
        state = states.reshape(self.n_obs, *[4] * len(starts))
        for place in range(len(starts) - 1, -1, -1):
            state = np.moveaxis(state, -1, 1)  # as the axes of self._partial[place] stand
            segment, measured = int(starts[place, 1]), self._measured[place]
            if segment:
                before = np.moveaxis(self._partial[place], 1, 0).reshape(4, -1)
                by_segment[segment] += measured.T @ (before @ np.moveaxis(state, 1, 0).reshape(4, -1).T)
            state = np.moveaxis(np.tensordot(measured @ segments[segment], state, axes=(1, 1)), 0, 1)
