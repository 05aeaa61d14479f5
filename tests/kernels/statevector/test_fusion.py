"""Gates gathered into groups: which ones, and that a group's order is one in which the circuit means the same."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.kernels.statevector import Circuit, run_gates
from coevo.kernels.statevector.circuit import _GATES, GATES
from coevo.kernels.statevector.fusion import fuse


def groups_of(n_qubits, gates):
    rows, members = Circuit(n_qubits, gates).fused
    return [members[row[3] : row[4]].tolist() for row in rows]


def test_one_qubit_gates_in_a_row_are_one_group():
    gates = [("rz", (0,), (0,)), ("h", (1,), ()), ("sx", (0,), ()), ("rz", (0,), (1,))]
    assert groups_of(2, gates) == [[0, 2, 3], [1]]


def test_a_u3_joins_the_cu3_that_ends_on_its_qubit():
    ring = ((0, 1), (1, 2), (2, 3), (3, 0))
    gates = []
    for _ in range(2):
        gates += [("u3", (q,), (0, 1, 2)) for q in range(4)] + [("cu3", pair, (0, 1, 2)) for pair in ring]
    assert groups_of(4, gates) == [[0], [1, 4], [2, 5], [3, 6], [7, 8], [9, 12], [10, 13], [11, 14], [15]]


def test_what_stands_between_keeps_gates_apart():
    # the second cx needs the h on its control, and that needs the first cx
    assert groups_of(2, [("cx", (0, 1), ()), ("h", (0,), ()), ("cx", (0, 1), ())]) == [[0], [1], [2]]
    assert groups_of(2, [("cx", (0, 1), ()), ("cx", (1, 0), ()), ("ry", (1,), (0,))]) == [[0], [1], [2]]
    assert groups_of(3, [("cx", (0, 2), ()), ("cx", (1, 2), ()), ("rz", (2,), (0,))]) == [[0], [1, 2]]
    assert groups_of(2, [("rxx", (0, 1), (0,)), ("rxx", (1, 0), (1,)), ("swap", (0, 1), ())]) == [[0], [1], [2]]
    assert fuse(np.empty((0, 8), np.int32))[0].shape == (0, 5)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n_qubits", [1, 2, 4])
def test_groups_in_their_order_are_the_same_circuit(seed, n_qubits):
    rng = np.random.default_rng(seed)
    names = [name for name in GATES if _GATES[name][1] <= n_qubits]
    gates = []
    for name in rng.choice(names, 40):
        _, qubits, angles = _GATES[name]
        gates.append((str(name), tuple(int(q) for q in rng.permutation(n_qubits)[:qubits]), rng.uniform(-3, 3, angles)))
    slots = [(name, qubits, range(len(angles))) for name, qubits, angles in gates]
    order = [gate for group in groups_of(n_qubits, slots) for gate in group]
    assert sorted(order) == list(range(40))
    state = np.eye(2**n_qubits, dtype=complex)
    np.testing.assert_allclose(run_gates([gates[gate] for gate in order], state), run_gates(gates, state), atol=1e-12)
