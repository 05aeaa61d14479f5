"""U3 + CU3 layers as one unitary, and its gradient: the body of a variational circuit, built once for a whole batch.

The trainable body is the same for every sample, so with more samples than 2^n basis states it is cheaper to multiply
the layers into one 2^n x 2^n matrix and meet the batch in one product than to push every sample through every gate.
NumPy on purpose: at 16 x 16 a step is bound by the calls around the arithmetic, and with PyTorch's autograd it takes
three times as long (`experiments/quantum/step_speed.py` measures both). The gradient is written out, not taped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.kernels.statevector.reference import Complex, Real

MAX_QUBITS = 8
"""A controlled gate is embedded densely, in 4 x 4^n numbers a pair: 8 qubits take 4 MiB each."""


@dataclass(frozen=True, slots=True)
class Tape:
    """What the gradient needs of a forward pass; K = batch x blocks, D = 2^n."""

    shape: tuple[int, ...]  # of the angles
    cosine: Real  # [..., blocks, 2, n], of theta / 2
    sine: Real
    phase_phi: Complex
    phase_lam: Complex
    singles: Complex  # [K, n, 2, 2]
    products: list[Complex]  # the Kronecker products [K, 2^q, 2^q] of the first q = 1..n single-qubit gates
    controlled: Complex  # [n_pairs, K, D, D]
    partial: list[Complex]  # a block after 0, 1, ... of its controlled gates [K, D, D]
    blocks: Complex  # [batch, blocks, D, D]
    before: list[Complex]  # the product of all blocks before block b, from b = 1


class LayeredCircuit:
    """Blocks of a U3 on every qubit followed by a CU3 on every pair (control, target), in that order.

    Angles are real arrays [batch, blocks, 2, n, 3]: layer 0 holds the U3s by qubit, layer 1 the CU3s by pair, and the
    last axis theta, phi, lambda in radians. There are as many pairs as qubits (a ring), and a gate whose angles are
    all 0 is exactly the identity, so a SubCircuit is a mask on the angles. Precision follows the angles.
    """

    def __init__(self, n_qubits: int, pairs: Sequence[tuple[int, int]]):
        if not 2 <= n_qubits <= MAX_QUBITS:
            raise InputError(f"expected 2 to {MAX_QUBITS} qubits, got {n_qubits}")
        if len(pairs) != n_qubits:
            raise InputError(f"expected as many pairs as qubits ({n_qubits}), got {len(pairs)}")
        for control, target in pairs:
            if control == target or not (0 <= control < n_qubits and 0 <= target < n_qubits):
                raise InputError(f"expected pairs of distinct qubits 0 to {n_qubits - 1}, got {(control, target)}")
        self.n_qubits = n_qubits
        self.pairs = tuple(pairs)
        dim = 2**n_qubits
        self._rest = np.zeros((n_qubits, dim, dim))  # the part of each pair where the control is 0
        self._spread = np.zeros((n_qubits, 4, dim, dim))  # where entry (row, column) of its 2 x 2 matrix goes
        for place, (control, target) in enumerate(pairs):
            for column in range(dim):
                if not column >> control & 1:
                    self._rest[place, column, column] = 1
                    continue
                for row_bit in range(2):
                    row = column & ~(1 << target) | row_bit << target
                    self._spread[place, 2 * row_bit + (column >> target & 1), row, column] = 1

    def unitary(self, angles: Real) -> tuple[Complex, Tape]:
        """The whole circuit [batch, 2^n, 2^n] (block 0 first) and the tape for `gradient`."""
        batch, n_blocks, n_qubits = angles.shape[0], angles.shape[1], self.n_qubits
        if angles.ndim != 5 or angles.shape[2:] != (2, n_qubits, 3) or not n_blocks:
            raise InputError(f"expected angles [batch, blocks, 2, {n_qubits}, 3], got shape {angles.shape}")
        kind = np.complex64 if angles.dtype == np.float32 else np.complex128
        dim, count = 2**n_qubits, batch * n_blocks
        half = angles[..., 0] / 2
        cosine, sine = np.cos(half), np.sin(half)
        phases = np.exp(1j * angles[..., 1:]).astype(kind, copy=False)
        phase_phi, phase_lam = phases[..., 0], phases[..., 1]
        gates = np.empty((*cosine.shape, 4), kind)
        gates[..., 0] = cosine
        gates[..., 1] = -(phase_lam * sine)
        gates[..., 2] = phase_phi * sine
        gates[..., 3] = phase_phi * phase_lam * cosine

        singles = gates[:, :, 0].reshape(count, n_qubits, 2, 2)
        products = [singles[:, 0]]
        for qubit in range(1, n_qubits):
            size = 2 ** (qubit + 1)
            pair = singles[:, qubit, :, None, :, None] * products[-1][:, None, :, None, :]
            products.append(pair.reshape(count, size, size))
        entries = gates[:, :, 1].reshape(count, n_qubits, 4).swapaxes(0, 1)
        spread, rest = self._spread.reshape(n_qubits, 4, -1).astype(kind), self._rest[:, None].astype(kind)
        controlled = np.matmul(entries, spread).reshape(n_qubits, count, dim, dim) + rest
        partial = [products[-1]]
        for place in range(n_qubits):
            partial.append(np.matmul(controlled[place], partial[-1]))
        blocks = partial[-1].reshape(batch, n_blocks, dim, dim)
        whole, before = blocks[:, 0], []
        for block in range(1, n_blocks):
            before.append(whole)
            whole = np.matmul(blocks[:, block], whole)
        tape = Tape(
            angles.shape, cosine, sine, phase_phi, phase_lam, singles, products, controlled, partial, blocks, before
        )
        return whole, tape

    def gradient(self, tape: Tape, whole: Complex) -> Real:
        """dL / d angles, of the angles' shape.

        `whole` [batch, 2^n, 2^n] is dL / d U in the sense dL = Re sum(conj(whole) * dU).
        """
        batch, n_blocks = tape.shape[:2]
        n_qubits, dim = self.n_qubits, 2**self.n_qubits
        count = batch * n_blocks
        by_block = np.empty_like(tape.blocks)
        for block in range(n_blocks - 1, 0, -1):
            np.matmul(whole, _dagger(tape.before[block - 1]), out=by_block[:, block])
            whole = np.matmul(_dagger(tape.blocks[:, block]), whole)
        by_block[:, 0] = whole
        flow = by_block.reshape(count, dim, dim)
        gates = np.empty((*tape.cosine.shape, 4), tape.blocks.dtype)

        by_pair = np.empty_like(tape.controlled)
        for place in range(n_qubits - 1, -1, -1):
            np.matmul(flow, _dagger(tape.partial[place]), out=by_pair[place])
            flow = np.matmul(_dagger(tape.controlled[place]), flow)
        gather = self._spread.reshape(n_qubits, 4, -1).swapaxes(1, 2).astype(flow.dtype)
        entries = np.matmul(by_pair.reshape(n_qubits, count, -1), gather)
        gates[:, :, 1] = entries.swapaxes(0, 1).reshape(batch, n_blocks, n_qubits, 4)

        singles = np.empty_like(tape.singles)
        for qubit in range(n_qubits - 1, 0, -1):
            size = 2**qubit
            # [K, (row, column) of this qubit's gate, (row, column) of the product of the lower ones]
            apart = flow.reshape(count, 2, size, 2, size).swapaxes(2, 3).reshape(count, 4, size * size)
            lower = tape.products[qubit - 1].reshape(count, size * size, 1).conj()
            singles[:, qubit] = np.matmul(apart, lower).reshape(count, 2, 2)
            upper = tape.singles[:, qubit].reshape(count, 1, 4).conj()
            flow = np.matmul(upper, apart).reshape(count, size, size)
        singles[:, 0] = flow
        gates[:, :, 0] = singles.reshape(batch, n_blocks, n_qubits, 4)
        return _angles_gradient(tape, gates)


def _angles_gradient(tape: Tape, gates: Complex) -> Real:
    """From dL / d (matrix entries of every gate) [batch, blocks, 2, n, 4] to dL / d (theta, phi, lambda)."""
    upper_right = gates[..., 1].conj() * tape.phase_lam
    lower_left = gates[..., 2].conj() * tape.phase_phi
    lower_right = gates[..., 3].conj() * (tape.phase_phi * tape.phase_lam)
    cosine, sine = tape.cosine, tape.sine
    out: NDArray[np.floating] = np.empty(tape.shape, dtype=cosine.dtype)
    out[..., 0] = (cosine * (lower_left.real - upper_right.real) - sine * (gates[..., 0].real + lower_right.real)) / 2
    out[..., 1] = -(sine * lower_left.imag + cosine * lower_right.imag)
    out[..., 2] = sine * upper_right.imag - cosine * lower_right.imag
    return out


def _dagger(matrices: Complex) -> Complex:
    return matrices.conj().swapaxes(-1, -2)
