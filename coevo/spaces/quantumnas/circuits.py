"""From a design and its angles to Qiskit circuits, logical and mapped.

One order of qubits everywhere: Qiskit's. Logical qubit i of the body, of the encoder and of the readout is circuit
qubit i; the kernels count bits the same way, so nothing is ever reversed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

try:
    from qiskit import ClassicalRegister, QuantumCircuit
    from qiskit.circuit import ParameterVector
    from qiskit.transpiler import PassManager, generate_preset_pass_manager
except ImportError as error:
    from coevo.errors import missing_extra

    raise missing_extra("qiskit", "quantum") from error

from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas.data import ENCODER, N_QUBITS
from coevo.spaces.quantumnas.space import CoDesign

INPUTS = ParameterVector("x", len(ENCODER))
"""The encoder's angles, in radians: x[p] is pixel p of the 4 x 4 image."""


def encoder_circuit() -> QuantumCircuit:
    """The unbound encoder on 4 qubits."""
    circuit = QuantumCircuit(N_QUBITS)
    for gate, qubit, pixel in ENCODER:
        getattr(circuit, gate)(INPUTS[pixel], qubit)
    return circuit


def body_circuit(design: CoDesign, angles: Sequence[Sequence[Any]]) -> QuantumCircuit:
    """The body on 4 qubits; `angles` holds (theta, phi, lambda) of every gate of `design.gates`, bound or not.

    A U3 is Qiskit's `u`, a CU3 its `cu` with gamma = 0.
    """
    circuit = QuantumCircuit(N_QUBITS)
    for (name, qubits, _), (theta, phi, lam) in zip(design.gates, angles, strict=True):
        if name == "u3":
            circuit.u(theta, phi, lam, *qubits)
        else:
            circuit.cu(theta, phi, lam, 0, *qubits)
    return circuit


def gate_angles(design: CoDesign, angles: NDArray[Any]) -> list[list[float]]:
    """The rows of angles [blocks, 2, 4, 3] that the design's gates use, in their order."""
    return [[float(angle) for angle in angles[place]] for _, _, place in design.gates]


def logical_circuit(design: CoDesign, angles: Sequence[Sequence[Any]]) -> QuantumCircuit:
    """Encoder | barrier | body | measurement of qubit i into bit i; the encoder's x are unbound."""
    circuit = QuantumCircuit(N_QUBITS, N_QUBITS)
    circuit.compose(encoder_circuit(), inplace=True)
    circuit.barrier()
    circuit.compose(body_circuit(design, angles), inplace=True)
    circuit.measure(range(N_QUBITS), range(N_QUBITS))
    return circuit


@dataclass(frozen=True)
class Mapped:
    """A body on the device. `initial[i]` and `final[i]` are logical qubit i's physical qubit before and after it:
    routing moves qubits. `body` is bound and in the device's gates; `encoder` is unbound, on the initial qubits."""

    body: QuantumCircuit
    encoder: QuantumCircuit
    initial: tuple[int, ...]
    final: tuple[int, ...]

    @property
    def two_qubit_gates(self) -> int:
        """Of the body; the encoder has none."""
        return sum(len(instruction.qubits) == 2 for instruction in self.body.data)

    @property
    def depth(self) -> int:
        """Longest chain of the body's gates that take time: rz is a change of frame."""
        return int(self.body.depth(lambda instruction: instruction.operation.name not in ("rz", "barrier")))

    def whole(self) -> QuantumCircuit:
        """Encoder | barrier | body | measurement, on physical qubits: the circuit that is scored and exported."""
        circuit = self.body.copy_empty_like()
        circuit.add_register(ClassicalRegister(N_QUBITS, "c"))
        circuit.compose(self.encoder, inplace=True)
        circuit.barrier(*self.initial)
        circuit.compose(self.body, inplace=True)
        circuit.measure(self.final, range(N_QUBITS))
        return circuit


class Mapper:
    """Maps bodies to a device with Qiskit's transpiler, one cached pass manager a layout.

    Encoder and body are mapped apart, as the barrier between them demands: the encoder then holds one-qubit gates
    alone, its samples stay product states, and it is mapped once a layout while every body is mapped with its angles
    bound, because level 2 and 3 drop and merge gates by their values.
    """

    def __init__(self, device: QuantumDevice, optimization_level: int, seed: int):
        self.device = device
        self._level = optimization_level
        self._seed = seed
        self._managers: dict[tuple[int, ...] | None, PassManager] = {}
        self._encoders: dict[tuple[int, ...], QuantumCircuit] = {}

    def map(self, body: QuantumCircuit, layout: tuple[int, ...] | None) -> Mapped:
        """The mapped body; a layout of None lets Qiskit choose one."""
        mapped = self._manager(layout).run(body)
        initial = tuple(mapped.layout.initial_index_layout(filter_ancillas=True))
        final = tuple(mapped.layout.final_index_layout())
        return Mapped(mapped, self._encoder(initial), initial, final)

    def _manager(self, layout: tuple[int, ...] | None) -> PassManager:
        if layout not in self._managers:
            self._managers[layout] = generate_preset_pass_manager(
                optimization_level=self._level,
                target=self.device.target,
                initial_layout=None if layout is None else list(layout),
                seed_transpiler=self._seed,
            )
        return self._managers[layout]

    def _encoder(self, layout: tuple[int, ...]) -> QuantumCircuit:
        if layout not in self._encoders:
            self._encoders[layout] = self._manager(layout).run(encoder_circuit())
        return self._encoders[layout]
