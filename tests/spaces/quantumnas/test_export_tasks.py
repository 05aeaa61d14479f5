"""Every gate set and both kinds of task: exported, read back, loaded, and run on primitives."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.quantum_info import Statevector
from qiskit_aer.primitives import EstimatorV2, SamplerV2

from coevo.errors import InputError
from coevo.search.canonical import stream
from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas import Options, load, read_pubs
from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS
from coevo.spaces.quantumnas.definition import problem_of
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.molecule import read_molecule
from coevo.spaces.quantumnas.tasks.task import GroundState

TINY = {
    "max_blocks": 2,
    "train_examples": 40,
    "validation_examples": 20,
    "test_examples": 20,
    "scratch_steps": 3,
    "scratch_restarts": 1,
}
CASES = [
    *(pytest.param({"gates": gates}, task, id=f"{gates}-{task}") for gates in GATE_SETS for task in ("mnist4", "h2")),
    *(
        pytest.param({"device": device, "qubits": tuple(range(16))}, task, id=f"{device}-{task}")
        for device in ("FakeTorino", "FakeBrisbane")
        for task in ("mnist4", "lih")
    ),
    *(pytest.param({"layout": "qiskit"}, task, id=f"qiskit's layout-{task}") for task in ("mnist4", "h2")),
    *(pytest.param({"gates": gates, "start": "10"}, "h2", id=f"{gates} from |10>") for gates in ("u3cu3", "rxyz")),
    pytest.param({"gates": "rxyz", "artifact_depth": True, "widths": "arbitrary"}, "mnist4", id="arbitrary"),
]


@pytest.fixture(scope="module", params=[case.values for case in CASES], ids=[case.id for case in CASES])
def exported(request, tmp_path_factory):
    options, name = request.param
    start = options.get("start")
    task = None if name == "mnist4" else GroundState(name, read_molecule(name).hamiltonian, start)
    setting = Setting.make(Options(**TINY, **options), task)
    problem = problem_of(setting)
    design = problem.space.sample(stream(3, "export", 0))
    folder = tmp_path_factory.mktemp("exported")
    measured = problem.export(design, WorkContext(folder, 0))
    return SimpleNamespace(
        setting=setting,
        problem=problem,
        folder=folder,
        measured=measured,
        classifies=task is None,
        value=problem.space.build(design),
        home=load(folder),
    )


def states_of(home):
    """Of every example, or of the one ground state, by nothing but Qiskit."""
    inputs = [None] if home.examples is None else home.examples.inputs
    return [Statevector(home.bind(x).remove_final_measurements(inplace=False)) for x in inputs]


def readout_of(home):
    """<Z> [examples or 1, qubits]."""
    states = states_of(home)
    bits = np.arange(2 ** states[0].num_qubits)[:, None] >> np.arange(states[0].num_qubits) & 1
    return np.array([state.probabilities() for state in states]) @ (1 - 2 * bits)


def noise_free_values(exported):
    """<Z> [examples, qubits] or the energy []."""
    if exported.classifies:
        return readout_of(exported.home)
    operator = exported.setting.task.hamiltonian.to_sparse_pauli_op()
    return np.array(states_of(exported.home)[0].expectation_value(operator).real)


def test_it_reads_back(exported):
    assert exported.problem.verify(exported.folder) == []


def test_a_loaded_folder_knows_its_layout_and_its_task(exported):
    home, value = exported.home, exported.value
    isa = home.isa()
    assert value.layout is None or home.layout.initial == value.layout
    assert tuple(isa.layout.initial_index_layout(filter_ancillas=True)) == home.layout.initial
    assert tuple(isa.layout.final_index_layout()) == home.layout.final
    assert set(isa.count_ops()) <= {"rz", "sx", "x", "cx", "cz", "ecr", "barrier", "measure"}
    if not exported.classifies:
        assert home.task.hamiltonian.to_document() == exported.setting.task.hamiltonian.to_document()
        assert home.task.start == exported.setting.task.start
        assert home.examples is None and not isa.parameters
    else:
        assert home.task.encoder == exported.setting.task.encoder
        np.testing.assert_array_equal(home.task.head, exported.setting.task.head)
        assert len(isa.parameters) == 16 and not home.isa(home.examples.inputs[0]).parameters
    parameters = {p.name.partition("[")[0] for p in home.logical().parameters}
    trained = (
        {"theta"} if len(exported.setting.template.used_angles(value.layers)) else set()
    )  # or the bare start state
    assert parameters == (trained if not exported.classifies else trained | {"x"})
    assert not home.logical(bind=True).parameters or exported.classifies


def test_noise_free_outputs_are_the_told_ones(exported):
    told = json.loads((exported.folder / "examples.json").read_text())
    values = noise_free_values(exported)
    if not exported.classifies:
        assert values == pytest.approx(told["noise_free_energy"], abs=1e-10)
        assert values == pytest.approx(exported.measured["noise_free_energy"], abs=1e-10)
    else:
        expected = [example["noise_free_logits"] for example in told["examples"]]
        np.testing.assert_allclose(values @ exported.home.task.head, expected, atol=1e-10)


def test_noisy_outputs_are_the_told_ones_also_for_other_inputs(exported):
    home = exported.home
    told = json.loads((exported.folder / "examples.json").read_text())
    if not exported.classifies:
        np.testing.assert_allclose(home.noisy_outputs(), [told["noisy_energy"]], atol=1e-10)
        return
    expected = np.array([example["noisy_logits"] for example in told["examples"]])
    np.testing.assert_allclose(home.noisy_outputs(), expected, atol=1e-10)
    np.testing.assert_allclose(home.noisy_outputs(home.examples.inputs[5:2:-1]), expected[5:2:-1], atol=1e-10)


def test_exact_estimators_give_the_noise_free_values_of_both_circuits(exported):
    expected = noise_free_values(exported)
    _, pubs = exported.home.pubs(logical=True, precision=0.0)
    np.testing.assert_allclose(StatevectorEstimator().run(pubs).result()[0].data.evs, expected, atol=1e-10)
    _, pubs = read_pubs(exported.folder, precision=0.0)
    np.testing.assert_allclose(EstimatorV2().run(pubs).result()[0].data.evs, expected, atol=1e-10)
    if exported.setting.coupling.num_qubits <= 5:  # all of the device's qubits are a state vector
        np.testing.assert_allclose(StatevectorEstimator().run(pubs).result()[0].data.evs, expected, atol=1e-10)


def test_samplers_give_the_noise_free_values_within_their_shots(exported):
    """Z of qubit i is bit i of the register c; both circuits, two samplers."""
    shots = 10_000
    home = exported.home
    pubs, _ = read_pubs(exported.folder, shots=shots)
    logical, _ = home.pubs(logical=True, shots=shots)
    expected = readout_of(home)
    for run in (SamplerV2(seed=1).run(pubs), StatevectorSampler(seed=3).run(logical)):
        (data,) = run.result()[0].data.values()
        assert data.num_shots == shots
        ones = np.stack([data.slice_bits(qubit).array[..., 0].mean(-1) for qubit in range(expected.shape[1])], axis=-1)
        np.testing.assert_allclose((1 - 2 * ones).reshape(expected.shape), expected, atol=5 / shots**0.5)


def test_the_files_of_openqasm_2_are_read_by_both_of_qiskits_readers(exported):
    """With and without Qiskit's additions to qelib1.inc; the inputs are those of the first example."""
    home = exported.home
    x = None if not exported.classifies else home.examples.inputs[0]
    expected = Statevector(home.bind(x).remove_final_measurements(inplace=False))
    path = exported.folder / "circuit.qasm2"
    for circuit in (QuantumCircuit.from_qasm_file(str(path)), qasm2.load(str(path))):
        found = Statevector(circuit.remove_final_measurements(inplace=False))
        assert abs(found.inner(expected)) ** 2 == pytest.approx(1, abs=1e-10)
    assert path.read_text().startswith("// OpenQASM 2 has no parameters")
    isa = QuantumCircuit.from_qasm_file(str(exported.folder / "isa.qasm2"))
    assert isa.num_qubits == exported.setting.coupling.num_qubits


def test_the_torino_and_brisbane_circuits_are_in_their_own_two_qubit_gates(exported):
    own = {"FakeTorino": "cz", "FakeBrisbane": "ecr", "FakeQuitoV2": "cx"}[exported.setting.options.device]
    pairs = {item.name for item in exported.home.isa().data if len(item.qubits) == 2 and item.name != "barrier"}
    assert pairs <= {own}
    text = (exported.folder / "isa.qasm2").read_text()
    assert not pairs or f"\n{own} q[" in text


def test_wrong_arguments_are_refused(exported, tmp_path):
    home = exported.home
    if not exported.classifies:
        with pytest.raises(InputError, match="is a ground state: its circuit has no inputs"):
            home.bind(np.zeros(16))
        with pytest.raises(InputError, match="no inputs"):
            home.noisy_outputs(np.zeros((1, 16)))
    else:
        with pytest.raises(InputError, match="expected x, the 16 angles"):
            home.bind()
        with pytest.raises(InputError, match=r"expected 16 finite angles in radians for x, got shape \[3\]"):
            home.isa(np.zeros(3))
        with pytest.raises(InputError, match=r"expected finite inputs \[examples, 16\]"):
            home.noisy_outputs([[np.nan] * 16])
        with pytest.raises(InputError, match="for weights"):
            home.bind(home.examples.inputs[0], np.zeros(len(home.theta) + 1))
    with pytest.raises(InputError, match=r"is no exported quantum design: layout\.json: FileNotFoundError"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"pubs\.json holds no PUBs"):
        read_pubs(tmp_path)


@pytest.mark.parametrize("columns", [1, 3, 20])
def test_arrays_are_exported_with_their_scaler(columns, tmp_path):
    """Fewer columns than qubits, which are encoded several times, and more than four a qubit."""
    rng = np.random.default_rng(columns)
    rows, labels = rng.normal(size=(80, columns)), rng.integers(0, 4, 80)
    data, folder = tmp_path / "own.npz", tmp_path / "home"
    np.savez(data, X=rows, y=labels)
    folder.mkdir()
    sizes = {**TINY, "train_examples": 40, "validation_examples": 20}
    setting = Setting.make(Options(**{**sizes, "data": str(data)}))
    problem = problem_of(setting)
    problem.export(problem.space.sample(stream(3, "export", 0)), WorkContext(folder, 0))
    assert problem.verify(folder) == []
    home = load(folder)
    angles = home.scaler.angles(rows)
    np.testing.assert_array_equal(angles, setting.task.read_scaler().angles(rows))
    assert np.abs(home.examples.inputs[:, None] - angles).max(axis=-1).min(axis=1).max() < 1e-12
    assert home.noisy_outputs(angles).shape == (80, 4)
    assert {qubit for _, qubit, _ in home.task.encoder} == set(range(4))

    told = json.loads((folder / "task.json").read_text())
    told["scaler"]["steps"][0]["centre"][0] += 0.1
    (folder / "task.json").write_text(json.dumps(told))
    assert problem.verify(folder) == [f"task.json: its scaler is not that of the training rows of {data}"]
    data.unlink()
    (wrong,) = problem.verify(folder)
    assert wrong.startswith("task.json: its scaler was not compared: InputError: ") and "own.npz" in wrong
    told["scaler"]["columns"] += 1
    (folder / "task.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="a step of the scaler does not take"):
        load(folder)


def test_images_have_no_scaler(exported):
    with pytest.raises(InputError, match="has no scaler"):
        _ = exported.home.scaler
