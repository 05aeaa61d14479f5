"""Batches of programs: every engine agrees with the plain reference and with Aer, encoder fused or not, idle or not."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterVector

from coevo.cost_models.circuit_noise import (
    encoded_states,
    expectations,
    noisy_expectations,
    noisy_observables,
    read_encoder,
    read_program,
    reference_expectations,
)
from coevo.errors import InputError

pytest.importorskip("numba")
pytest.importorskip("torch")

ENGINES = ["compiled", "torch"]
DEVICES = [
    "FakeQuitoV2",
    "FakeYorktownV2",
    "FakeLimaV2",
    "FakeBelemV2",
    "FakeJakartaV2",
    "FakeGuadalupeV2",
    "FakeEssexV2",
    "FakePeekskill",
    "FakePrague",
    "FakeFractionalBackend",
]
X = ParameterVector("x", 8)


def encoder_circuit():
    circuit = QuantumCircuit(4)
    for index in range(8):
        getattr(circuit, "ry" if index < 4 else "rz")(X[index], index % 4)
    return circuit


def body_circuit(rng, blocks=1):
    circuit = QuantumCircuit(4)
    for _ in range(blocks):
        for qubit in range(4):
            circuit.u(*rng.uniform(-np.pi, np.pi, 3), qubit)
        for qubit in range(int(rng.integers(1, 5))):
            circuit.cu(*rng.uniform(-np.pi, np.pi, 3), 0, qubit, (qubit + 1) % 4)
    return circuit


def mapped(device, circuit, layout, level=2):
    return transpile(circuit, target=device.target, initial_layout=layout, optimization_level=level, seed_transpiler=1)


@pytest.fixture(scope="module")
def candidates(quito):
    """Six candidates on different layouts: (encoder, body, final positions), and data [9, 8]."""
    rng = np.random.default_rng(0)
    made = []
    for blocks in (1, 1, 2, 1, 3, 2):
        layout = [int(q) for q in rng.permutation(5)[:4]]
        body = mapped(quito, body_circuit(rng, blocks), layout)
        made.append((mapped(quito, encoder_circuit(), layout), body, body.layout.final_index_layout()))
    return made, rng.uniform(-3, 3, (9, 8))


def one_by_one(device, made, data):
    values = dict(zip(X, data.T, strict=True))
    return np.array(
        [
            expectations(noisy_observables(body, device, final), encoded_states(encoder, device, values))
            for encoder, body, final in made
        ]
    )


@pytest.mark.parametrize("engine", [*ENGINES, "reference"])
def test_a_batch_equals_its_members_in_numpy(engine, quito, candidates):
    made, data = candidates
    data = data[:2] if engine == "reference" else data
    programs = [read_program(body, quito, final, encoder=encoder, inputs=X) for encoder, body, final in made]
    np.testing.assert_allclose(
        noisy_expectations(programs, data, engine=engine), one_by_one(quito, made, data), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_encoded_qubits_that_no_readout_sees_are_left_out(engine, device_named):
    """Sixteen encoded qubits: product states of all of them would take 4^16 numbers a sample."""
    device = device_named("FakeGuadalupeV2")
    x = ParameterVector("y", 16)
    circuit = QuantumCircuit(16)
    for qubit in range(16):
        circuit.rz(x[qubit], qubit)
        circuit.sx(qubit)
        circuit.rz(x[(qubit + 1) % 16], qubit)
    circuit.cx(1, 2)
    circuit.sx(1)
    circuit.cx(4, 7)
    program = read_program(circuit, device, [7, 1], inputs=x)
    data = np.random.default_rng(0).uniform(-3, 3, (2, 16))
    wanted = noisy_expectations([program], data, engine="reference")
    np.testing.assert_allclose(noisy_expectations([program], data, engine=engine), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_single_precision_is_close_and_stays_single(engine, quito, candidates):
    made, data = candidates
    programs = [read_program(body, quito, final, encoder=encoder, inputs=X) for encoder, body, final in made]
    result = noisy_expectations(programs, data, engine=engine, dtype=np.float32)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, one_by_one(quito, made, data), rtol=0, atol=1e-5)


def test_threads_change_nothing(quito, candidates):
    made, data = candidates
    programs = [read_program(body, quito, final, encoder=encoder, inputs=X) for encoder, body, final in made]
    alone = noisy_expectations(programs, data)
    np.testing.assert_array_equal(noisy_expectations(programs, data, threads=3), alone)
    np.testing.assert_array_equal(noisy_expectations(programs[:1], data, threads=3), alone[:1])


def test_an_encoder_read_once_serves_every_body(quito, candidates):
    made, data = candidates
    shared = [
        read_program(body, quito, final, encoder=read_encoder(encoder, quito, X)) for encoder, body, final in made
    ]
    joined = [read_program(body, quito, final, encoder=encoder, inputs=X) for encoder, body, final in made]
    np.testing.assert_allclose(noisy_expectations(shared, data), noisy_expectations(joined, data), rtol=0, atol=1e-13)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", DEVICES)
def test_random_circuits_equal_aers_density_matrix_simulator(
    name, engine, device_named, random_circuit, aer_expectations
):
    device, rng = device_named(name), np.random.default_rng(5)
    pairs = [random_circuit(device, 4, int(gates), rng) for gates in (0, 1, 30, 60)]
    programs = [read_program(circuit, device, active) for circuit, active in pairs]
    wanted, _ = aer_expectations(device, *zip(*pairs, strict=True), whole_channels=True)
    result = noisy_expectations(programs, engine=engine)
    assert result.shape == (4, 1, 4)
    np.testing.assert_allclose(result[:, 0], wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_an_encoder_that_the_transpiler_fused_with_the_body(engine, level, quito):
    """No barrier: the last data rotation of a qubit merges with the body's first gate."""
    rng = np.random.default_rng(level)
    whole = encoder_circuit().compose(body_circuit(rng))
    fused = mapped(quito, whole, [3, 1, 0, 2], level)
    final = fused.layout.final_index_layout()
    data = rng.uniform(-3, 3, (3, 8))
    result = noisy_expectations([read_program(fused, quito, final, inputs=X)], data, engine=engine)[0]
    for values, row in zip(data, result, strict=True):
        bound = fused.assign_parameters(dict(zip(X, values, strict=True)))
        np.testing.assert_allclose(row, reference_expectations(bound, quito, final), rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["FakeQuitoV2", "FakeJakartaV2", "FakeGuadalupeV2"])
@pytest.mark.parametrize("method", ["alap", "asap"])
def test_a_scheduled_circuit_relaxes_while_it_waits_as_in_aer(name, method, engine, device_named):
    from qiskit_aer import AerSimulator

    device, rng = device_named(name), np.random.default_rng(2)
    options = {"target": device.target, "initial_layout": [1, 0, 3, 4] if name == "FakeQuitoV2" else [1, 2, 3, 5]}
    circuit = transpile(
        body_circuit(rng, 2), optimization_level=2, seed_transpiler=3, scheduling_method=method, **options
    )
    final = circuit.layout.final_index_layout()
    waits = sum(item.name == "delay" for item in circuit.data)
    assert waits > 3
    simulator = AerSimulator(method="density_matrix", noise_model=device.noise_model, max_parallel_threads=1)
    copy = circuit.copy()
    copy.save_density_matrix(qubits=final)
    state = simulator.run(copy).result().data(0)["density_matrix"]
    measured = [device.readout_matrix(q) @ state.probabilities([i]) for i, q in enumerate(final)]
    wanted = np.array([zero - one for zero, one in measured])
    result = noisy_expectations([read_program(circuit, device, final)], engine=engine)[0, 0]
    np.testing.assert_allclose(result, wanted, rtol=0, atol=1e-10)
    np.testing.assert_allclose(reference_expectations(circuit, device, final), wanted, rtol=0, atol=1e-10)
    silent = QuantumCircuit(circuit.num_qubits)
    for item in circuit.data:
        if item.name != "delay":
            silent.append(item.operation, [circuit.find_bit(q).index for q in item.qubits])
    without = noisy_expectations([read_program(silent, device, final)], engine=engine)[0, 0]
    assert np.abs(without - wanted).max() > 1e-4  # waiting matters


def circuit_of(*gates):
    circuit = QuantumCircuit(5)
    for name, *arguments in gates:
        getattr(circuit, name)(*arguments)
    return circuit


EDGE_CASES = {
    "no gate at all": ([], [0]),
    "one qubit": ([("sx", 0), ("rz", 0.3, 0), ("sx", 0)], [0]),
    "a read qubit without gates": ([("x", 0)], [3, 0]),
    "only error-free gates": ([("rz", 0.4, 2)], [2]),
    "both directions of a pair": ([("sx", 0), ("cx", 0, 1), ("rz", 0.7, 1), ("cx", 1, 0), ("sx", 1)], [0, 1]),
    "a swap by three": ([("x", 3), ("cx", 3, 4), ("cx", 4, 3), ("cx", 3, 4)], [4, 3]),
    "gates outside the light cone": ([("sx", 0), ("cx", 0, 1), ("sx", 3), ("cx", 3, 4)], [0]),
    "an idle qubit": ([("sx", 0), ("delay", 1000, 0), ("cx", 0, 1), ("delay", 500, 1)], [1, 0]),
    "two pairs apart": ([("sx", 0), ("cx", 0, 1), ("sx", 3), ("cx", 3, 4), ("cx", 0, 1)], [4, 1]),
    "all five": ([("sx", 2), ("cx", 0, 1), ("cx", 1, 2), ("cx", 1, 3), ("cx", 3, 4)], [4, 2, 0]),
}


@pytest.mark.parametrize("engine", [*ENGINES, "reference"])
@pytest.mark.parametrize("case", EDGE_CASES)
def test_edge_cases_equal_the_density_matrix(case, engine, quito):
    gates, qubits = EDGE_CASES[case]
    circuit = circuit_of(*gates)
    result = noisy_expectations([read_program(circuit, quito, qubits)], engine=engine)[0, 0]
    np.testing.assert_allclose(result, reference_expectations(circuit, quito, qubits), rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", [*ENGINES, "reference"])
def test_nothing_to_judge(engine, quito):
    assert noisy_expectations([], np.zeros((7, 3)), engine=engine).shape == (0, 7, 0)
    program = read_program(mapped(quito, encoder_circuit(), [0, 1, 2, 3]), quito, [0, 1], inputs=X)
    assert noisy_expectations([program], np.zeros((0, 8)), engine=engine).shape == (1, 0, 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_devices_may_differ_within_a_batch(engine, device_named, random_circuit):
    devices = [device_named(name) for name in ("FakeQuitoV2", "FakeLimaV2", "FakeGuadalupeV2")]
    rng = np.random.default_rng(1)
    pairs = [(device, *random_circuit(device, 3, 25, rng)) for device in devices]
    programs = [read_program(circuit, device, active) for device, circuit, active in pairs]
    wanted = [reference_expectations(circuit, device, active) for device, circuit, active in pairs]
    np.testing.assert_allclose(noisy_expectations(programs, engine=engine)[:, 0], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", [*ENGINES, "reference"])
def test_a_gate_that_is_no_rotation(engine):
    from qiskit.circuit.library import CPhaseGate, CRXGate
    from qiskit.transpiler import InstructionProperties, Target

    from coevo.hardware.quantum import QuantumDevice

    base = QuantumDevice.from_name("FakeQuitoV2")
    target = Target(num_qubits=5, qubit_properties=base.target.qubit_properties, dt=base.target.dt)
    for name in (*base.basis, "measure"):
        target.add_instruction(base.target.operation_from_name(name), dict(base.target[name]))
    place = {(0, 1): InstructionProperties(error=0.01, duration=3e-7)}
    from qiskit.circuit import Parameter

    target.add_instruction(CPhaseGate(Parameter("a")), place)
    target.add_instruction(CRXGate(Parameter("b")), place)
    device = QuantumDevice.from_target(target)
    circuit = circuit_of(("sx", 0), ("sx", 1), ("cp", 0.4, 0, 1), ("crx", 1.1, 0, 1), ("cx", 1, 3))
    other = circuit_of(("sx", 1), ("cp", -0.9, 0, 1), ("sx", 0))
    programs = [read_program(each, device, [0, 1]) for each in (circuit, other)]
    wanted = [reference_expectations(each, device, [0, 1]) for each in (circuit, other)]
    np.testing.assert_allclose(noisy_expectations(programs, engine=engine)[:, 0], wanted, rtol=0, atol=1e-12)


def refused(message, *arguments, **options):
    with pytest.raises(InputError, match=message):
        noisy_expectations(*arguments, **options)


def test_wrong_batches_are_refused(quito, candidates):
    made, data = candidates
    encoder, body, final = made[0]
    program = read_program(body, quito, final, encoder=encoder, inputs=X)
    refused(r"expected inputs \[samples, 8\], got shape \(9, 7\)", [program], data[:, :7])
    refused("NaN or infinite", [program], np.full((2, 8), np.nan))
    refused("one number of inputs and readouts", [program, read_program(body, quito, final)], data)
    refused("dtype float64 or float32, got int64", [program], data, dtype=np.int64)
    refused("an engine of compiled, reference, torch, triton, got 'fast'", [program], data, engine="fast")
    refused("1 thread or more", [program], data, threads=0)
    for engine in (*ENGINES, "reference"):
        refused("light cone.*success_rate.*trajectory", [program], data, max_qubits=2, engine=engine)


def test_data_that_enters_too_late_is_refused(quito):
    circuit = circuit_of(("rz", X[0], 0), ("cx", 0, 1), ("rz", X[1], 1))
    with pytest.raises(InputError, match=r"on qubits \(1,\) depends on the sample after a two-qubit gate"):
        read_program(circuit, quito, [0], inputs=X)
    with pytest.raises(InputError, match=r"unbound parameter x\[0\]; bind the circuit, or name"):
        read_program(circuit, quito, [0])
    with pytest.raises(InputError, match="affine in x"):
        read_program(circuit_of(("rz", X[0] * X[0], 0)), quito, [0], inputs=X)
    with pytest.raises(InputError, match=r"'rz' on qubits .* has the angle nan"):
        read_program(circuit_of(("rz", float("nan"), 0)), quito, [0])
    with pytest.raises(InputError, match="two-qubit gate on"):
        read_encoder(circuit, quito, X)


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_delays_count_in_any_unit(unit, quito):
    seconds = 3e-6
    delayed = circuit_of(("x", 0), ("delay", seconds / {"s": 1, "us": 1e-6, "ns": 1e-9}[unit], 0, unit))
    result = noisy_expectations([read_program(delayed, quito, [0])])[0, 0]
    np.testing.assert_allclose(result, reference_expectations(delayed, quito, [0]), rtol=0, atol=1e-13)
    plain = noisy_expectations([read_program(circuit_of(("x", 0)), quito, [0])])[0, 0]
    assert result[0] - plain[0] > 0.01  # it decays towards |0>
