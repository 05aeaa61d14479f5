"""The fitness is exact: equal to Aer's density matrices on the very circuit that is exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coevo.search.canonical import stream
from coevo.search.evaluator import Candidate, Context
from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas import CoDesign, Options, problem
from coevo.spaces.quantumnas.judging.evaluate import NoisyJudge
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.mapping.circuits import Mapper
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Examples
from coevo.spaces.quantumnas.training.objectives import accuracy_and_loss
from coevo.testing import check_evaluator


def angles_of(evaluator, design):
    return evaluator.angles([design.layers])[design.layers]


def aer_logits(scorer, mapped, inputs):
    """<Z> with readout error of every image [images, 4], from Aer's density matrix of the whole bound circuit."""
    from qiskit_aer import AerSimulator

    device = scorer.mapper.device
    circuit = mapped.whole().remove_final_measurements(inplace=False)
    circuit.save_probabilities(list(mapped.final))
    simulator = AerSimulator(method="density_matrix", noise_model=device.noise_model)
    bound = [circuit.assign_parameters(dict(zip(scorer.mapper.front.inputs, x, strict=True))) for x in inputs]
    results = simulator.run(bound).result()
    logits = np.empty((len(inputs), 4))
    for row in range(len(inputs)):
        prepared = np.asarray(results.data(row)["probabilities"]).reshape(2, 2, 2, 2)
        for qubit in range(4):  # axis 3 - qubit
            share = np.moveaxis(prepared, 3 - qubit, 0).reshape(2, -1).sum(axis=1)
            measured = device.readout_matrix(mapped.final[qubit]) @ share
            logits[row, qubit] = measured[0] - measured[1]
    return logits


def test_noisy_logits_equal_aers_density_matrix(evaluator, sampled):
    scorer = evaluator._scorer
    few = Examples(scorer.examples.inputs[::34], scorer.examples.labels[::34])
    moved = 0
    for design in sampled(5):
        mapped = scorer.map(design, angles_of(evaluator, design))
        wanted = aer_logits(scorer, mapped, few.inputs)
        np.testing.assert_allclose(scorer.outputs([mapped], few)[0], wanted, rtol=0, atol=1e-10)
        moved += mapped.initial != mapped.final
    assert moved  # routing moved a qubit at least once, so the final positions were put to the test


@pytest.mark.parametrize("gates", ["zzry", "rxyz", "zxxx", "rxyzu1cu3", "ibmq", "native"])
def test_so_they_do_for_every_gate_set(gates, small_options):
    setting = Setting.make(Options(**{**small_options, "gates": gates, "max_blocks": 1}))
    made = problem(**setting.options.model_dump())
    _, validation = setting.task.read_training()
    from coevo.spaces.quantumnas.export.settle import scorer_of

    scorer = scorer_of(setting, Examples(validation.inputs[:2], validation.labels[:2]))
    design = made.space.build(made.space.sample(stream(0, "gates", 0)))
    angles = setting.template.with_constants(np.random.default_rng(0).uniform(-3, 3, setting.template.n_angles))
    mapped = scorer.map(design, angles)
    wanted = aer_logits(scorer, mapped, scorer.examples.inputs)
    np.testing.assert_allclose(scorer.outputs([mapped])[0], wanted, rtol=0, atol=1e-10)


def test_a_hundred_scores_are_those_of_the_bound_level_2_circuits_themselves(evaluator, small_problem):
    """The circuit that is scored is the circuit that is exported: each whole circuit is read again, as one, on its
    own, and by the plain reference."""
    from coevo.cost_models.circuit_noise import noisy_expectations, read_program

    space, scorer = small_problem.space, evaluator._scorer
    designs = [space.build(space.sample(stream(0, "hundred", index))) for index in range(100)]
    candidates = [Candidate(index, "", value, 0, Path()) for index, value in enumerate(designs)]
    outcomes = evaluator.evaluate(candidates, Context())
    few = Examples(scorer.examples.inputs[:3], scorer.examples.labels[:3])
    for number, (design, outcome) in enumerate(zip(designs, outcomes, strict=True)):
        mapped = scorer.map(design, angles_of(evaluator, design))
        whole = mapped.whole()
        alone = read_program(whole, scorer.device, inputs=scorer.mapper.front.inputs)
        engine = "reference" if number % 10 == 0 else "compiled"
        logits = noisy_expectations([alone], few.inputs, engine=engine)[0]
        np.testing.assert_allclose(logits, scorer.outputs([mapped], few)[0], rtol=0, atol=1e-10)
        loss = accuracy_and_loss(noisy_expectations([alone], scorer.examples.inputs)[0], scorer.examples.labels)[1]
        assert loss == pytest.approx(outcome.metrics["noisy_loss"], abs=1e-10)


def test_the_evaluator_keeps_its_contract(small_problem, prepared):
    outcomes = check_evaluator(small_problem.stages[0].evaluator, small_problem.space, 4, artifacts=prepared)
    for outcome in outcomes:
        assert outcome.ok
        assert 0 < outcome.metrics["noisy_accuracy"] < 1


def test_an_outcome_does_not_depend_on_its_batch(small_options, prepared, sampled):
    """Two evaluators that share nothing: one sees each design alone, one sees all, backwards."""
    designs = sampled(4)
    designs.append(CoDesign(designs[0].layout[::-1], designs[0].layers))  # the same circuit elsewhere
    candidates = [Candidate(index, "", value, 0, Path()) for index, value in enumerate(designs)]
    context = Context(artifacts=prepared)
    alone, together = (NoisyJudge(Setting.make(Options(**small_options))) for _ in range(2))
    alone.setup(context)
    together.setup(context)
    backwards = together.evaluate(candidates[::-1], context)[::-1]
    for candidate, outcome in zip(candidates, backwards, strict=True):
        assert alone.evaluate([candidate], context)[0] == outcome


def test_metrics_agree_with_each_other(evaluator, sampled):
    design = sampled(3)[2]
    outcome = evaluator.evaluate([Candidate(0, "", design, 0, Path())], Context())[0]
    assert set(outcome.metrics) == set(evaluator.metrics)
    template = evaluator.setting.template
    assert outcome.metrics["parameters"] == template.parameters(design.layers)
    pairs = sum(name == "cu3" for name, _, _ in template.gates_of(design.layers))
    assert outcome.metrics["two_qubit_gates"] >= 2 * pairs - 8
    assert outcome.metrics["depth"] > outcome.metrics["two_qubit_gates"] / 2
    right = outcome.metrics["noisy_accuracy"] * len(evaluator._validation.labels)
    assert right == pytest.approx(round(right))


def test_validation_examples_are_those_of_the_split(evaluator, setting):
    _, validation = setting.task.read_training()
    assert np.array_equal(evaluator._scorer.examples.inputs, validation.inputs)


def test_a_circuit_that_cannot_be_followed_fails_alone_with_the_reason(evaluator, sampled, monkeypatch):
    from coevo.errors import InputError

    real = evaluator._scorer.outputs

    def refuse(mapped, examples=None):
        if any(one.initial == mapped_away for one in mapped):
            raise InputError("the light cone of the readout has 11 qubits")
        return real(mapped, examples)

    designs = sampled(3)
    mapped_away = designs[1].layout
    assert designs[0].layout != mapped_away != designs[2].layout
    monkeypatch.setattr(evaluator._scorer, "outputs", refuse)
    outcomes = evaluator.evaluate([Candidate(n, "", d, 0, Path()) for n, d in enumerate(designs)], Context())
    assert [outcome.ok for outcome in outcomes] == [True, False, True]
    assert "11 qubits" in outcomes[1].failure


def test_a_larger_device_with_another_two_qubit_gate(evaluator):
    from coevo.hardware.quantum import QuantumDevice

    scorer = evaluator._scorer
    device = QuantumDevice.from_name("FakePeekskill")
    few = Examples(scorer.examples.inputs[:3], scorer.examples.labels[:3])
    other = NoisyScorer(scorer.template, scorer.task, Mapper(device, scorer.mapper.front, 2, 42), few)
    design = CoDesign((3, 5, 8, 9), ((0, 1, 2, 3), (0, 1, 2, 3)))
    angles = np.random.default_rng(0).uniform(-3, 3, scorer.template.n_angles)
    logits = other.outputs([other.map(design, angles)])[0]
    assert logits.shape == (3, 4) and np.abs(logits).max() <= 1


def test_a_ground_state_is_judged_by_its_noisy_energy(tmp_path):
    made = problem(data="h2", supercircuit_steps=60, max_blocks=2, fine_tune_steps=30)
    assert made.objectives == {"noisy_energy": "min", "two_qubit_gates": "min"}
    judge = made.stages[0].evaluator
    judge.setup(Context(artifacts=made.prepare(WorkContext(tmp_path, 0))))
    exact = judge.setting.task.hamiltonian.ground_energy()
    designs = [made.space.build(made.space.sample(stream(0, "h2", index))) for index in range(4)]
    for outcome in judge.evaluate([Candidate(n, "", d, 0, Path()) for n, d in enumerate(designs)], Context()):
        assert outcome.metrics["noise_free_energy"] >= exact - 1e-9
        assert exact < outcome.metrics["noisy_energy"] < 0
