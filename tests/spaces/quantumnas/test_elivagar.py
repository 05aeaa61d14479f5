"""Elivagar's scores against Aer and plain loops, what must not change them, its stage on the ladder and its search."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Clifford, Operator, Statevector, partial_trace

from coevo import Study
from coevo.cost_models.circuit_noise import outcome_probabilities, program_from_gates
from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.search.evaluator import Candidate, Context
from coevo.search.registry import load_problem
from coevo.spaces.quantumnas import CoDesign, Options, problem
from coevo.spaces.quantumnas.ansatz.space import make_space
from coevo.spaces.quantumnas.judging.elivagar.candidates import (
    coupling_errors,
    draw_candidates,
    draw_layouts,
    layout_quality,
)
from coevo.spaces.quantumnas.judging.elivagar.capacity import Capacity
from coevo.spaces.quantumnas.judging.elivagar.clifford import (
    CLIFFORDS,
    CliffordResilience,
    draw_replicas,
    skeleton,
)
from coevo.spaces.quantumnas.judging.elivagar.score import ElivagarScore
from coevo.spaces.quantumnas.judging.elivagar.search import elivagar_search
from coevo.spaces.quantumnas.judging.estimate import equally_many
from coevo.spaces.quantumnas.mapping.circuits import logical_circuit
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Examples
from coevo.testing import check_evaluator

NAME = "coevo.spaces.quantumnas:problem"
QUICK = {"replicas": 4, "draws": 3, "samples_per_class": 3}
# Every Clifford in the device's gates, as the textbook has it and not as the code does.
WORDS = {
    "h": [("rz", np.pi / 2), ("sx",), ("rz", np.pi / 2)],
    "s": [("rz", np.pi / 2)],
    "z": [("rz", np.pi)],
    "x": [("x",)],
    "y": [("rz", np.pi), ("x",)],
}


@pytest.fixture(scope="module")
def quito():
    return QuantumDevice.from_name("FakeQuitoV2")


@pytest.fixture(scope="module")
def native(small_options):
    return Setting.make(Options(**small_options, gates="native"))


@pytest.fixture(scope="module")
def scores(setting, quito):
    return ElivagarScore(setting, quito, **QUICK)


def replica_circuit(device, slots, names):
    """A replica as a Qiskit circuit in the device's gates."""
    circuit, left = QuantumCircuit(device.num_qubits), iter(names)
    for name, qubits in slots:
        for gate, *angles in [(name,)] if name else WORDS[next(left)]:
            getattr(circuit, gate)(*angles, *qubits)
    return circuit


# -- Clifford noise resilience


@pytest.mark.parametrize("name", CLIFFORDS)
def test_words_are_the_cliffords_that_they_are_called(name):
    circuit, wanted = QuantumCircuit(1), QuantumCircuit(1)
    for gate, *angles in WORDS[name]:
        getattr(circuit, gate)(*angles, 0)
    getattr(wanted, name)(0)
    assert Operator(circuit).equiv(Operator(wanted))


def test_a_replica_is_a_clifford_and_keeps_two_qubit_gates_and_places(scores, quito, sampled):
    for design in sampled(4):
        mapped = scores.map(design)
        slots = skeleton(mapped, quito)
        pairs = [
            (item.name, tuple(mapped.body.find_bit(qubit).index for qubit in item.qubits))
            for item in mapped.body.data
            if len(item.qubits) == 2
        ]
        assert [slot for slot in slots if slot[0]] == pairs and len(pairs) == mapped.two_qubit_gates
        replica = replica_circuit(quito, slots, draw_replicas(slots, 1, np.random.default_rng(0))[0])
        Clifford(replica)  # raises for any other gate
        used = {replica.find_bit(qubit).index for item in replica.data for qubit in item.qubits}
        assert {*mapped.initial} <= used


def test_runs_of_one_qubit_gates_are_one_slot_and_the_encoder_is_apart(scores, quito):
    mapped = scores.map(CoDesign((0, 1, 2, 3), ((0,), (0,))))
    slots = skeleton(mapped, quito)
    # The encoder, one gate a qubit, though it is many of the device's.
    assert sorted(slots[:4]) == [(None, (0,)), (None, (1,)), (None, (2,)), (None, (3,))]
    assert mapped.encoder.size() > 8
    after_one_qubit_gate = set()
    for name, qubits in slots[4:]:
        assert after_one_qubit_gate.isdisjoint(qubits) or name is not None
        (after_one_qubit_gate.update if name is None else after_one_qubit_gate.difference_update)(qubits)
    assert sum(name is None for name, _ in slots[4:]) < mapped.body.size() - mapped.two_qubit_gates


def test_resilience_is_one_minus_the_distance_that_aer_sees(scores, quito, sampled):
    from qiskit_aer import AerSimulator

    simulator = AerSimulator(method="density_matrix", noise_model=quito.noise_model, max_parallel_threads=1)
    resilience, moved = CliffordResilience(quito, replicas=6, seed=5), 0
    for design in sampled(3):
        mapped = scores.map(design)
        slots = skeleton(mapped, quito)
        drawn = draw_replicas(slots, 6, np.random.default_rng(5))
        distances = []
        for names in drawn:
            circuit = replica_circuit(quito, slots, names)
            ideal = Statevector(circuit).probabilities(list(mapped.final))
            circuit.save_probabilities(list(mapped.final))
            noisy = np.asarray(simulator.run(circuit).result().data(0)["probabilities"])
            for position, qubit in enumerate(mapped.final):  # bit `position` of an outcome
                pairs = noisy.reshape(-1, 2, 2**position)
                noisy = np.einsum("mp,apb->amb", quito.readout_matrix(qubit), pairs).ravel()
            distances.append(np.abs(noisy - ideal).sum() / 2)
        assert resilience(mapped) == pytest.approx(1 - np.mean(distances), abs=1e-10)
        moved += mapped.initial != mapped.final
    assert moved  # routing moved a qubit at least once


def test_rows_of_a_replica_are_those_of_its_gates(scores, quito, sampled):
    mapped = scores.map(sampled(1)[0])
    slots = skeleton(mapped, quito)
    (names,) = draw_replicas(slots, 1, np.random.default_rng(1))
    left = iter(names)
    gates = [
        (gate, qubits, tuple(angles))
        for name, qubits in slots
        for gate, *angles in ([(name,)] if name else WORDS[next(left)])
    ]
    made = CliffordResilience(quito).program(slots, names, mapped.final, quito)
    np.testing.assert_allclose(
        outcome_probabilities([made]), outcome_probabilities([program_from_gates(gates, quito, mapped.final)]), atol=0
    )


@pytest.mark.parametrize("name", ["FakeQuitoV2", "FakeTorino", "FakeBrisbane"])  # cx, cz, ecr
def test_without_noise_resilience_is_one_and_more_noise_leaves_less(name, native):
    device = QuantumDevice.from_name(name)
    setting = Setting.make(Options(**native.options.model_dump() | {"device": name}))
    edges = [edge for edge in device.edges if not device.calibration.missing(edge)]
    layout = list(edges[0])
    while len(layout) < 4:
        layout.append(next(q for edge in edges for q in edge if q not in layout and {*edge} & {*layout}))
    design = CoDesign(tuple(layout), ((0, 1, 2, 3), (0,), (0, 1, 2, 3), (0,)))
    mapped = ElivagarScore(setting, device, **QUICK).map(design)
    assert CliffordResilience(device.scaled(0), 8)(mapped) == pytest.approx(1, abs=1e-12)
    found = [CliffordResilience(device.scaled(scale), 8)(mapped) for scale in (0.5, 1, 2)]
    assert 1 > found[0] > found[1] > found[2] > 0


def test_shots_and_seeds(scores, quito, sampled):
    mapped = scores.map(sampled(1)[0])
    exact = CliffordResilience(quito, 8, seed=1)
    assert exact(mapped) == CliffordResilience(quito, 8, seed=1)(mapped) != CliffordResilience(quito, 8, seed=2)(mapped)
    sampled_often = CliffordResilience(quito, 8, shots=1_000_000, seed=1)(mapped)
    assert sampled_often == pytest.approx(exact(mapped), abs=0.01)
    # Few shots add distance of their own.
    assert CliffordResilience(quito, 8, shots=16, seed=1)(mapped) < exact(mapped)
    for counts in ({"replicas": 0}, {"shots": 0}):
        with pytest.raises(InputError, match="1 replica or more and 1 shot or more"):
            CliffordResilience(quito, **counts)


def test_a_delay_has_no_clifford(scores, quito, sampled):
    mapped = scores.map(sampled(1)[0])
    body = mapped.body.copy()
    body.delay(100, mapped.final[0], "ns")
    with pytest.raises(InputError, match=r"a delay on qubit .* before scheduling"):
        skeleton(dataclasses.replace(mapped, body=body), quito)


# -- representational capacity


def plain_capacity(setting, examples, all_angles, layers):
    """By Qiskit's states and loops over pairs."""
    task, template = setting.task, setting.template
    scores = ElivagarScore(setting, QuantumDevice.from_name(setting.options.device), **QUICK)
    front = scores._scorer.mapper.front
    count, classes = len(examples), len(task.classes)
    alike = np.zeros((count, count))
    for angles in all_angles:
        circuit = logical_circuit(front, template.gates_of(layers), angles.tolist())
        circuit.remove_final_measurements()
        states = []
        for x in examples.inputs:
            state = Statevector(circuit.assign_parameters(dict(zip(front.inputs, x, strict=True))))
            states.append([partial_trace(state, [q for q in range(4) if q != keep]).data for keep in range(4)])
        overlap = np.array(
            [[np.mean([np.trace(a @ b).real for a, b in zip(r, s, strict=True)]) for s in states] for r in states]
        )
        off = [overlap[i, j] for i in range(count) for j in range(count) if i != j]
        for i in range(count):
            for j in range(count):
                alike[i, j] += (i == j or overlap[i, j] > np.mean(off)) / len(all_angles)
    total = ideal = 0.0
    for i in range(count):
        for j in range(count):
            same = examples.labels[i] == examples.labels[j]
            ideal += same
            total += ((same - alike[i, j]) * (1 if same else 1 / (classes - 1))) ** 2
    return 1 - total / (2 * ideal)


def test_capacity_is_that_of_a_plain_loop(setting, sampled):
    few = equally_many(setting.task.read_training()[0], 12, 4)
    capacity = Capacity(setting.template, setting.task, few, draws=3, seed=2)
    for design in sampled(2):
        wanted = plain_capacity(setting, few, capacity.angles, design.layers)
        found = capacity(setting.template.active(design.layers))
        assert found == pytest.approx(wanted, abs=1e-9) and 0 <= found <= 1


def test_states_of_many_qubits_give_the_same_overlaps(setting, sampled, monkeypatch):
    few = equally_many(setting.task.read_training()[0], 12, 4)
    capacity = Capacity(setting.template, setting.task, few, draws=3)
    active = setting.template.active(sampled(1)[0].layers)
    by_unitary = capacity.overlaps(active)
    monkeypatch.setattr("coevo.spaces.quantumnas.judging.elivagar.capacity._MAX_UNITARY_QUBITS", 0)
    np.testing.assert_allclose(capacity.overlaps(active), by_unitary, atol=1e-12)


def test_what_does_not_entangle_has_the_capacity_of_its_encoder(setting):
    few = equally_many(setting.task.read_training()[0], 16, 4)
    nothing = np.zeros(len(setting.template.gates), np.uint8)
    one_qubit = np.array([len(qubits) == 1 for _, qubits, _ in setting.template.gates], np.uint8)
    found = {
        Capacity(setting.template, setting.task, few, draws, seed)(active)
        for draws, seed in ((1, 0), (4, 1), (4, 2))
        for active in (nothing, one_qubit)
    }
    assert max(found) - min(found) < 1e-9 and 0 < min(found) < 1


def test_a_perfect_and_a_useless_circuit(setting):
    """Examples that are equal within a class and orthogonal across classes, and labels that have nothing to do with
    them."""
    ends = np.zeros((8, 16))
    ends[4:, :4] = np.pi  # four RY by pi
    task = dataclasses.replace(setting.task, classes=("a", "b"), head=np.ones((4, 2)))
    nothing = np.zeros(len(setting.template.gates), np.uint8)
    labels = np.repeat([0, 1], 4)
    assert Capacity(setting.template, task, Examples(ends, labels), 2)(nothing) == pytest.approx(1)
    mixed = Capacity(setting.template, task, Examples(ends, np.tile([0, 1], 4)), 2)(nothing)
    assert mixed == pytest.approx(1 - (16 + 16) / (2 * 32))  # half of all pairs of either kind are wrong


def test_capacity_refuses_what_it_cannot_compare(setting):
    training, _ = setting.task.read_training()
    only = Examples(training.inputs[training.labels == 1][:4], training.labels[training.labels == 1][:4])
    with pytest.raises(InputError, match="examples of each of 2 classes or more, got 1 of 4"):
        Capacity(setting.template, setting.task, only)
    with pytest.raises(InputError, match="1 draw of angles or more, got 0"):
        Capacity(setting.template, setting.task, training, draws=0)


# -- the stage on the ladder


@pytest.fixture(scope="module")
def ladder(small_options, prepared):
    made = problem(**small_options, ladder=True, ladder_share=0.3, ladder_score="elivagar")
    return dataclasses.replace(
        made, prepare=lambda context: {name: Path(shutil.copy(p, context.folder)) for name, p in prepared.items()}
    )


def test_the_option_chooses_the_stage(ladder, small_options):
    assert [stage.evaluator.label for stage in ladder.stages] == ["quantumnas.elivagar@1", "quantumnas.noisy@2"]
    loss = problem(**small_options, ladder=True)
    assert loss.stages[0].evaluator.id == "quantumnas.estimate"


def test_the_stage_keeps_the_contract_and_trains_nothing(ladder, quito, setting):
    judge = ladder.stages[0].evaluator
    outcomes = check_evaluator(judge, ladder.space, 3, artifacts={})
    for outcome in outcomes:
        found = outcome.metrics
        assert set(found) == set(judge.metrics) >= {"noisy_accuracy", "two_qubit_gates", "depth", "parameters"}
        assert (
            found["noisy_accuracy"]
            == found["elivagar_score"]
            == pytest.approx(found["representational_capacity"] * found["clifford_noise_resilience"] ** 0.5)
        )
        assert found["noise_free_accuracy"] == found["representational_capacity"]
        assert found["noisy_loss"] == found["noisy_calibrated_loss"] == -found["elivagar_score"]


def test_gates_are_those_of_the_exact_stage_up_to_what_its_angles_allow(ladder, sampled, evaluator):
    """Generic angles: nothing that a lucky angle would let the optimiser drop."""
    judge = ladder.stages[0].evaluator
    judge.setup(Context())
    candidates = [Candidate(index, "", value, 0, Path()) for index, value in enumerate(sampled(4))]
    for cheap, exact in zip(
        judge.evaluate(candidates, Context()), evaluator.evaluate(candidates, Context()), strict=True
    ):
        assert cheap.metrics["two_qubit_gates"] == exact.metrics["two_qubit_gates"]
        assert cheap.metrics["parameters"] == exact.metrics["parameters"]


def test_a_study_climbs_from_the_score_to_the_exact_stage(ladder):
    with Study(ladder, algorithm_options={"population": 8}, lag=15, seed=1, runner="inline") as study:
        front = study.run(trials=16)
        told = list(study.trials())
    exact = [trial for trial in told if trial.stage == "noisy"]
    assert 0 < len(exact) < 16 and all(trial.outcome.ok for trial in told)
    assert all(trial.stage == "noisy" and "elivagar_score" not in trial.outcome.metrics for trial in front)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ladder_score": "elivagar"}, "ladder_score = elivagar has no effect without ladder = true"),
        ({"ladder": True, "ladder_score": "elivagar", "ladder_steps": 3}, "ladder_steps = 3 has no effect with"),
        ({"ladder": True, "ladder_score": "elivagar", "ladder_examples": 3}, "ladder_examples = 3 has no effect with"),
        ({"ladder": True, "ladder_score": "elivagar", "data": "h2"}, "task h2 is a ground state without any"),
        (
            {"ladder": True, "ladder_score": "elivagar", "data": "mnist10", "device": "FakeGuadalupeV2"},
            "task mnist10 reads 10 qubits.*up to 8",
        ),
    ],
)
def test_what_it_cannot_rank_is_refused_when_the_problem_is_made(options, says):
    with pytest.raises(InputError, match=says):
        load_problem(NAME, options)


def test_a_search_by_a_loss_ranks_by_the_score_too(ladder):
    goals = {"noisy_calibrated_loss": "min"}
    with Study(ladder, objectives=goals, algorithm_options={"population": 4}, seed=1, runner="inline") as study:
        study.run(trials=4)
        cheap = [dict(trial.earlier[0].metrics) if trial.earlier else trial.outcome.metrics for trial in study.trials()]
    assert all(found["noisy_calibrated_loss"] == -found["elivagar_score"] for found in cheap)


# -- the whole search


def test_candidates_are_distinct_connected_and_of_the_space(native, quito):
    drawn = draw_candidates(native, quito, 40, np.random.default_rng(0))
    assert len(set(drawn)) == len(drawn) == 40
    space = make_space(native.template, native.coupling)
    coupled = {frozenset(edge) for edge in native.coupling.edges}
    for design in drawn:
        assert len(native.coupling.parts(design.layout)) == 1
        answers = {"layout": list(design.layout), "blocks": len(design.layers) // 2}
        for entry, chosen in zip(native.template.block_layers, design.layers, strict=False):
            if entry.layer.where == "each":
                answers[entry.name] = len(chosen)
            for place, (a, b) in enumerate(entry.places if entry.layer.where == "coupled" else ()):
                if frozenset((design.layout[a], design.layout[b])) in coupled:
                    answers[f"{entry.name}.{a}-{b}"] = place in chosen
        assert space.build(space.design(answers)) == design  # valid, and nothing beside the couplings


def test_better_couplings_are_used_more_often(native, quito):
    errors = coupling_errors(quito)
    fixed = dataclasses.replace(native, options=Options(**native.options.model_dump() | {"layout": (0, 1, 3, 4)}))
    used = dict.fromkeys(errors, 0)
    for design in draw_candidates(fixed, quito, 300, np.random.default_rng(0)):
        assert design.layout == (0, 1, 3, 4)
        for entry, chosen in zip(native.template.block_layers, design.layers, strict=False):
            if entry.layer.where == "coupled":
                for place in chosen:
                    used[tuple(sorted((0, 1, 3, 4)[q] for q in entry.places[place]))] += 1
    inside = sorted((pair for pair in errors if 2 not in pair), key=lambda pair: errors[pair][0])
    counts = [used[pair] for pair in inside]
    assert len(counts) == 3 and counts == sorted(counts, reverse=True) and min(counts) > 0


def test_a_noise_free_device_and_one_of_its_own_qubits(native, quito):
    ideal = quito.scaled(0)
    drawn = draw_candidates(native, ideal, 20, np.random.default_rng(0))
    assert any(chosen for design in drawn for chosen in design.layers[1::2])  # couplings without errors are used too
    guadalupe = QuantumDevice.from_name("FakeGuadalupeV2")
    wanted = (1, 2, 3, 4, 5)
    options = Options(**native.options.model_dump() | {"device": "FakeGuadalupeV2", "qubits": wanted})
    places, chances = draw_layouts(Setting.make(options), guadalupe, np.random.default_rng(0), 16)
    assert all({*layout} <= {*wanted} for layout in places) and chances.sum() == pytest.approx(1)
    errors = coupling_errors(guadalupe)
    quality = [layout_quality(guadalupe, layout, errors) for layout in places]
    assert np.argmax(chances) == np.argmax(quality) and np.argmin(chances) == np.argmin(quality)


def test_the_search_ranks_and_repeats(native):
    found = elivagar_search(native, candidates=10, keep=4, resilient_share=0.5, layouts=8, seed=3, **QUICK)
    assert len(found) == 4 == len({one.design for one in found})
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert found == elivagar_search(native, candidates=10, keep=4, resilient_share=0.5, layouts=8, seed=3, **QUICK)
    everyone = elivagar_search(native, candidates=10, keep=10, resilient_share=1.0, layouts=8, seed=3, **QUICK)
    kept = sorted(everyone, key=lambda one: -one.resilience)[:5]
    assert {one.design for one in found} <= {one.design for one in kept}
    for one in found:
        assert one.two_qubit_gates <= sum(map(len, one.design.layers[1::2]))  # nothing was routed


@pytest.mark.parametrize(
    ("options", "arguments", "says"),
    [
        ({"gates": "u3cu3"}, {}, "expected gates = \"native\", got 'u3cu3'"),
        ({"data": "h2"}, {}, "task h2 is a ground state"),
        ({"layers": ((0, 1), (0,))}, {}, "'layers' gives one"),
        ({"layout": "qiskit"}, {}, "takes its pairs from the layout"),
        ({"qubits": (0, 1, 2, 7)}, {}, "names qubit 7"),
        ({"qubits": (0, 2, 3, 4)}, {}, "disconnected"),
        ({}, {"candidates": 0}, "1 candidate, 1 to keep"),
        ({}, {"resilient_share": 0.0}, r"a share in \(0, 1\]"),
        ({}, {"samples_per_class": 1}, "2 samples of a class or more"),
        ({}, {"replicas": 0}, "1 replica or more"),
    ],
)
def test_wrong_searches_are_refused(options, arguments, says):
    setting = Setting.make(Options(**{"gates": "native", "max_blocks": 2} | options))
    with pytest.raises(InputError, match=says):
        elivagar_search(setting, **{"candidates": 2, **arguments})
