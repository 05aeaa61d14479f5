"""Reading through Qiskit's C interface gives what reading in Python gives, bit by bit, errors included."""

from __future__ import annotations

import numpy as np
import pytest
import qiskit
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter, ParameterVector

from coevo.cost_models.circuit_noise import read_encoder, read_program, reader, views
from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice

pytest.importorskip("numba")

X = ParameterVector("x", 6)
W = ParameterVector("w", 3)


@pytest.fixture(params=["compiled", "python"])
def way(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(views, "interface", lambda: None)
    return request.param


def in_python(monkeypatch, read):
    with monkeypatch.context() as patch:
        patch.setattr(views, "interface", lambda: None)
        return read()


def assert_equal_rows(one, other):
    for field in ("rows", "angles", "terms", "slopes"):
        first, second = getattr(one, field), getattr(other, field)
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)


def assert_equal_programs(one, other):
    assert_equal_rows(one.body, other.body)
    assert one.encoder.qubits == other.encoder.qubits
    assert one.encoder.keys == other.encoder.keys
    for part, wanted in zip(one.encoder.parts, other.encoder.parts, strict=True):
        assert_equal_rows(part, wanted)
    assert one.read == other.read
    np.testing.assert_array_equal(one.readout, other.readout)
    assert [matrix.tolist() for matrix in one.matrices] == [matrix.tolist() for matrix in other.matrices]


def test_the_installed_qiskit_has_the_interface():
    version = tuple(int(part) for part in qiskit.__version__.split(".")[:2])
    assert views.interface() is not None or version < (2, 6)


def test_an_interface_that_lays_out_its_views_in_another_way_is_left_alone(monkeypatch):
    monkeypatch.setattr(views, "_OFFSETS", (0, 8, 16, 24, 32, 40, 44, 52))
    assert views.interface.__wrapped__() is None


@pytest.mark.parametrize("name", ["FakeQuitoV2", "FakeYorktownV2", "FakePrague", "FakeFractionalBackend", "FakeTorino"])
def test_random_circuits(name, device_named, random_circuit, monkeypatch):
    """On a device never seen before, then with its gates known."""
    device, rng = QuantumDevice(device_named(name).calibration), np.random.default_rng(3)
    for gates in (0, 1, 60, 200):
        circuit, active = random_circuit(device_named(name), 4, gates, rng)
        for again in range(2):
            found = read_program(circuit, device, active)
            if again:
                wanted = in_python(
                    monkeypatch, lambda circuit=circuit, active=active: read_program(circuit, device, active)
                )
                assert_equal_programs(found, wanted)
            else:
                first = found
        assert_equal_programs(first, found)


def test_no_gate_is_left_open_once_it_is_known(quito, random_circuit, monkeypatch):
    rng = np.random.default_rng(5)
    device = QuantumDevice(quito.calibration)
    circuit, active = random_circuit(quito, 4, 80, rng)
    read_program(circuit, device, active)

    def refuse(*_):
        raise AssertionError("a gate was looked at in Python")

    monkeypatch.setattr(reader.Reader, "_read_open", refuse)
    monkeypatch.setattr(reader.Reader, "_affine", refuse)
    read_program(circuit, device, active)


@pytest.mark.parametrize("fused", [False, True])
def test_encoders(fused, quito, monkeypatch):
    device, rng = QuantumDevice(quito.calibration), np.random.default_rng(7)
    for layout in ([0, 1, 2], [3, 1, 4], [3, 1, 4]):
        front = QuantumCircuit(3)
        for index, angle in enumerate([X[0], 2 * X[1] - 1, X[2] + X[3], -X[4] / 3, X[5] + np.pi, X[0] - X[1] + 0.5]):
            front.ry(angle, index % 3)
        body = QuantumCircuit(3)
        for qubit in range(3):
            body.u(*rng.uniform(-3, 3, 3), qubit)
        body.cx(0, 1)
        body.barrier()
        body.rz(W[0] + 1, 1)
        body.ry(-2 * W[1], 1)
        body.cx(1, 2)
        body.rx(W[2], 2)
        place = {"target": device.target, "initial_layout": layout, "seed_transpiler": 0, "optimization_level": 1}
        if fused:
            whole = transpile(front.compose(body.assign_parameters([0.1, 0.2, 0.3])), **place)

            def read(whole=whole, layout=layout):
                return read_program(whole, device, layout, inputs=X)
        else:
            encoder, circuit = transpile(front, **place), transpile(body, **place)

            def read(encoder=encoder, circuit=circuit, layout=layout):
                return read_program(circuit, device, layout, encoder=encoder, inputs=X, weights=W)

            assert read().body.terms.size
            shared = read_encoder(encoder, device, X)
            alone = in_python(monkeypatch, lambda encoder=encoder: read_encoder(encoder, device, X))
            assert (shared.qubits, shared.keys) == (alone.qubits, alone.keys)
        assert_equal_programs(read(), in_python(monkeypatch, read))


def test_delays_barriers_and_measurements(quito, monkeypatch):
    device = QuantumDevice(quito.calibration)
    circuit = QuantumCircuit(5, 2)
    circuit.sx(0)
    circuit.barrier(0)
    circuit.rz(0.25, 0)
    circuit.delay(100, 0, unit="ns")
    circuit.rz(1, 0)
    circuit.cx(0, 1)
    circuit.barrier()
    circuit.measure(1, 0)
    circuit.rz(0.75, 0)
    circuit.sx(2)
    circuit.measure(0, 1)
    for _ in range(2):
        found = read_program(circuit, device)
        assert found.read == (1, 0)
        assert len(found.body.rows) == 7
        assert_equal_programs(found, in_python(monkeypatch, lambda: read_program(circuit, device)))


def refused():
    """name -> (circuit, message)."""
    made = {}
    for name, angle, message in (
        ("NaN", float("nan"), r"'rz' on qubits \(2,\) has the angle nan"),
        ("infinite", float("inf"), r"'rz' on qubits \(2,\) has the angle inf"),
        ("unbound", Parameter("t"), r"'rz' on qubits \(2,\) has the unbound parameter t"),
        ("not affine", X[0] ** 2, r"'rz' on qubits \(2,\) has the angle .*; expected one that is affine"),
        ("of inputs and weights", X[0] + W[0], "of inputs and weights; expected one kind"),
    ):
        circuit = QuantumCircuit(5)
        circuit.rz(0.5, 2)
        circuit.rz(angle, 2)
        made[name] = (circuit, message)
    late = QuantumCircuit(5, 1)
    late.measure(2, 0)
    late.rz(0.5, 2)
    made["after a measurement"] = (late, r"'rz' on qubits \(2,\) follows a measurement")
    lacking = QuantumCircuit(5)
    lacking.cx(0, 4)
    made["a coupling"] = (lacking, r"no 'cx' on qubits \(0, 4\)")
    return made


REFUSED = refused()


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case, way, quito):
    """With every gate of the device known."""
    known = QuantumCircuit(5)
    for qubit in range(5):
        known.rz(0.5, qubit)
        known.sx(qubit)
    read_program(known, quito, [2])
    circuit, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        read_program(circuit, quito, [2], inputs=X, weights=W)


def test_a_table_of_signatures_grows_and_finds_each():
    table, rng = views.Signatures(), np.random.default_rng(1)
    known = {}
    while len(known) < 400:
        name = str(rng.choice(["rz", "sx", "cx", "ecr", "rzz", "longname"]))
        known.setdefault((name, tuple(rng.choice(900, int(rng.integers(1, 3)), replace=False).tolist())), len(known))
    for (name, place), number in known.items():
        table.add(name, place, number, number % 2)
        table.add(name, place, number + 1, 0)  # what is known stays as it is
    table.add("a_name_that_is_long", (0,), 7, 0)
    if views.interface() is None:
        pytest.skip("this Qiskit has no C interface that reads circuits")
    circuit = QuantumCircuit(900)
    wanted = []
    for (name, place), number in known.items():
        gate = qiskit.circuit.Gate(name, len(place), [0.25] if number % 2 else [])
        circuit.append(gate, place)
        wanted.append(number)
    circuit.append(qiskit.circuit.Gate("a_name_that_is_long", 1, []), [0])
    circuit.append(qiskit.circuit.Gate("new", 1, []), [0])
    circuit.append(qiskit.circuit.Gate("rz", 1, [0.1, 0.2]), [0])
    numbers, angles = table.look(circuit)
    np.testing.assert_array_equal(numbers, [*wanted, *[views.UNKNOWN] * 3])
    np.testing.assert_array_equal(angles, [*(0.25 * (number % 2) for number in wanted), *[np.nan] * 3])
