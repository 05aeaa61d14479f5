"""Whether a device's gates can express every circuit, asked before anything is trained for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

try:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import TranspilerError, generate_preset_pass_manager
except ImportError as error:
    from coevo.errors import missing_extra

    raise missing_extra("qiskit", "quantum") from error

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice


def check_expressible(device: QuantumDevice, qubits: Sequence[int] | None = None) -> None:
    """InputError that names the first of these physical qubits (all of them by default) on which the device's gates do
    not make up every rotation, or the first coupling among them that makes up no CX."""
    chosen = range(device.num_qubits) if qubits is None else qubits
    inside = set(chosen)
    pairs = [edge for edge in device.edges if inside.issuperset(edge)]
    gates = ", ".join(device.basis)
    for place in _not_written(device, [(qubit,) for qubit in chosen]):
        raise InputError(
            f"{device.name} lacks a gate: {gates} do not make up every rotation of qubit {place[0]}; expected a device "
            "with rz and sx there, or others as good"
        )
    for place in _not_written(device, pairs):
        raise InputError(
            f"{device.name} lacks a gate: {gates} make up no CX on the coupling {place}; expected a device with cx, cz "
            "or ecr there, or others as good"
        )


def _not_written(device: QuantumDevice, places: Sequence[tuple[int, ...]]) -> Iterable[tuple[int, ...]]:
    """The places whose gate Qiskit cannot write: none where it writes all of them at once."""
    if _written(device, places):
        return
    yield from (place for place in places if not _written(device, [place]))


def _written(device: QuantumDevice, places: Sequence[tuple[int, ...]]) -> bool:
    circuit = QuantumCircuit(device.num_qubits)
    for place in places:
        if len(place) == 1:
            circuit.u(0.1, 0.2, 0.3, place[0])
        else:
            circuit.cx(*place)
    trivial = list(range(device.num_qubits))
    manager = generate_preset_pass_manager(
        optimization_level=0, target=device.target, initial_layout=trivial, seed_transpiler=0
    )
    try:
        found = manager.run(circuit)
    except TranspilerError:
        return False
    supported = device.target.instruction_supported
    return all(supported(item.name, tuple(found.find_bit(qubit).index for qubit in item.qubits)) for item in found.data)
