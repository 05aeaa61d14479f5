"""The circuits that searched ones are measured against: Hartree-Fock, UCCSD, and the hardware-efficient ansatz.

UCCSD is the first-order Trotter product of Romero et al. (Quantum Science and Technology 4, 014008, 2018); the
hardware-efficient ansatz has rotations about Y and CX entanglers, after Kandala et al. (Nature 549, 242, 2017).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np

from coevo.errors import InputError
from coevo.spaces.quantumnas.ansatz.amplitude_circuit import AmplitudeCircuit, Gate
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
from coevo.spaces.quantumnas.tasks.molecule import Molecule

_INTO_Z: dict[str, tuple[str, ...]] = {"X": ("h",), "Y": ("sdg", "h"), "Z": ()}
_BACK: dict[str, tuple[str, ...]] = {"X": ("h",), "Y": ("h", "s"), "Z": ()}
_NONE = np.zeros(0, np.int64)


def hartree_fock(n_qubits: int, state: str) -> AmplitudeCircuit:
    """An X on every qubit that is 1 in the basis state `state` (leftmost character: the highest qubit)."""
    if n_qubits < 1 or len(state) != n_qubits or set(state) - set("01"):
        raise InputError(f"expected a basis state of {n_qubits} characters 0 or 1, got {state!r}")
    gates = tuple(("x", (q,), ()) for q, bit in enumerate(reversed(state)) if bit == "1")
    return AmplitudeCircuit(n_qubits, gates, _NONE, np.zeros(0), 0)


def uccsd_gates(molecule: Molecule, *, forbidden: bool = True) -> AmplitudeCircuit:
    """UCCSD on the molecule's Hartree-Fock state, an amplitude an excitation in the file's order.

    `forbidden=False` leaves out the excitations that the point group forbids: fewer gates, the same energy once
    amplitudes are optimised from zero.
    """
    chosen = [e.generator for e in molecule.excitations if forbidden or e.symmetry_allowed]
    return generator_product(molecule.hartree_fock_state, chosen)


def generator_product(state: str, generators: Sequence[PauliSum]) -> AmplitudeCircuit:
    """exp(i t_P G_P) ... exp(i t_1 G_1) on the basis state `state`, each factor exact, since its strings commute.

    exp(i t c P) turns into RZ(-2 c t) on the last qubit of P between a ladder of CX, after the changes of basis H for X
    and S-dagger, H for Y. Refused: generators whose strings do not commute, and generators of another size.
    """
    gates: list[Gate] = list(hartree_fock(len(state), state).gates)
    drivers: list[int] = []
    slopes: list[float] = []
    for number, generator in enumerate(generators):
        if generator.n_qubits != len(state):
            raise InputError(
                f"generator {number} is of {generator.n_qubits} qubits, the state {state!r} of {len(state)}"
            )
        if pair := _anticommuting(generator):
            raise InputError(f"the strings {pair[0]!r} and {pair[1]!r} of generator {number} do not commute")
        for label, coefficient in zip(generator.labels, generator.coefficients, strict=True):
            support = [(q, letter) for q, letter in enumerate(reversed(label)) if letter != "I"]
            if not support:
                continue  # a global phase
            into = [(name, (q,), ()) for q, letter in support for name in _INTO_Z[letter]]
            back = [(name, (q,), ()) for q, letter in support for name in _BACK[letter]]
            ladder: list[Gate] = [("cx", (a, b), ()) for (a, _), (b, _) in itertools.pairwise(support)]
            gates += [*into, *ladder, ("rz", (support[-1][0],), (len(slopes),)), *reversed(ladder), *back]
            drivers.append(number)
            slopes.append(-2.0 * float(coefficient))
    return AmplitudeCircuit(
        len(state), tuple(gates), np.array(drivers, np.int64), np.array(slopes, np.float64), len(generators)
    )


def hardware_efficient(
    n_qubits: int, layers: int, entangler: Literal["ring", "line"] = "line", state: str | None = None
) -> AmplitudeCircuit:
    """RY on every qubit, then `layers` times a line or ring of CX and RY on every qubit: (layers + 1) n amplitudes.

    It starts from |0...0>, or from the basis state `state`. A ring of two qubits is a line.
    """
    if n_qubits < 1 or layers < 0:
        raise InputError(f"expected at least 1 qubit and 0 layers, got {n_qubits} qubits and {layers} layers")
    if entangler not in ("ring", "line"):
        raise InputError(f"the entangler is 'ring' or 'line', got {entangler!r}")
    gates: list[Gate] = list(hartree_fock(n_qubits, state).gates) if state is not None else []
    pairs = [(q, q + 1) for q in range(n_qubits - 1)] + (
        [(n_qubits - 1, 0)] if entangler == "ring" and n_qubits > 2 else []
    )
    for layer in range(layers + 1):
        if layer:
            gates += [("cx", pair, ()) for pair in pairs]
        gates += [("ry", (q,), (layer * n_qubits + q,)) for q in range(n_qubits)]
    count = (layers + 1) * n_qubits
    return AmplitudeCircuit(n_qubits, tuple(gates), np.arange(count), np.ones(count), count)


def _anticommuting(generator: PauliSum) -> tuple[str, str] | None:
    """The first two strings that do not commute."""
    x, z = generator.masks
    for i in range(len(x)):
        for j in range(i):
            if ((int(x[i] & z[j])).bit_count() + (int(z[i] & x[j])).bit_count()) % 2:
                return generator.labels[j], generator.labels[i]
    return None
