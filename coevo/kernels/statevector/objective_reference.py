"""Losses and energies over a `Circuit` as NumPy composes them: what `Readout` and `Energy` are held to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from coevo.kernels.statevector.circuit import Circuit
from coevo.kernels.statevector.reference import Complex, Real, z_signs, zero_state


def logits_of(circuit: Circuit, states: Complex, head: Real, angles: Real, active: Any = None) -> Real:
    """<Z> @ head of every candidate and sample, [candidates, S, classes]."""
    out, _ = circuit.evolve(angles, states, active)
    result: Real = (np.abs(out) ** 2 @ z_signs(circuit.n_qubits).astype(angles.dtype)) @ head.astype(angles.dtype)
    return result


def loss_and_gradient(
    circuit: Circuit, states: Complex, targets: Real, head: Real, angles: Real, active: Any = None
) -> tuple[Real, Real]:
    """Mean cross entropy of log-softmax(<Z> @ head) against targets [S, classes], (loss [C], gradient [C, A])."""
    out, record = circuit.evolve(angles, states, active)
    weights = (z_signs(circuit.n_qubits) @ head).astype(angles.dtype)  # [2^n, classes]
    logits = np.abs(out) ** 2 @ weights
    shifted = logits - logits.max(axis=-1, keepdims=True)
    total = np.exp(shifted).sum(axis=-1, keepdims=True)
    loss = -(targets * (shifted - np.log(total))).sum(axis=-1).mean(axis=-1)
    by_logits = (np.exp(shifted) / total * targets.sum(axis=-1, keepdims=True) - targets) / len(states)
    return loss, circuit.gradient(record, 2 * (by_logits @ weights.T) * out)


def apply_pauli(label: str, state: Complex) -> Complex:
    """A Pauli label on a state [2^n]; the leftmost character acts on the highest qubit."""
    index = np.arange(len(state))
    out = state.astype(complex)
    for qubit, letter in enumerate(reversed(label)):
        sign = 1 - 2 * (index >> qubit & 1)
        if letter == "Z":
            out = sign * out
        elif letter == "X":
            out = out[index ^ 1 << qubit]
        elif letter == "Y":  # Y = -i |0><1| + i |1><0|
            out = -1j * sign * out[index ^ 1 << qubit]
    return out


def energy_and_gradient(
    circuit: Circuit, labels: Sequence[str], coefficients: Real, angles: Real, active: Any = None
) -> tuple[Real, Real]:
    """<psi| H |psi> from |0...0>, H = sum of coefficients times labels, (energy [C], gradient [C, A])."""
    out, record = circuit.evolve(angles, zero_state(circuit.n_qubits)[None], active)
    applied = np.zeros(out.shape, complex)
    for label, coefficient in zip(labels, coefficients, strict=True):
        for row in range(len(out)):
            applied[row, 0] += coefficient * apply_pauli(label, out[row, 0])
    energy = np.einsum("cbi,cbi->c", out.conj(), applied).real.astype(angles.dtype)
    return energy, circuit.gradient(record, (2 * applied).astype(out.dtype))
