"""The closed-form error channels are qiskit-aer's, and physical."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.hardware.quantum.channels import average_infidelity, gate_error, relaxation

pytest.importorskip("qiskit_aer")
from qiskit.providers import QubitProperties
from qiskit.quantum_info import PTM
from qiskit.transpiler import InstructionProperties, Target
from qiskit_aer.noise.device.models import basic_device_gate_errors


def aers_channel(error: float, duration_s: float, t1_t2_s) -> np.ndarray:
    """The PTM that qiskit-aer builds from a target of one calibrated gate."""
    from qiskit.circuit.library import CXGate, SXGate

    qubits = tuple(range(len(t1_t2_s)))
    target = Target(num_qubits=len(qubits), qubit_properties=[QubitProperties(t1=a, t2=b) for a, b in t1_t2_s])
    gate = SXGate() if len(qubits) == 1 else CXGate()
    target.add_instruction(gate, {qubits: InstructionProperties(error=error, duration=duration_s)})
    errors = basic_device_gate_errors(target=target)
    if not errors:
        return np.eye(4 ** len(qubits))
    matrix = PTM(errors[0][2].to_quantumchannel()).data.real
    if len(qubits) == 2:
        matrix = matrix.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
    return matrix


US = 1e-6
ONE = [(50 * US, 40 * US)]
TWO = [(50 * US, 70 * US), (30 * US, 20 * US)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("num_qubits", [1, 2])
def test_random_calibrations_equal_aers(seed, num_qubits):
    rng = np.random.default_rng([seed, num_qubits])
    t1_t2 = [(t1, t1 * rng.uniform(0.2, 2.5)) for t1 in rng.uniform(5, 200, num_qubits) * US]
    error, duration = 10 ** rng.uniform(-4, -1), rng.uniform(0, 1) * US
    np.testing.assert_allclose(gate_error(error, duration, t1_t2), aers_channel(error, duration, t1_t2), atol=1e-12)


@pytest.mark.parametrize(
    ("error", "duration_s", "t1_t2"),
    [
        pytest.param(0.0, 0.3 * US, TWO, id="relaxation worse than calibrated: no depolarising part"),
        pytest.param(1e-2, 0.0, TWO, id="no duration: depolarising alone"),
        pytest.param(1.0, 0.3 * US, TWO, id="a broken gate is cut at the worst physical infidelity"),
        pytest.param(1.0, 0.0, ONE, id="a broken one-qubit gate"),
        pytest.param(1e-2, 0.3 * US, [(50 * US, 500 * US)], id="T2 is cut at 2 T1"),
    ],
)
def test_the_corners_of_a_calibration_equal_aers(error, duration_s, t1_t2):
    np.testing.assert_allclose(gate_error(error, duration_s, t1_t2), aers_channel(error, duration_s, t1_t2), atol=1e-12)


@pytest.mark.parametrize("t1_t2", [ONE, TWO])
def test_the_whole_channel_has_the_calibrated_average_infidelity(t1_t2):
    assert average_infidelity(gate_error(0.03, 0.1 * US, t1_t2)) == pytest.approx(0.03, abs=1e-15)


def test_a_perfect_gate_has_no_error():
    np.testing.assert_array_equal(gate_error(0.0, 0.0, TWO), np.eye(16))


def test_relaxation_ends_in_the_ground_state_and_infinite_times_do_nothing():
    excited = np.array([1.0, 0, 0, -1])
    np.testing.assert_allclose(relaxation(US, US, 1.0) @ excited, [1, 0, 0, 1])
    np.testing.assert_array_equal(relaxation(np.inf, np.inf, 1.0), np.eye(4))


def test_the_first_qubit_is_the_most_significant_digit():
    only_first = gate_error(0.0, US, [(US, US), (np.inf, np.inf)])
    np.testing.assert_allclose(only_first, np.kron(relaxation(US, US, US), np.eye(4)))
