"""Weights before an export: pruned and trained through the noise, and kept where noisy validation says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas import CoDesign, Options
from coevo.spaces.quantumnas.definition import problem_of
from coevo.spaces.quantumnas.export.settle import scorer_of, train_restarts
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
from coevo.spaces.quantumnas.tasks.task import GroundState
from coevo.spaces.quantumnas.training import refine as module
from coevo.spaces.quantumnas.training.objectives import Objective
from coevo.spaces.quantumnas.training.refine import judge, refine

DESIGN = CoDesign((4, 1, 0, 3), tuple(tuple(range(width)) for width in (4, 3, 2, 4)))
BOTH = {"prune_ratios": (0.2, 0.8), "prune_steps": 20, "noise_aware_steps": 15}


@pytest.fixture(scope="module")
def trained(setting):
    training, validation = setting.task.read_training()
    angles = train_restarts(setting, DESIGN, Objective(setting.task, setting.template, training), 0)[0]
    return angles, scorer_of(setting, validation), training


def options_of(setting, **more):
    return Options(**{**setting.options.model_dump(), **more})


def test_nothing_asked_nothing_changed(setting, trained):
    angles, scorer, training = trained
    found, mapped, measured = refine(setting.options, DESIGN, angles, scorer, training)
    np.testing.assert_array_equal(found, angles)
    assert measured == {} and mapped.body == scorer.map(DESIGN, angles).body


def test_both_are_measured_with_their_controls_and_the_best_is_kept(setting, trained):
    angles, scorer, training = trained
    said = []
    found, mapped, measured = refine(options_of(setting, **BOTH), DESIGN, angles, scorer, training, said.append)
    assert said == ["pruning", "training through the noise"]
    names = ("before_pruning", "pruned_0", "pruned_0.2", "pruned_0.8", "before_noise_aware", "after_noise_aware",
             "noise_free_control")  # fmt: skip
    accuracy = {name: measured[f"{name}_noisy_validation_accuracy"] for name in names}
    judged = judge(scorer, DESIGN, found)
    assert judged.accuracy == max(accuracy.values())  # each step keeps the best of its candidates
    assert mapped.body == judged.mapped.body  # what is scored is what is exported
    assert accuracy["before_pruning"] == judge(scorer, DESIGN, angles).accuracy
    pruned = (found[scorer.template.used_angles(DESIGN.layers)] == 0).mean()
    assert pruned == pytest.approx(measured["pruned_ratio"], abs=0.05)  # fine-tuning leaves pruned angles at 0


def test_what_is_not_better_under_noise_is_not_kept(setting, trained, monkeypatch):
    angles, scorer, training = trained
    spoilt = np.zeros_like(angles)
    monkeypatch.setattr(module, "prune", lambda *_, **__: {0.0: spoilt, 0.2: spoilt})
    monkeypatch.setattr(module, "train_noise_aware", lambda *_, **__: spoilt)
    monkeypatch.setattr(module, "fine_tune", lambda *_, **__: spoilt[None])
    found, _, measured = refine(options_of(setting, **BOTH), DESIGN, angles, scorer, training)
    np.testing.assert_array_equal(found, angles)
    for name in ("pruning_kept", "pruned_ratio", "noise_aware_kept", "noise_free_control_kept"):
        assert measured[name] == 0
    assert (
        measured["after_noise_aware_noisy_validation_accuracy"] < measured["before_pruning_noisy_validation_accuracy"]
    )


def test_an_energy_is_refined_too(setting):
    task = GroundState("sum", PauliSum(("ZZII", "XXII", "IYYX", "ZIXI"), np.array([0.5, -0.7, 0.3, 0.9]), "1"))
    ground = Setting.make(options_of(setting, **BOTH), task)
    scorer = scorer_of(ground, None)
    angles = train_restarts(ground, DESIGN, Objective(task, ground.template), 0)[0]
    found, _, measured = refine(ground.options, DESIGN, angles, scorer, None)
    energies = [value for name, value in measured.items() if name.endswith("_noisy_energy")]
    assert len(energies) == 7 and judge(scorer, DESIGN, found).loss == min(energies)


def test_noise_shrinks_logits(setting, trained):
    angles, scorer, training = trained
    judged = judge(scorer, DESIGN, angles)
    assert 1 < module.shrinkage(scorer, DESIGN, judged, training) < 20


def test_an_export_measures_and_reads_back(setting, tmp_path):
    made = problem_of(dataclasses.replace(setting, options=options_of(setting, **BOTH)))
    answers = {"layout": [4, 1, 0, 3], "blocks": 1, "block0.u3": 4, "block0.cu3": 3}
    measured = made.export(made.space.design(answers), WorkContext(tmp_path, 0))
    assert measured["noisy_validation_accuracy"] == max(
        value for name, value in measured.items() if name.endswith("_noisy_validation_accuracy")
    )
    assert {"pruned_0.2_depth", "noise_aware_kept", "noisy_test_accuracy"} <= set(measured)
    assert made.verify(tmp_path) == []
