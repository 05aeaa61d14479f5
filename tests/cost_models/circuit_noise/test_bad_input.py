"""What no program can be made of, and what no engine can judge: one clear error that names the thing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from coevo.cost_models.circuit_noise import (
    Input,
    bind_weights,
    noisy_expectations,
    noisy_pauli_sums,
    outcome_probabilities,
    program_from_gates,
    read_encoder,
    read_program,
    trajectory_expectations,
)
from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice

pytest.importorskip("numba")
pytest.importorskip("torch")

X = Parameter("x")


def circuit_of(*gates, num_qubits=5):
    circuit = QuantumCircuit(num_qubits)
    for name, *arguments in gates:
        getattr(circuit, name)(*arguments)
    return circuit


CIRCUITS = {
    "more qubits than the device": ([("sx", 5)], [0], "the circuit has 6 qubits and fake_quito has 5"),
    "a gate that the device lacks": ([("h", 0)], [0], "fake_quito has no gate 'h'; its gates are cx, id, rz, sx, x"),
    "a coupling that it lacks": ([("cx", 0, 4)], [0], r"fake_quito has no 'cx' on qubits \(0, 4\)"),
    "an angle that is NaN": ([("rz", float("nan"), 2)], [0], r"'rz' on qubits \(2,\) has the angle nan"),
    "an infinite angle": ([("rz", float("inf"), 2)], [0], r"'rz' on qubits \(2,\) has the angle inf"),
    "a reset": ([("reset", 1)], [0], "has a 'reset' on qubit 1"),
    "a readout out of range": ([("sx", 0)], [5], "readout of qubit 5, but fake_quito has qubits 0 to 4"),
    "a negative readout": ([("sx", 0)], [-1], "readout of qubit -1"),
    "a readout twice": ([("sx", 0)], [1, 1], "repeat one"),
    "a readout between two qubits": ([("sx", 0)], [0.7], "one of the readout qubits is 0.7; expected an integer"),
    "a readout that is a truth value": ([("sx", 0)], [True], "one of the readout qubits is True; expected an integer"),
    "a readout by name": ([("sx", 0)], ["a"], "one of the readout qubits is 'a'; expected an integer"),
    "readouts that are one number": ([("sx", 0)], 3, "expected the readout qubits as a sequence of integers, got 3"),
    "no readout": ([("sx", 0)], None, "no qubit to read out"),
}


@pytest.mark.parametrize("case", CIRCUITS)
def test_circuits_are_refused(case, quito):
    gates, qubits, message = CIRCUITS[case]
    with pytest.raises(InputError, match=message):
        read_program(circuit_of(*gates, num_qubits=6 if case.startswith("more") else 5), quito, qubits)


def test_numpys_integers_are_integers(quito):
    program = read_program(circuit_of(("sx", 0)), quito, np.array([3, 0]))
    assert program.read == (3, 0)


GATES = {
    "a qubit out of range": (("sx", (9,), ()), "gate 'sx' on qubit 9, but its qubits are 0 to 4"),
    "a qubit that is no integer": (
        ("sx", (0.5,), ()),
        r"one of the qubits of gate 0 \('sx'\) is 0.5; expected an integer",
    ),
    "qubits that are one number": (("sx", 0, ()), r"the qubits of gate 0 \('sx'\) as a sequence of integers, got 0"),
    "one qubit twice": (("cx", (1, 1), ()), r"no 'cx' on qubits \(1, 1\)"),
    "three qubits": (("ccx", (0, 1, 2), ()), "'ccx' acts on 3 qubits"),
    "an unknown gate": (("foo", (0,), ()), "no gate 'foo'"),
    "a measurement": (("measure", (0,), ()), "no gate 'measure'"),
    "no angle": (("rz", (0,), ()), "'rz' takes 1 parameters, got 0"),
    "an angle too many": (("sx", (0,), (0.1,)), "'sx' takes 0 parameters, got 1"),
    "an angle that is text": (("rz", (0,), ("a",)), r"the angle of 'rz' on qubits \(0,\) is 'a'; expected a number"),
    "an angle that is None": (("rz", (0,), (None,)), "is None; expected a number"),
    "an angle that is NaN": (("rz", (0,), (float("nan"),)), "has the angle nan"),
    "an infinite slope": (("rz", (0,), (Input(0, float("inf")),)), "expected finite numbers"),
    "a delay without seconds": (("delay", (0,), ()), "expected a delay on one qubit, with its seconds"),
    "a delay by the sample": (("delay", (0,), (Input(0),)), r"the duration of the delay on qubit 0 \(gate 0\)"),
    "a negative delay": (("delay", (0,), (-1.0,)), "a delay of -1.0 s on qubit 0"),
    "a delay that is NaN": (("delay", (0,), (float("nan"),)), "a delay of nan s on qubit 0"),
    "a delay out of range": (("delay", (7,), (1e-6,)), "delay on qubit 7"),
    "a pair": (("sx", (0,)), r"gate 0 is \('sx', \(0,\)\); expected \(name, qubits, angles\)"),
}


@pytest.mark.parametrize("case", GATES)
def test_gates_are_refused(case, quito):
    gate, message = GATES[case]
    with pytest.raises(InputError, match=message):
        program_from_gates([gate], quito, [0], num_inputs=1)


def test_other_things_than_circuits_and_devices_are_refused(quito):
    with pytest.raises(InputError, match="expected a qiskit QuantumCircuit, got 'sx 0'"):
        read_program("sx 0", quito, [0])
    with pytest.raises(InputError, match="expected a qiskit QuantumCircuit, got 'sx 0'"):
        read_program(circuit_of(), quito, [0], encoder="sx 0")
    for read in (
        lambda: read_program(circuit_of(), "FakeQuitoV2", [0]),
        lambda: program_from_gates([], "FakeQuitoV2", [0]),
        lambda: read_encoder(circuit_of(), "FakeQuitoV2", []),
    ):
        with pytest.raises(InputError, match="expected a QuantumDevice, got 'FakeQuitoV2'"):
            read()
    with pytest.raises(InputError, match="num_inputs of 0 or more, got -1"):
        program_from_gates([], quito, [0], num_inputs=-1)


BATCHES = {
    "no inputs": (None, {}, r"expected inputs \[samples, 1\], got shape \(1, 0\)"),
    "inputs in one row": ([0.1], {}, r"got shape \(1,\)"),
    "inputs that are NaN": ([[float("nan")]], {}, "NaN or infinite"),
    "inputs that are text": ([["a"]], {}, "the inputs as real numbers, got an array of <U1"),
    "complex inputs": ([[1j]], {}, "the inputs as real numbers, got an array of complex128"),
    "ragged inputs": ([[1.0], [1.0, 2.0]], {}, "lists of different lengths"),
    "an unknown dtype": ([[1.0]], {"dtype": "foo"}, "dtype float64 or float32, got 'foo'"),
    "another dtype": ([[1.0]], {"dtype": np.complex64}, "dtype float64 or float32, got complex64"),
    "half a thread": ([[1.0]], {"threads": 1.5}, "threads is 1.5; expected an integer"),
    "no such device": ([[1.0]], {"engine": "torch", "device": "fpga"}, "torch cannot use the device 'fpga'"),
}


@pytest.mark.parametrize("case", BATCHES)
@pytest.mark.parametrize("judge", ["z", "sums"])
def test_batches_are_refused(judge, case, quito):
    inputs, options, message = BATCHES[case]
    program = read_program(circuit_of(("rz", X, 0)), quito, [0], inputs=[X])
    with pytest.raises(InputError, match=message):
        if judge == "z":
            noisy_expectations([program], inputs, **options)
        else:
            noisy_pauli_sums([program], ["X"], [[1.0]], inputs, **options)


def test_one_program_is_no_batch(quito):
    program = read_program(circuit_of(("sx", 0)), quito, [0])
    for judge in (
        lambda: noisy_expectations(program),
        lambda: noisy_pauli_sums(program, ["X"], [[1.0]]),
        lambda: outcome_probabilities(program),
    ):
        with pytest.raises(InputError, match=r"got one program; give \[program\]"):
            judge()


def test_weights_and_trajectories_are_refused(quito):
    program = read_program(circuit_of(("rz", X, 0)), quito, [0], weights=[X])
    with pytest.raises(InputError, match="the weights as real numbers"):
        bind_weights(program, ["a"])
    with pytest.raises(InputError, match="expected 1 finite weights"):
        bind_weights(program, [float("nan")])
    bound = bind_weights(program, [0.3])
    for options, message in (
        ({"trajectories": 2.5, "seed": 0}, "the number of trajectories is 2.5; expected an integer"),
        ({"trajectories": 5, "seed": -1}, "a seed of 0 or more, got -1"),
        ({"trajectories": 5, "seed": 0, "engine": "torch", "device": "fpga"}, "torch cannot use the device 'fpga'"),
    ):
        with pytest.raises(InputError, match=message):
            trajectory_expectations(bound, **options)


def without(device, name, place, **values):
    """The device with some of its numbers never calibrated."""
    places = dict(device.calibration.instructions[name])
    places[place] = replace(places[place], **values)
    instructions = {**device.calibration.instructions, name: places}
    return QuantumDevice(replace(device.calibration, instructions=instructions))


def test_a_missing_calibration_is_named(quito):
    for device, gates, message in (
        (without(quito, "cx", (0, 1), error=None), [("cx", 0, 1)], r"'cx' on qubits \(0, 1\) has no calibrated error"),
        (without(quito, "cx", (0, 1), duration_s=None), [("cx", 0, 1)], "has no calibrated duration"),
        (
            without(quito, "measure", (0,), error=None, prob_meas1_prep0=None),
            [("sx", 0)],
            "qubit 0 has no calibrated readout error",
        ),
        (
            QuantumDevice(replace(quito.calibration, t1_s=(None,) * 5)),
            [("sx", 3)],
            "qubit 3 has no calibrated T1 and T2, so the noise of 'sx' there is unknown",
        ),
        (
            QuantumDevice(replace(quito.calibration, dt_s=None)),
            [("delay", 100, 2)],
            "a delay on qubit 2 counts in dt, and fake_quito has no dt",
        ),
    ):
        with pytest.raises(InputError, match=message):
            read_program(circuit_of(*gates), device, [0])
