"""The loss of a variational classifier over encoded states, and its gradient, for many candidates at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coevo.errors import InputError
from coevo.kernels.statevector.circuit import Circuit
from coevo.kernels.statevector.reference import Complex, Real, z_signs
from coevo.kernels.threads import in_parts


class Readout:
    """log-softmax(<Z> @ head) of encoded states after a circuit, against targets.

    Args:
        circuit: of n qubits; candidates share its gate list.
        states: complex [S, 2^n], what the encoder makes of the samples.
        targets: labels, int [S], 0 to classes - 1; or weights of the classes, float [S, classes] (one-hot).
        head: float [n, classes]: logits are <Z> @ head.
        dtype: float64 or float32, of all arithmetic and results.
        threads: candidates of one call are spread over so many.
    """

    def __init__(
        self, circuit: Circuit, states: Complex, targets: ArrayLike, head: ArrayLike, dtype: Any = np.float64,
        threads: int = 1,
    ):  # fmt: skip
        from coevo.kernels.softmax import constants
        from coevo.kernels.statevector.readout_kernels import PIECE, gather_rows, logits_all, readout_all

        self._readout_all, self._logits_all, self._gather, self._piece = readout_all, logits_all, gather_rows, PIECE
        self.circuit, self.threads = circuit, threads
        self.dtype = float_type(dtype)
        dim = 2**circuit.n_qubits
        states = np.asarray(states)
        if states.ndim != 2 or states.shape[1] != dim or not len(states) or not np.isfinite(states).all():
            raise InputError(f"expected finite states [samples, {dim}], at least one, got shape {states.shape}")
        weights = np.asarray(head, dtype=np.float64)
        if weights.ndim != 2 or len(weights) != circuit.n_qubits or not weights.size or not np.isfinite(weights).all():
            raise InputError(f"expected a finite head [{circuit.n_qubits}, classes], got shape {weights.shape}")
        self.samples, self.classes = len(states), weights.shape[1]
        self._by_sample = states.real.astype(self.dtype), states.imag.astype(self.dtype)  # [S, 2^n]
        self._targets = self._one_hot(np.asarray(targets))  # [S, classes]
        self._pieces, self._target_pieces = self._in_pieces(np.arange(self.samples))
        self._weights = np.ascontiguousarray(z_signs(circuit.n_qubits) @ weights, dtype=self.dtype)  # [2^n, classes]
        integers, self._limits = constants(self.dtype)
        self._integers = np.empty(0, integers)

    def value_and_gradient(
        self, angles: ArrayLike, active: ArrayLike | None = None, rows: NDArray[np.int64] | None = None
    ) -> tuple[Real, Real]:
        """(mean negative log-likelihood in nats [C], its gradient [C, A]) at angles [C, A], radians.

        `active` uint8 [C, G] leaves gates out; `rows` int64 [B] are the samples of a batch, all of them unless given.
        """
        gates, slots, fixed, numbers, mask = self.circuit.checked(angles, active, self.dtype)
        pieces, targets, count = self._pieces, self._target_pieces, self.samples
        if rows is not None:
            pieces, targets = self._in_pieces(self._rows(rows))
            count = len(rows)
        loss, gradient = np.empty(len(numbers), self.dtype), np.zeros(numbers.shape, self.dtype)

        def work(part: slice) -> None:
            self._readout_all(
                gates, slots, *self.circuit.fused, fixed, numbers[part], mask[part], pieces, targets, count,
                self._weights, self._limits, self._integers, loss[part], gradient[part],
            )  # fmt: skip

        in_parts(work, len(numbers), self.threads)
        return loss, gradient if self.circuit.n_angles else gradient[:, :0]

    def logits(self, angles: ArrayLike, active: ArrayLike | None = None) -> Real:
        """<Z> @ head of every candidate and sample, [C, S, classes]."""
        gates, slots, fixed, numbers, mask = self.circuit.checked(angles, active, self.dtype)
        found = np.empty((len(numbers), self.classes, self.samples), self.dtype)

        def work(part: slice) -> None:
            self._logits_all(
                gates, slots, *self.circuit.fused, fixed, numbers[part], mask[part], self._pieces, self.samples,
                self._weights, found[part],
            )  # fmt: skip

        in_parts(work, len(numbers), self.threads)
        return found.swapaxes(1, 2)

    def _in_pieces(self, rows: NDArray[np.int64]) -> tuple[Real, Real]:
        """Samples and targets `rows` [B] as `readout_kernels` takes them."""
        re, im = self._by_sample
        count = -(-len(rows) // self._piece)
        pieces = np.zeros((count, 2, re.shape[1], self._piece), self.dtype)
        targets = np.zeros((count, self.classes, self._piece), self.dtype)
        self._gather(re, im, self._targets, rows, pieces, targets)
        return pieces, targets

    def _one_hot(self, targets: NDArray[Any]) -> Real:
        if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
            if targets.shape != (self.samples,) or targets.min() < 0 or targets.max() >= self.classes:
                raise InputError(
                    f"expected {self.samples} labels of 0 to {self.classes - 1}, got {targets.shape} labels of "
                    f"{targets.min(initial=0)} to {targets.max(initial=0)}"
                )
            one_hot: Real = np.eye(self.classes, dtype=self.dtype)[targets]
            return one_hot
        if targets.shape != (self.samples, self.classes) or not np.isfinite(targets).all():
            raise InputError(
                f"expected integer labels [{self.samples}] or finite targets [{self.samples}, {self.classes}], got "
                f"{targets.dtype} of shape {targets.shape}"
            )
        return targets.astype(self.dtype)

    def _rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = np.asarray(rows)
        if rows.ndim != 1 or not len(rows) or not np.issubdtype(rows.dtype, np.integer):
            raise InputError(f"expected rows as integers [batch], at least one, got {rows.dtype} of shape {rows.shape}")
        if rows.min() < 0 or rows.max() >= self.samples:
            raise InputError(f"expected rows of 0 to {self.samples - 1}, got {rows.min()} to {rows.max()}")
        return rows


def float_type(dtype: Any) -> np.dtype[Any]:
    """float64 or float32 as a dtype."""
    kind: np.dtype[Any] = np.dtype(dtype)
    if kind not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise InputError(f"expected dtype float64 or float32, got {kind}")
    return kind
