"""Qiskit's own ways of choosing physical qubits, which a searched mapping is held against.

`QiskitLayouts` leaves the whole choice to the transpiler (VF2Layout where the circuit fits the couplings as it is, else
SABRE, then VF2PostLayout), several times, because SABRE is random. `post_layout` takes a circuit that was routed on
some layout and moves it, as it is, to the isomorphic qubits of lowest estimated error (VF2PostLayout; mapomatic,
arXiv:2209.15512): what a tuned compiler adds to a layout that nobody searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

try:
    from qiskit import QuantumCircuit
    from qiskit.converters import circuit_to_dag
    from qiskit.transpiler import Layout, TranspileLayout
    from qiskit.transpiler.passes import VF2PostLayout
except ImportError as error:
    from coevo.errors import missing_extra

    raise missing_extra("qiskit", "quantum") from error

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas.mapping.circuits import Front, Mapped, Mapper

SEEDS = (42, 43, 44)
_CALLS, _TRIALS = 30_000_000, 250_000  # what VF2 may try, as at Qiskit's optimisation level 3


class QiskitLayouts:
    """Maps bodies on layouts of Qiskit's choice.

    Args:
        device: whose calibration guides the choice.
        front: the encoder before every body.
        optimization_level: Qiskit's, 0 to 3.
        seeds: of the transpiler, one mapping each.

    InputError for seeds that repeat or are none, and for another level.
    """

    def __init__(self, device: QuantumDevice, front: Front, optimization_level: int = 3, seeds: Sequence[int] = SEEDS):
        if not seeds or len(set(seeds)) != len(seeds):
            raise InputError(f"expected distinct transpiler seeds, one or more, got {list(seeds)}")
        if optimization_level not in (0, 1, 2, 3):
            raise InputError(f"expected an optimization level of 0 to 3, got {optimization_level}")
        self._mappers = [Mapper(device, front, optimization_level, seed) for seed in seeds]

    def __call__(self, body: QuantumCircuit) -> list[Mapped]:
        """One mapping a seed, in their order; the best of them is the caller's to choose."""
        return [mapper.map(body, None) for mapper in self._mappers]


def post_layout(mapped: Mapped, device: QuantumDevice) -> Mapped:
    """The circuit, gate by gate, on the isomorphic physical qubits whose gate and readout errors are lowest by Qiskit's
    estimate, encoder and readout with it; as it was where no others are better.

    InputError where the circuit is not in the device's gates and couplings.
    """
    whole = mapped.whole()
    if whole.num_qubits != device.num_qubits:
        raise InputError(
            f"the circuit is on {whole.num_qubits} qubits and {device.name} has {device.num_qubits}; expected a "
            "circuit that was mapped to this device"
        )
    for item in whole.data:
        place = tuple(whole.find_bit(qubit).index for qubit in item.qubits)
        if item.name != "barrier" and not device.target.instruction_supported(item.name, place):
            raise InputError(
                f"{device.name} has no {item.name!r} on qubits {place}; expected a circuit that was mapped to it"
            )
    search = VF2PostLayout(target=device.target, seed=-1, call_limit=_CALLS, max_trials=_TRIALS, strict_direction=True)
    search.run(circuit_to_dag(whole))
    found = search.property_set["post_layout"]
    if found is None:  # nothing better, which Qiskit calls "nonexistent" where some qubits share no gate
        return mapped
    places = found.get_virtual_bits()
    moved_to = {index: places[qubit] for index, qubit in enumerate(whole.qubits) if qubit in places}
    # Idle qubits fill what is left, in order: a layout is a permutation.
    free = iter(sorted(set(range(device.num_qubits)) - set(moved_to.values())))
    moves = [moved_to[index] if index in moved_to else next(free) for index in range(device.num_qubits)]
    return replace(
        mapped,
        body=_moved(mapped.body, moves),
        encoder=_moved(mapped.encoder, moves),
        initial=tuple(moves[qubit] for qubit in mapped.initial),
        final=tuple(moves[qubit] for qubit in mapped.final),
    )


def _moved(circuit: QuantumCircuit, moves: Sequence[int]) -> QuantumCircuit:
    """The circuit with physical qubit q at moves[q], and a layout that says so."""
    result = circuit.copy_empty_like()
    result.compose(circuit, qubits=list(moves), inplace=True)
    layout = circuit.layout
    initial = Layout({virtual: moves[place] for virtual, place in layout.initial_layout.get_virtual_bits().items()})
    final = None
    if layout.final_layout is not None:
        ends = layout.final_layout.get_virtual_bits()
        start = {qubit: index for index, qubit in enumerate(circuit.qubits)}
        final = Layout({result.qubits[moves[start[qubit]]]: moves[end] for qubit, end in ends.items()})
    result._layout = TranspileLayout(
        initial_layout=initial,
        input_qubit_mapping=layout.input_qubit_mapping,
        final_layout=final,
        _input_qubit_count=layout._input_qubit_count,
        _output_qubit_list=result.qubits,
    )
    return result
