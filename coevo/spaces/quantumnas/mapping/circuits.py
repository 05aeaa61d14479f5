"""From a design and its angles to Qiskit circuits, logical and mapped.

One order of qubits everywhere: Qiskit's. Logical qubit i of the body, of the encoder and of the readout is circuit
qubit i; the kernels count bits the same way, so nothing is ever reversed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

from numpy.typing import NDArray

try:
    from qiskit import ClassicalRegister, QuantumCircuit
    from qiskit.circuit import Parameter, ParameterVector
    from qiskit.transpiler import PassManager, generate_preset_pass_manager
except ImportError as error:
    from coevo.errors import missing_extra

    raise missing_extra("qiskit", "quantum") from error

from coevo.hardware.quantum import QuantumDevice
from coevo.kernels.statevector import Rotation

Gates = Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]]
"""(name, qubits, indices of the angles): what `Template.gates_of` gives."""

_METHODS = {"u1": "p", "u3": "u"}  # where Qiskit's method has another name than the gate


class Front:
    """An encoder: the rotations before every body, unbound.

    `inputs[p]` is the Parameter x[p], in radians, of column p of the inputs. Without rotations there is no encoder,
    and circuits start in |0...0>.
    """

    def __init__(self, rotations: Sequence[Rotation], n_qubits: int):
        columns = 1 + max((column for _, _, column in rotations), default=-1)
        self.n_qubits = n_qubits
        self.inputs: list[Parameter] = list(ParameterVector("x", columns))
        self.circuit = QuantumCircuit(n_qubits)
        for gate, qubit, column in rotations:
            getattr(self.circuit, gate)(self.inputs[column], qubit)


def body_circuit(gates: Gates, n_qubits: int, angles: Sequence[Any] | NDArray[Any]) -> QuantumCircuit:
    """The body on its logical qubits; `angles` is the template's vector, numbers or Parameters."""
    circuit = QuantumCircuit(n_qubits)
    for name, qubits, slots in gates:
        add_gate(circuit, name, qubits, [angles[slot] for slot in slots])
    return circuit


def add_gate(circuit: QuantumCircuit, name: str, qubits: Sequence[int], angles: Sequence[Any]) -> None:
    """A gate of `coevo.kernels.statevector` in Qiskit's words: U3 is `u`, CU3 is `cu` with gamma = 0, and the root of
    SWAP is three rotations by pi/4 (equal up to a global phase)."""
    if name == "cu3":
        circuit.cu(*angles, 0, *qubits)
    elif name == "sqrtswap":
        circuit.rxx(pi / 4, *qubits)
        circuit.ryy(pi / 4, *qubits)
        circuit.rzz(pi / 4, *qubits)
    else:
        getattr(circuit, _METHODS.get(name, name))(*angles, *qubits)


def logical_circuit(front: Front, gates: Gates, angles: Sequence[Any]) -> QuantumCircuit:
    """Encoder | barrier | body | measurement of qubit i into bit i; the encoder's x are unbound."""
    circuit = QuantumCircuit(front.n_qubits, front.n_qubits)
    circuit.compose(front.circuit, inplace=True)
    circuit.barrier()
    circuit.compose(body_circuit(gates, front.n_qubits, angles), inplace=True)
    circuit.measure(range(front.n_qubits), range(front.n_qubits))
    return circuit


@dataclass(frozen=True)
class Mapped:
    """A body on the device. `initial[i]` and `final[i]` are logical qubit i's physical qubit before and after it:
    routing moves qubits. `body` is in the device's gates; `encoder` is unbound, on the initial qubits."""

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

    def whole(self, measured: bool = True) -> QuantumCircuit:
        """Encoder | barrier | body | measurement, on physical qubits: the circuit that is scored and exported.
        Estimators want it without its measurement."""
        circuit = self.body.copy_empty_like()
        if measured:
            circuit.add_register(ClassicalRegister(len(self.initial), "c"))
        circuit.compose(self.encoder, inplace=True)
        circuit.barrier(*self.initial)
        circuit.compose(self.body, inplace=True)
        if measured:
            circuit.measure(self.final, range(len(self.final)))
        return circuit


def size_of(whole: QuantumCircuit) -> tuple[int, int]:
    """(two-qubit gates, depth) of the body of `Mapped.whole`, as `Mapped` counts them."""
    barrier = next(place for place, instruction in enumerate(whole.data) if instruction.name == "barrier")
    body = whole.copy_empty_like()
    for instruction in whole.data[barrier + 1 :]:
        if instruction.name != "measure":
            body.append(instruction)
    mapped = Mapped(body, body, (), ())
    return mapped.two_qubit_gates, mapped.depth


class Mapper:
    """Maps bodies to a device with Qiskit's transpiler, one cached pass manager a layout.

    Encoder and body are mapped apart, as the barrier between them demands: the encoder then holds one-qubit gates
    alone, its samples stay product states, and it is mapped once a layout while every body is mapped with its angles
    bound, because level 2 and 3 drop and merge gates by their values.
    """

    def __init__(self, device: QuantumDevice, front: Front, optimization_level: int, seed: int):
        self.device = device
        self.front = front
        self._level = optimization_level
        self.seed = seed
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
                seed_transpiler=self.seed,
            )
        return self._managers[layout]

    def _encoder(self, layout: tuple[int, ...]) -> QuantumCircuit:
        if layout not in self._encoders:
            self._encoders[layout] = self._manager(layout).run(self.front.circuit)
        return self._encoders[layout]
