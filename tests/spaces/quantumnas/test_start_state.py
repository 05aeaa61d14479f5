"""Ground states that are searched from a basis state: the same state in every path, from training to the device."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coevo.cost_models.circuit_noise import noisy_pauli_sums, read_program
from coevo.errors import CorruptRun, InputError
from coevo.kernels.statevector import run_gates, zero_state
from coevo.search.canonical import stream
from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas import CoDesign, Options, load
from coevo.spaces.quantumnas.ansatz.chemistry import hartree_fock
from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS
from coevo.spaces.quantumnas.ansatz.space import make_space
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.definition import problem_of
from coevo.spaces.quantumnas.export.drawing import draw
from coevo.spaces.quantumnas.export.settle import scorer_of, train_restarts
from coevo.spaces.quantumnas.mapping.couplings import coupling_of
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.catalogue import task_of
from coevo.spaces.quantumnas.tasks.molecule import read_molecule
from coevo.spaces.quantumnas.tasks.task import GroundState
from coevo.spaces.quantumnas.training.noise_aware import NoisyObjective
from coevo.spaces.quantumnas.training.objectives import Objective
from coevo.spaces.quantumnas.training.pruning import prune
from coevo.spaces.quantumnas.training.supercircuit import load_supercircuit, train_supercircuit
from coevo.testing import check_space

JAKARTA = {"device": "FakeJakartaV2", "start": "hartree_fock", "max_blocks": 2}


@pytest.fixture(scope="module")
def lih():
    return Setting.make(Options(data="lih", **JAKARTA))


@pytest.mark.parametrize("name", ["h2", "lih", "h2o", "ch4-6q", "beh2-6q", "ch4-10q"])
def test_a_circuit_without_gates_has_the_energy_of_hartree_fock(name):
    molecule = read_molecule(name)
    task = task_of(name, start="hartree_fock")
    assert task.start == molecule.hartree_fock_state
    template = Template(GATE_SETS["u3cu3"], task.n_qubits, 1, flipped=task.flipped)
    energies = Objective(task, template, None, np.float64).energies(
        np.zeros((1, template.n_angles)), template.actives([()])
    )
    assert energies[0] == pytest.approx(molecule.energies["hartree_fock"], abs=1e-9)


def test_bits_count_from_the_highest_qubit():
    hamiltonian = read_molecule("h2").hamiltonian
    assert [GroundState("h2", hamiltonian, bits).flipped for bits in (None, "00", "01", "10", "11")] == [
        (), (), (0,), (1,), (0, 1),
    ]  # fmt: skip


def test_every_design_keeps_the_start_and_nothing_else_changes(lih):
    """A template from a start has the gates of one without, behind the X of its flipped qubits."""
    plain = Setting.make(Options(data="lih", **JAKARTA | {"start": None}))
    space = make_space(lih.template, lih.coupling)
    assert (space.id, make_space(plain.template, plain.coupling).id) == (
        "quantumnas/u3cu3-start/v1",
        "quantumnas/u3cu3/v1",
    )
    check_space(space, samples=25)
    flips = [("x", (0,), ()), ("x", (1,), ())]
    for number in range(20):
        design = space.build(space.sample(stream(1, "start", number)))
        assert lih.template.gates_of(design.layers) == flips + plain.template.gates_of(design.layers)
        assert lih.template.used_angles(design.layers).tolist() == plain.template.used_angles(design.layers).tolist()
    genes = [[choices[-1] for choices in lih.template.gene_choices]]
    assert lih.template.actives_of_genes(genes).all()
    assert draw(lih, design).count(">X</text>") == 2


def test_the_bare_start_is_a_design_that_can_be_trained_exported_and_read_back(tmp_path):
    """Without a block there is nothing to train, prune or draw but the start; without a start a block is needed."""
    refined = {"scratch_steps": 2, "scratch_restarts": 1, "prune_ratios": (0.5, 1.0), "prune_steps": 2}
    options = Options(data="h2", start="hartree_fock", noise_aware_steps=2, **refined)
    made = problem_of(Setting.make(options))
    designs = [made.space.sample(stream(1, "bare", number)) for number in range(40)]
    bare = next(design for design in designs if not made.space.build(design).layers)
    measured = made.export(bare, WorkContext(tmp_path, 0))
    assert measured["parameters"] == measured["two_qubit_gates"] == 0
    assert measured["noise_free_energy"] == pytest.approx(read_molecule("h2").energies["hartree_fock"], abs=1e-9)
    assert made.verify(tmp_path) == []
    assert len(load(tmp_path).theta) == 0
    plain = make_space(Setting.make(Options(data="h2")).template, coupling_of("FakeQuitoV2"))
    assert all(plain.build(plain.sample(stream(1, "bare", number))).layers for number in range(40))


def test_the_mapped_circuit_has_the_noise_of_the_hartree_fock_circuit(lih):
    """Of a circuit without gates, and of one whose gates are all pruned: written by another builder, on one layout."""
    molecule, layout = read_molecule("lih"), (5, 6, 3, 0, 2, 1)
    scorer = scorer_of(lih, None)
    mapped = scorer.mapper.map(hartree_fock(6, molecule.hartree_fock_state).to_qiskit(np.zeros(0)), layout)
    program = read_program(mapped.body, scorer.device, mapped.final)
    sums = molecule.hamiltonian
    expected = noisy_pauli_sums([program], sums.labels, sums.coefficients[None])[0, 0, 0]
    bare = scorer.map(CoDesign(layout, ()), np.zeros(lih.template.n_angles))
    assert scorer.outputs([bare])[0] == pytest.approx(expected, abs=1e-10)
    design = CoDesign(layout, ((0, 1, 2), (0, 1), (0,), (0, 5)))
    angles = np.random.default_rng(0).normal(0, 0.3, lih.template.n_angles)
    pruned = prune(lih.template, design, angles, Objective(lih.task, lih.template), (1.0,), 6, 0.01)[1.0]
    assert not pruned.any()
    emptied = scorer.map(design, pruned)
    assert emptied.two_qubit_gates == 0
    assert scorer.outputs([emptied])[0] == pytest.approx(expected, abs=1e-10)


def test_the_noise_aware_circuit_starts_there_too(lih):
    """Without noise its energy is that of the gates one by one."""
    scorer = scorer_of(lih, None)
    scorer.device = scorer.device.scaled(0.0)
    design = CoDesign((1, 3, 5, 0, 2, 4), ((0, 1, 2, 3, 4, 5), (0, 1, 2)))
    angles = np.random.default_rng(1).uniform(-2, 2, lih.template.n_angles)
    gates = [(name, qubits, tuple(angles[list(slots)])) for name, qubits, slots in lih.template.gates_of(design.layers)]
    states = run_gates(gates, zero_state(6)[None])
    expected = lih.task.hamiltonian.expectation(states)[0]
    found = NoisyObjective(scorer, design).values(angles)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_training_from_scratch_begins_at_the_start():
    """One tiny step stays near it; from anywhere it would be hundreds of mHa away."""
    options = Options(data="lih", **JAKARTA, scratch_steps=1, scratch_learning_rate=1e-6)
    setting = Setting.make(options)
    design = CoDesign(None, ((0, 1, 2, 3, 4, 5), (0, 1, 2)))
    angles = train_restarts(setting, design, Objective(setting.task, setting.template), 0)
    energies = Objective(setting.task, setting.template, None, np.float64).energies(
        angles, setting.template.actives([design.layers] * len(angles))
    )
    assert len(energies) == 3
    assert np.abs(energies - read_molecule("lih").energies["hartree_fock"]).max() < 0.1


def test_a_supercircuit_that_was_trained_from_elsewhere_is_refused(lih, tmp_path):
    options = Options(data="lih", **JAKARTA, supercircuit_steps=2)
    trained = load_supercircuit(train_supercircuit(options, lih.task, lih.template, 0, tmp_path))
    assert trained.shape == (lih.template.n_angles,)
    plain = Options(**options.model_dump() | {"start": None})
    with pytest.raises(CorruptRun, match="trained with other options"):
        train_supercircuit(plain, lih.task, lih.template, 0, tmp_path)


def test_a_file_without_a_hartree_fock_state_says_so(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"n_qubits": 2, "unit": "Ha", "terms": [["ZZ", 1.0]]}))
    assert task_of(str(path), start="10").flipped == (1,)
    with pytest.raises(InputError, match="states no hartree_fock_state; give the bits"):
        task_of(str(path), start="hartree_fock")
