"""Representational capacity: whether a circuit with random angles brings examples of a class together and takes those
of different classes apart, without noise and without training (Anagolum et al., ASPLOS 2024, RepCap).

For every draw of angles, two examples count as alike where the overlap of their states is above the mean over all
pairs. The share of draws in which they are alike is held against 1 for equal and 0 for different labels:
capacity = 1 - |weighted (ideal - alike)|^2 / (2 sum(ideal)), with pairs of different classes weighted by
1 / (classes - 1). It lies between 0 and 1; the artifact of the paper divides by all pairs instead, which ranks
capacities alike.

Overlaps are of what is measured. The states of all qubits would not do: a unitary keeps their overlaps, so that every
circuit behind one encoder would have the same capacity. The paper measures few qubits and takes their reduced state;
here nearly all are measured, each by itself, so the overlap is the mean of tr(rho sigma) over the measured qubits'
one-qubit states, as the artifact's variant for single qubits has it (which also squares it). Gates on one qubit alone
keep these overlaps, so a circuit that does not entangle has the capacity of its encoder, whatever its angles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.kernels.statevector import product_states
from coevo.spaces.quantumnas.ansatz.template import Active, Template
from coevo.spaces.quantumnas.tasks.task import Classification, Examples

DRAWS = 32
SAMPLES_PER_CLASS = 16
Real = NDArray[np.floating[Any]]
_MAX_UNITARY_QUBITS = 6


class Capacity:
    """Representational capacities of SubCircuits over fixed examples and fixed draws of angles, so that circuits are
    compared on the same ones.

    Args:
        examples: a few of every class, as `judging.estimate.equally_many` picks them.
        draws: of all angles of the template, uniform in [0, 2 pi).

    InputError where a class has no example, for fewer than 2 classes, and for no draw at all.
    """

    def __init__(self, template: Template, task: Classification, examples: Examples, draws: int = DRAWS, seed: int = 0):
        if draws < 1:
            raise InputError(f"expected 1 draw of angles or more, got {draws}")
        classes = len(task.classes)
        if classes < 2 or len(np.unique(examples.labels)) != classes:
            raise InputError(
                f"task {task.name}: a representational capacity needs examples of each of 2 classes or more, got "
                f"{len(np.unique(examples.labels))} of {classes}"
            )
        self._template = template
        self._states = product_states(examples.inputs, task.encoder, task.n_qubits)
        self._measured = np.flatnonzero(np.abs(task.head).sum(axis=1))
        angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, (draws, template.n_angles))
        self.angles = template.with_constants(angles)
        self._ideal = (examples.labels[:, None] == examples.labels).astype(float)
        self._weight = np.where(self._ideal == 1, 1.0, 1 / (classes - 1))

    def __call__(self, active: Active) -> float:
        """Of one SubCircuit [gates], between 0 and 1."""
        alike = self.alike(active)
        distance = np.sum((self._weight * (self._ideal - alike)) ** 2)
        return float(1 - distance / (2 * self._ideal.sum()))

    def alike(self, active: Active) -> Real:
        """[examples, examples]: the share of draws in which two examples are alike; one is always like itself."""
        overlaps = self.overlaps(active)
        count = overlaps.shape[1]
        threshold = (overlaps.sum(axis=(1, 2)) - count) / (count * (count - 1))
        found: Real = (overlaps > threshold[:, None, None]).mean(axis=0)
        return found

    def overlaps(self, active: Active) -> Real:
        """[draws, examples, examples], 1 on the diagonal."""
        circuit = self._template.circuit
        several = np.repeat(active[None], len(self.angles), axis=0)
        if circuit.n_qubits <= _MAX_UNITARY_QUBITS:
            states: Any = self._states @ circuit.unitary(self.angles, several)[0].swapaxes(1, 2)
        else:
            states = circuit.evolve(self.angles, self._states, several)[0]
        bloch = bloch_vectors(states, self._measured)
        draws, count = bloch.shape[:2]
        flat = bloch.reshape(draws, count, -1)
        found: Real = (1 + flat @ flat.swapaxes(1, 2) / len(self._measured)) / 2
        found[:, np.arange(count), np.arange(count)] = 1
        return found


def bloch_vectors(states: NDArray[np.complexfloating[Any, Any]], qubits: NDArray[np.int64]) -> Real:
    """[..., qubits, 3] of the one-qubit states of pure states [..., 2^n]."""
    columns = []
    for qubit in qubits.tolist():
        halves = states.reshape(*states.shape[:-1], -1, 2, 2**qubit)
        zero, one = halves[..., 0, :], halves[..., 1, :]
        coherence = 2 * np.sum(zero.conj() * one, axis=(-2, -1))
        z = np.sum(np.abs(zero) ** 2 - np.abs(one) ** 2, axis=(-2, -1))
        columns.append(np.stack([coherence.real, coherence.imag, z], axis=-1))
    return np.stack(columns, axis=-2)
