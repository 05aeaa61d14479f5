"""What a layout costs on a device, estimated without the transpiler: gates on pairs that are not coupled need swaps.

Greedy and without looking ahead: a gate's control walks along a shortest way to its target, and stays there. Qiskit's
SABRE looks ahead and its optimiser merges gates, so the counts are mostly too high; they rank designs in microseconds.
"""

from __future__ import annotations

from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.mapping.couplings import Coupling

_SWAP = 3  # two-qubit gates
# Two-qubit gates of the device that each gate takes, and the gates that take time on its two qubits.
_PAIRS = {"cz": (1, 1), "cx": (1, 1), "swap": (3, 3), "sqrtswap": (3, 6), "cu3": (2, 5)}
_OTHER_PAIR = (2, 3)
_SINGLES = {"rz": 0, "u1": 0, "s": 0, "t": 0, "x": 1, "sx": 1}  # a frame change takes no time
_OTHER_SINGLE = 2  # two sx pulses between frame changes


class RoutingEstimate:
    """(two-qubit gates, depth) of designs on one device, in gates that take time, as `circuits.Mapped` counts them."""

    def __init__(self, coupling: Coupling, template: Template):
        self._template = template
        self._distances = coupling.distances()
        self._near: list[list[int]] = [[] for _ in range(coupling.num_qubits)]
        for a, b in coupling.edges:
            self._near[a].append(b)
            self._near[b].append(a)

    def __call__(self, design: CoDesign) -> tuple[int, int]:
        assert design.layout is not None
        place = list(design.layout)  # of each logical qubit
        busy_until = [0] * len(self._near)  # of each physical qubit, in gates
        pairs = 0
        for name, qubits, _ in self._template.gates_of(design.layers):
            here = place[qubits[0]]
            if len(qubits) == 1:
                busy_until[here] += _SINGLES.get(name, _OTHER_SINGLE)
                continue
            there = place[qubits[1]]
            while self._distances[here][there] > 1:
                step = min(self._near[here], key=lambda qubit: self._distances[qubit][there])
                place = [{here: step, step: here}.get(qubit, qubit) for qubit in place]
                busy_until[here] = busy_until[step] = max(busy_until[here], busy_until[step]) + _SWAP
                pairs += _SWAP
                here = step
            count, length = _PAIRS.get(name, _OTHER_PAIR)
            busy_until[here] = busy_until[there] = max(busy_until[here], busy_until[there]) + length
            pairs += count
        return pairs, max(busy_until)
