"""Changes of basis: every one measures its Pauli, each device gets one of its own gates, and a lack is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("qiskit_ibm_runtime")

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.hardware.quantum.calibration import Calibration, Properties
from coevo.hardware.quantum.measurement import CHOICES, basis_change, measured_pauli


@pytest.fixture(scope="module")
def quito():
    return QuantumDevice.from_name("FakeQuitoV2")


def device_with(*names):
    from qiskit.circuit.library import get_standard_gate_name_mapping

    standard = get_standard_gate_name_mapping()
    return QuantumDevice(
        Calibration(
            "own",
            1,
            (1e-4,),
            (1e-4,),
            {name: {(0,): Properties(0.001, 4e-8)} for name in names},
            {name: len(standard[name].params) for name in names},
        )
    )


CASES = [(pauli, gates) for pauli, choices in CHOICES.items() for gates in choices]


@pytest.mark.parametrize(("pauli", "gates"), CASES)
def test_every_basis_change_measures_its_pauli(pauli, gates):
    """Against Qiskit's matrices: U^dagger Z U is the Pauli."""
    from qiskit.circuit.library import get_standard_gate_name_mapping
    from qiskit.quantum_info import Operator, Pauli

    standard = get_standard_gate_name_mapping()
    whole = np.eye(2)
    for name, angles in gates:
        whole = standard[name].base_class(*angles).to_matrix() @ whole
    np.testing.assert_allclose(whole.conj().T @ Operator(Pauli("Z")).data @ whole, Pauli(pauli).to_matrix(), atol=1e-15)
    device = device_with(*dict.fromkeys(name for name, _ in gates))
    assert basis_change(device, 0, pauli) == gates
    vector = measured_pauli(device, 0, pauli)
    assert 0.99 < vector["IXYZ".index(pauli)] < 1  # noise counts


def test_noise_of_the_gates_counts_unless_left_out(quito):
    noisy = quito.transfer_matrix("sx", (1,))[3]
    np.testing.assert_allclose(measured_pauli(quito, 1, "Y"), noisy, atol=1e-15)
    np.testing.assert_array_equal(measured_pauli(quito, 1, "Y", noise=False), [0, 0, 1, 0])
    np.testing.assert_array_equal(measured_pauli(quito, 1, "Z"), [0, 0, 0, 1])
    np.testing.assert_array_equal(measured_pauli(quito, 1, "I"), [1, 0, 0, 0])
    assert quito.channels.measured(1, "Y") is quito.channels.measured(1, "Y")  # computed once


def test_a_device_without_the_gates_is_told_so(quito):
    with pytest.raises(InputError, match="no calibrated gates to measure X on qubit 0; it has sx there"):
        basis_change(device_with("sx"), 0, "X")
    assert basis_change(device_with("sx"), 0, "Y") == (("sx", ()),)
    places = dict(quito.calibration.instructions["sx"])
    places[(2,)] = replace(places[(2,)], error=None)
    damaged = QuantumDevice(
        replace(quito.calibration, instructions={**quito.calibration.instructions, "sx": places}), quito.target
    )
    with pytest.raises(InputError, match="no calibrated gates to measure Y on qubit 2"):
        basis_change(damaged, 2, "Y")
    with pytest.raises(InputError, match="qubit 5; its qubits are 0 to 4"):
        basis_change(quito, 5, "X")
    with pytest.raises(InputError, match="a Pauli X, Y or Z to measure, got 'W'"):
        basis_change(quito, 0, "W")
