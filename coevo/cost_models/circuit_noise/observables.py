"""Readout observables pulled back through a noisy circuit: Heisenberg evolution in the Pauli basis.

The adjoint of a channel maps observables to observables, so the expectation of a noisy readout Z over any
input state is one inner product with the pulled-back operator. One backward sweep serves every data sample,
has no shot noise, and costs (observables x 4^k x two-qubit blocks) whatever the size of the data set.
Conventions (Pauli order, digit order, transposition): `coevo.hardware.quantum.pauli`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coevo.cost_models.circuit_noise.gates import Gate, read_gates
from coevo.cost_models.circuit_noise.program import check_readout, readout_coefficients
from coevo.errors import InputError
from coevo.hardware.quantum.pauli import Matrix, gate_matrices

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from coevo.hardware.quantum import QuantumDevice

MAX_QUBITS = 10
"""Default limit on the light cone: 4^10 coefficients are 8 MiB an observable, and a sweep takes seconds."""

_IDENTITY = np.eye(4)
_OBSERVABLE = -1  # labels the axis of the observables among those of the qubits


@dataclass(frozen=True)
class Observables:
    """Operators on k physical qubits as real Pauli coefficients.

    Attributes:
        coefficients: float64 [n_obs, 4^k]; row o is the operator sum_j c[o, j] P_j. The digits of j in base
            4 (0, 1, 2, 3 = I, X, Y, Z) belong to `qubits`, the first qubit being the most significant.
        qubits: the k physical qubits on which the operators act, ascending.
    """

    coefficients: Matrix
    qubits: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.coefficients.ndim != 2 or self.coefficients.shape[1] != 4 ** len(self.qubits):
            raise InputError(
                f"expected coefficients [n_obs, 4^{len(self.qubits)}] for qubits {self.qubits}, "
                f"got shape {self.coefficients.shape}"
            )


def noisy_observables(
    circuit: QuantumCircuit,
    device: QuantumDevice,
    qubits: Sequence[int] | None = None,
    *,
    max_qubits: int = MAX_QUBITS,
) -> Observables:
    """The readout Z of each of `qubits`, pulled back to the start of a noisy circuit.

    Args:
        circuit: bound and transpiled, on physical qubits; barriers are ignored and final measurements are
            stripped. A delay relaxes its qubit. Resets, control flow and mid-circuit measurements are refused.
        device: the calibrated device whose noise and readout error apply.
        qubits: the physical qubits to read out, one observable each, in this order. They are positions at
            the END of the circuit, after routing. None reads the final measurements in the order of their
            classical bits.
        max_qubits: the largest light cone accepted.

    Returns:
        `Observables` over the qubits in the joint light cone: a gate outside every cone is skipped and
        a qubit that no cone reaches is dropped. <measured Z> = P(0) - P(1) with readout error.

    Raises:
        InputError: unknown gate, missing calibration, unbound parameter, qubit out of range, or a light
            cone of more than `max_qubits` qubits.
    """
    gates, measured = read_gates(circuit, device)
    if qubits is None:
        qubits = [measured[bit] for bit in sorted(measured)]
    read = check_readout(qubits, device)
    for gate in gates:  # also those outside the light cone: a circuit fits the device or it does not
        if gate.name != "delay":
            device.error_matrix(gate.name, gate.qubits)
    kept, cone = _light_cone(gates, read)
    if len(cone) > max_qubits:
        size_mib = len(read) * 4 ** len(cone) * 8 / 2**20
        raise InputError(
            f"the light cone of the readout has {len(cone)} qubits {cone}, more than max_qubits={max_qubits}: "
            f"{len(read)} observables would take 4^{len(cone)} coefficients each, {size_mib:,.0f} MiB in all"
        )
    blocks, trailing = _merge(kept, _noisy_matrices(kept, device))

    axis = {qubit: position for position, qubit in enumerate(cone)}
    tensor = np.zeros((len(read), *([4] * len(cone))))
    for row, qubit in enumerate(read):
        start = readout_operator(device, qubit)
        if qubit in trailing:
            start = start @ trailing[qubit]
        place: list[int | slice] = [0] * len(cone)
        place[axis[qubit]] = slice(None)
        tensor[(row, *place)] = start

    # Contracting a block leaves its two qubits on the first axes; only `order` remembers, nothing moves back.
    # In front, because [16, 16] @ [16, many] runs twice as fast as [many, 16] @ [16, 16].
    order = [_OBSERVABLE, *cone]
    for pair, matrix in reversed(blocks):
        first, second = order.index(pair[0]), order.index(pair[1])
        rest = [position for position in range(len(order)) if position not in (first, second)]
        moved = tensor.transpose([first, second, *rest])
        tensor = (matrix.T @ moved.reshape(16, -1)).reshape(moved.shape)
        order = [*pair, *(order[position] for position in rest)]
    tensor = tensor.transpose([order.index(label) for label in (_OBSERVABLE, *cone)])
    return Observables(np.ascontiguousarray(tensor).reshape(len(read), -1), cone)


def readout_operator(device: QuantumDevice, qubit: int) -> Matrix:
    """Pauli coefficients [4] of the measured Z of one qubit, readout error included."""
    identity, z = readout_coefficients(device, qubit)
    return np.array([identity, 0.0, 0.0, z])


def _light_cone(gates: list[Gate], read: list[int]) -> tuple[list[Gate], tuple[int, ...]]:
    """The gates that can influence a readout, in circuit order, and the qubits that they and it touch."""
    cone = set(read)
    kept = []
    for gate in reversed(gates):
        if not cone.isdisjoint(gate.qubits):
            cone.update(gate.qubits)
            kept.append(gate)
    kept.reverse()
    return kept, tuple(sorted(cone))


def _noisy_matrices(gates: list[Gate], device: QuantumDevice) -> list[Matrix]:
    """The noisy PTM of every gate. Gates with angles are built in one vectorised call a gate name."""
    matrices: list[Matrix] = [_IDENTITY] * len(gates)
    by_name: dict[str, list[int]] = {}
    for position, (name, qubits, params) in enumerate(gates):
        if name == "delay":
            matrices[position] = device.delay_matrix(qubits[0], params[0])
        elif params:
            by_name.setdefault(name, []).append(position)
        else:
            matrices[position] = device.transfer_matrix(name, qubits)
    for name, positions in by_name.items():
        angles = np.array([_numbers(gates[position]) for position in positions])
        ideal = gate_matrices(name, tuple(angles.T))
        for row, position in enumerate(positions):
            qubits = gates[position].qubits
            if ideal is None:
                matrices[position] = device.transfer_matrix(name, qubits, angles[row])
            else:
                error = device.error_matrix(name, qubits)
                matrices[position] = ideal[row] if error is None else error @ ideal[row]
    return matrices


def _numbers(gate: Gate) -> list[float]:
    try:
        return [float(value) for value in gate.params]
    except TypeError as error:
        names = ", ".join(str(value) for value in gate.params)
        raise InputError(
            f"{gate.name!r} on qubits {gate.qubits} has the unbound parameter {names}; bind the circuit first"
        ) from error


def _merge(gates: list[Gate], matrices: list[Matrix]) -> tuple[list[tuple[tuple[int, int], Matrix]], dict[int, Matrix]]:
    """One-qubit gates merged into their neighbours: two-qubit blocks in order, and what trails on each qubit.

    Consecutive gates on one pair, in either direction, become one block, so that a sweep contracts once
    a block and not once a gate.
    """
    pending: dict[int, Matrix] = {}  # one-qubit gates since the qubit's last two-qubit gate
    owner: dict[int, int] = {}  # the block that touched a qubit last
    pairs: list[tuple[int, int]] = []
    members: list[int] = []  # for every two-qubit gate, its block
    cores: list[Matrix] = []
    befores: list[tuple[Matrix, Matrix]] = []
    for gate, matrix in zip(gates, matrices, strict=True):
        if len(gate.qubits) == 1:
            qubit = gate.qubits[0]
            pending[qubit] = matrix.dot(pending[qubit]) if qubit in pending else matrix
            continue
        a, b = gate.qubits
        block = owner.get(a)
        if block is None or block != owner.get(b):
            block = len(pairs)
            pairs.append((a, b))
            owner[a] = owner[b] = block
        elif pairs[block] != (a, b):  # the same pair the other way round
            a, b = b, a
            matrix = matrix.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
        members.append(block)
        cores.append(matrix)
        befores.append((pending.pop(a, _IDENTITY), pending.pop(b, _IDENTITY)))
    if not pairs:
        return [], pending
    before = np.array(befores)
    products = (before[:, 0, :, None, :, None] * before[:, 1, None, :, None, :]).reshape(-1, 16, 16)
    whole = np.matmul(np.array(cores), products)
    blocks: list[tuple[tuple[int, int], Matrix]] = []
    for block, matrix in sorted(zip(members, whole, strict=True), key=lambda item: item[0]):
        if block == len(blocks):
            blocks.append((pairs[block], matrix))
        else:
            blocks[block] = (pairs[block], matrix.dot(blocks[block][1]))
    return blocks, pending
