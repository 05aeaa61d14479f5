"""The worst case equals the worst of separately judged devices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coevo.search.canonical import stream
from coevo.search.evaluator import Candidate, Context
from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas import problem
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.judging.robust import other_calibrations
from coevo.spaces.quantumnas.training.objectives import accuracy_and_loss
from coevo.testing import check_evaluator

ROBUST = {"noise_scales": (0.5, 3.0), "drifts": 2, "drift_spread": 0.5, "drift_seed": 7}


def judged(judge, designs):
    return judge.evaluate([Candidate(n, "", d, 0, Path()) for n, d in enumerate(designs)], Context())


def test_the_worst_case_is_that_of_separately_judged_devices(small_options, prepared, sampled, evaluator):
    made = problem(**small_options, **ROBUST)
    assert made.objectives == {"worst_noisy_accuracy": "max", "two_qubit_gates": "min"}
    judge = made.stages[0].evaluator
    judge.setup(Context(artifacts=prepared))
    designs = sampled(4)
    scorer = judge._scorer
    device = scorer.device
    others = other_calibrations(device, judge.setting.options)
    assert [other.calibration.digest for other in others] == [
        device.scaled(0.5).calibration.digest,
        device.scaled(3.0).calibration.digest,
        device.perturbed(0.5, 7).calibration.digest,
        device.perturbed(0.5, 8).calibration.digest,
    ]
    plain = judged(evaluator, designs)
    worst_is_elsewhere = 0
    for design, outcome, snapshot in zip(designs, judged(judge, designs), plain, strict=True):
        mapped = scorer.map(design, judge.angles([design.layers])[design.layers])
        alone = []
        for other in others:
            by_itself = NoisyScorer(scorer.template, scorer.task, scorer.mapper, scorer.examples, other)
            alone.append(accuracy_and_loss(by_itself.outputs([mapped])[0], scorer.examples.labels))
        alone.append((snapshot.metrics["noisy_accuracy"], snapshot.metrics["noisy_loss"]))
        found = outcome.metrics
        assert found["worst_noisy_accuracy"] == min(accuracy for accuracy, _ in alone)
        assert found["worst_noisy_loss"] == pytest.approx(max(loss for _, loss in alone), abs=1e-12)
        assert found["noisy_accuracy_x0.5"] == alone[0][0]
        assert found["noisy_accuracy_x3"] == alone[1][0]
        for name, value in snapshot.metrics.items():
            assert found[name] == pytest.approx(value, abs=1e-12)
        assert set(found) == set(judge.metrics)
        worst_is_elsewhere += found["worst_noisy_loss"] > found["noisy_loss"]
    assert worst_is_elsewhere


def test_the_evaluator_keeps_its_contract(small_options, prepared):
    made = problem(**small_options, **ROBUST)
    check_evaluator(made.stages[0].evaluator, made.space, 3, artifacts=prepared)


def test_no_noise_is_the_noise_free_circuit(small_options, prepared, sampled):
    judge = problem(**small_options, noise_scales=(0.0,)).stages[0].evaluator
    judge.setup(Context(artifacts=prepared))
    for outcome in judged(judge, sampled(3)):
        assert outcome.metrics["noisy_accuracy_x0"] == outcome.metrics["noise_free_accuracy"]


def test_the_worst_energy(tmp_path):
    made = problem(data="h2", supercircuit_steps=20, max_blocks=1, fine_tune_steps=10, noise_scales=(2.0,), drifts=1)
    assert made.objectives == {"worst_noisy_energy": "min", "two_qubit_gates": "min"}
    judge = made.stages[0].evaluator
    judge.setup(Context(artifacts=made.prepare(WorkContext(tmp_path, 0))))
    designs = [made.space.build(made.space.sample(stream(0, "h2", index))) for index in range(3)]
    outcomes = judged(judge, designs)
    scorer = judge._scorer
    drifted = NoisyScorer(scorer.template, scorer.task, scorer.mapper, None, scorer.device.perturbed(0.2, 0))
    for design, outcome in zip(designs, outcomes, strict=True):
        found = outcome.metrics
        mapped = scorer.map(design, judge.angles([design.layers])[design.layers])
        energies = [found["noisy_energy"], found["noisy_energy_x2"], float(drifted.outputs([mapped])[0])]
        assert found["worst_noisy_energy"] == pytest.approx(max(energies), abs=1e-12)
        assert found["noisy_energy_x2"] > found["noisy_energy"]


def test_a_circuit_that_is_refused_fails_alone(small_options, prepared, sampled, monkeypatch):
    from coevo.errors import InputError

    judge = problem(**small_options, noise_scales=(2.0,)).stages[0].evaluator
    judge.setup(Context(artifacts=prepared))
    designs = sampled(3)
    robust = judge._estimator._robust
    real = robust.outputs

    def refuse(mapped):
        if any(one.initial == designs[1].layout for one in mapped):
            raise InputError("not calibrated")
        return real(mapped)

    monkeypatch.setattr(robust, "outputs", refuse)
    assert [outcome.ok for outcome in judged(judge, designs)] == [True, False, True]


def test_the_ladder_stands_in_for_the_worst_case(small_options, prepared):
    made = problem(**small_options, noise_scales=(2.0,), ladder=True, ladder_steps=2, ladder_examples=40)
    quick = made.stages[0].evaluator
    assert set(quick.metrics) == set(made.stages[1].evaluator.metrics)
    for outcome in check_evaluator(quick, made.space, 3, artifacts=prepared):
        found = outcome.metrics
        assert found["worst_noisy_accuracy"] == found["noisy_accuracy_x2"] == found["noise_free_accuracy"]
        assert found["worst_noisy_loss"] == found["noisy_loss"]
        assert np.isfinite(list(found.values())).all()
