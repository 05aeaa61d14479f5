"""Ideal gates as Pauli transfer matrices equal what Qiskit computes from its own gates."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.hardware.quantum import pauli

pytest.importorskip("qiskit")
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import PTM, Operator


def qiskit_transfer_matrix(gate) -> np.ndarray:
    """Qiskit's PTM with the digits reversed: there the first qubit is the least significant."""
    matrix = PTM(Operator(gate)).data.real
    if gate.num_qubits == 2:
        matrix = matrix.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
    return matrix


FIXED = ("id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "cx", "cy", "cz", "swap", "ecr")
PARAMETRIC = ("rx", "ry", "rz", "p", "u1", "rxx", "ryy", "rzz", "rzx", "u", "u2", "u3")


@pytest.mark.parametrize("name", FIXED)
def test_a_gate_without_parameters_equals_qiskits(name):
    gate = get_standard_gate_name_mapping()[name]
    np.testing.assert_allclose(pauli.gate_matrices(name, ()), qiskit_transfer_matrix(gate), atol=1e-14)


@pytest.mark.parametrize("name", PARAMETRIC)
def test_a_gate_with_parameters_equals_qiskits_for_every_angle_at_once(name):
    from qiskit.circuit.library import U2Gate  # not in the mapping

    kind = U2Gate if name == "u2" else get_standard_gate_name_mapping()[name].base_class
    count = {"u": 3, "u3": 3, "u2": 2}.get(name, 1)
    angles = np.random.default_rng(0).uniform(-7, 7, (5, count))
    angles[0] = 0
    stacked = pauli.gate_matrices(name, tuple(angles.T))
    assert stacked.shape[0] == 5
    for row, matrix in zip(angles, stacked, strict=True):
        np.testing.assert_allclose(matrix, qiskit_transfer_matrix(kind(*row)), atol=1e-13)


def test_qiskits_little_endian_matrices_are_turned_round():
    cx = get_standard_gate_name_mapping()["cx"].to_matrix()
    np.testing.assert_allclose(
        pauli.transfer_matrix_of_unitary(cx, little_endian=True), pauli.fixed_matrix("cx"), atol=1e-15
    )
    assert not np.allclose(pauli.transfer_matrix_of_unitary(cx), pauli.fixed_matrix("cx"))


def test_a_controlled_x_copies_z_from_control_to_target_and_x_from_target_to_control():
    cx = pauli.fixed_matrix("cx")
    index = {"IZ": 3, "ZZ": 15, "XI": 4, "XX": 5}  # 4 * P(control) + P(target)
    assert cx[index["ZZ"], index["IZ"]] == 1
    assert cx[index["XX"], index["XI"]] == 1


@pytest.mark.parametrize(
    ("name", "params"), [("nonsense", ()), ("cx", (0.1,)), ("rz", ()), ("rz", (1, 2)), ("u", (1,))]
)
def test_a_name_or_a_parameter_count_that_does_not_fit_gives_none(name, params):
    assert pauli.gate_matrices(name, params) is None


def test_shared_matrices_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        pauli.fixed_matrix("x")[0, 0] = 2
