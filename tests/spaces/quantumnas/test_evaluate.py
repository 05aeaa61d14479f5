"""The fitness is exact: equal to Aer's density matrices on the very circuit that is exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coevo.search.evaluator import Candidate, Context
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.circuits import INPUTS
from coevo.spaces.quantumnas.data import Images, read_training_images
from coevo.spaces.quantumnas.evaluate import NoisyAccuracy, NoisyScorer
from coevo.testing import check_evaluator


def aer_logits(mapped, device, inputs):
    """<Z> with readout error of every image [images, 4], from Aer's density matrix of the whole bound circuit."""
    from qiskit_aer import AerSimulator

    circuit = mapped.whole().remove_final_measurements(inplace=False)
    circuit.save_probabilities(list(mapped.final))
    simulator = AerSimulator(method="density_matrix", noise_model=device.noise_model)
    bound = [circuit.assign_parameters(dict(zip(INPUTS, x, strict=True))) for x in inputs]
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
    inputs = scorer.images.inputs[::34]
    few = NoisyScorer(scorer.mapper, Images(inputs, scorer.images.labels[::34]))
    moved = 0
    for design in sampled(5):
        mapped = few.map(design, evaluator.angles(design), design.layout)
        wanted = aer_logits(mapped, scorer.mapper.device, inputs)
        np.testing.assert_allclose(few.logits(mapped), wanted, rtol=0, atol=1e-10)
        moved += mapped.initial != mapped.final
    assert moved  # routing moved a qubit at least once, so the final positions were put to the test


def test_the_encoders_noise_is_that_of_its_qubits(evaluator):
    scorer, lengths = evaluator._scorer, {}
    for layout in ((0, 1, 2, 3), (4, 3, 2, 1)):
        design = CoDesign(layout, ((1, 1),))
        mapped = scorer.map(design, evaluator.angles(design), layout)
        scorer.logits(mapped)
        states = scorer._states[layout]
        for qubit, vectors in zip(states.qubits, states.vectors.swapaxes(0, 1), strict=True):
            lengths[layout, qubit] = np.linalg.norm(vectors[:, 1:], axis=1)
    assert all((length < 1 - 1e-3).all() for length in lengths.values())  # mixed: every pulse costs something
    for qubit in (1, 2, 3):  # other images' angles there, but the same gates: about the same loss
        assert lengths[(0, 1, 2, 3), qubit].mean() == pytest.approx(lengths[(4, 3, 2, 1), qubit].mean(), abs=0.02)
    assert len({round(lengths[(0, 1, 2, 3), qubit].mean(), 4) for qubit in range(4)}) == 4


def test_the_evaluator_keeps_its_contract(small_problem, prepared):
    outcomes = check_evaluator(small_problem.stages[0].evaluator, small_problem.space, 4, artifacts=prepared)
    for outcome in outcomes:
        assert outcome.ok
        assert 0 < outcome.metrics["noisy_accuracy"] < 1


def test_an_outcome_does_not_depend_on_its_batch(small_options, prepared, sampled):
    """Two evaluators that share nothing: one sees each design alone, one sees all, backwards."""
    designs = sampled(4)
    designs.append(CoDesign(designs[0].layout[::-1], designs[0].widths))  # the same circuit elsewhere
    candidates = [Candidate(index, "", value, 0, Path()) for index, value in enumerate(designs)]
    context = Context(artifacts=prepared)
    alone, together = (NoisyAccuracy(Options(**small_options)) for _ in range(2))
    alone.setup(context)
    together.setup(context)
    backwards = together.evaluate(candidates[::-1], context)[::-1]
    for candidate, outcome in zip(candidates, backwards, strict=True):
        assert alone.evaluate([candidate], context)[0] == outcome


def test_metrics_agree_with_each_other(evaluator, sampled):
    design = sampled(3)[2]
    outcome = evaluator.evaluate([Candidate(0, "", design, 0, Path())], Context())[0]
    assert set(outcome.metrics) == set(evaluator.metrics)
    assert outcome.metrics["parameters"] == design.parameters
    assert outcome.metrics["two_qubit_gates"] >= 2 * sum(pairs for _, pairs in design.widths) - 8
    assert outcome.metrics["depth"] > outcome.metrics["two_qubit_gates"] / 2
    right = outcome.metrics["noisy_accuracy"] * len(evaluator._validation.labels)
    assert right == pytest.approx(round(right))


def test_validation_images_are_those_of_the_split(evaluator, small_options):
    _, validation = read_training_images(Options(**small_options))
    assert np.array_equal(evaluator._scorer.images.inputs, validation.inputs)


def test_a_circuit_that_cannot_be_followed_fails_with_the_reason(evaluator, sampled, monkeypatch):
    from coevo.errors import InputError

    def refuse(mapped):
        raise InputError("the light cone of the readout has 11 qubits")

    monkeypatch.setattr(evaluator._scorer, "logits", refuse)
    outcome = evaluator.evaluate([Candidate(0, "", sampled(1)[0], 0, Path())], Context())[0]
    assert not outcome.ok and "11 qubits" in outcome.failure


def test_a_larger_device_with_another_two_qubit_gate(small_options):
    from coevo.hardware.quantum import QuantumDevice
    from coevo.spaces.quantumnas.circuits import Mapper

    _, validation = read_training_images(Options(**small_options))
    device = QuantumDevice.from_name("FakePeekskill")
    scorer = NoisyScorer(Mapper(device, 2, 42), Images(validation.inputs[:3], validation.labels[:3]))
    design = CoDesign((3, 5, 8, 9), ((4, 4),))
    angles = np.random.default_rng(0).uniform(-3, 3, (1, 2, 4, 3))
    logits = scorer.logits(scorer.map(design, angles, design.layout))
    assert logits.shape == (3, 4) and np.abs(logits).max() <= 1
