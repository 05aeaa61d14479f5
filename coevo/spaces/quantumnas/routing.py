"""What a layout costs on a device, estimated without the transpiler: gates on pairs that are not coupled need swaps.

Greedy and without looking ahead: a gate's control walks along a shortest way to its target, and stays there. Qiskit's
SABRE looks ahead and its optimiser merges gates, so the counts are mostly too high; they rank designs in microseconds.
"""

from __future__ import annotations

from coevo.spaces.quantumnas.devices import Coupling
from coevo.spaces.quantumnas.space import CoDesign

_SWAP = 3  # two-qubit gates


class RoutingEstimate:
    """(two-qubit gates, depth) of designs on one device, in gates that take time, as `circuits.Mapped` counts them."""

    def __init__(self, coupling: Coupling):
        self._distances = coupling.distances()
        self._near: list[list[int]] = [[] for _ in range(coupling.num_qubits)]
        for a, b in coupling.edges:
            self._near[a].append(b)
            self._near[b].append(a)

    def __call__(self, design: CoDesign) -> tuple[int, int]:
        place = list(design.layout)  # of each logical qubit
        busy_until = [0] * len(self._near)  # of each physical qubit, in gates
        pairs = 0
        for name, qubits, _ in design.gates:
            here = place[qubits[0]]
            if name == "u3":
                busy_until[here] += 2  # two sx pulses between frame changes
                continue
            there = place[qubits[1]]
            while self._distances[here][there] > 1:
                step = min(self._near[here], key=lambda qubit: self._distances[qubit][there])
                place = [{here: step, step: here}.get(qubit, qubit) for qubit in place]
                busy_until[here] = busy_until[step] = max(busy_until[here], busy_until[step]) + _SWAP
                pairs += _SWAP
                here = step
            # cx, u on the target, cx, u on the target
            busy_until[here] = max(busy_until[here], busy_until[there]) + 4
            busy_until[there] = busy_until[here] + 2
            pairs += 2
        return pairs, max(busy_until)
