"""The last stage: what goes on is trained from scratch, and judged as the exported circuit would be."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from coevo import Study
from coevo.search.evaluator import Candidate, Context
from coevo.spaces.quantumnas import CoDesign, problem
from coevo.spaces.quantumnas.export.settle import scorer_of
from coevo.spaces.quantumnas.judging.trained import SCRATCH_SEED, TrainedJudge
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.circuits import train_from_scratch
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss
from coevo.testing import check_evaluator

DESIGN = CoDesign((4, 1, 0, 3), tuple(tuple(range(width)) for width in (4, 3, 2, 4)))


@pytest.fixture(scope="module")
def trained_options(small_options):
    return small_options | {"trained_share": 0.3, "scratch_steps": 40}


def test_a_share_of_the_designs_is_trained_and_the_front_holds_those_alone(trained_options, prepared):
    def share(context):
        return {name: Path(shutil.copy(path, context.folder)) for name, path in prepared.items()}

    made = dataclasses.replace(problem(**trained_options), prepare=share)
    assert [stage.name for stage in made.stages] == ["noisy", "trained"]
    with Study(made, seed=0, runner="inline") as study:
        front = study.run(trials=24)
        stages = [trial.stage for trial in study.trials()]
        assert 3 <= stages.count("trained") <= 14 and set(stages) == {"noisy", "trained"}
        assert {trial.stage for trial in front.trials} == {"trained"}


def test_it_judges_weights_of_training_from_scratch(trained_options, prepared):
    setting = Setting.make(Options(**trained_options))
    judge = TrainedJudge(setting)
    judge.setup(Context(artifacts=prepared))
    (outcome,) = judge.evaluate([Candidate(0, "", DESIGN, 0, Path())], Context(artifacts=prepared))
    training, validation = setting.task.read_training()
    template, rate = setting.template, setting.options.scratch_learning_rate
    objective = Objective(setting.task, template, training, sharpness=setting.options.sharpness)
    angles = train_from_scratch(template, template.actives([DESIGN.layers]), objective, 40, rate, [SCRATCH_SEED])[0]
    scorer = scorer_of(setting, validation)
    accuracy, loss = accuracy_and_loss(
        scorer.outputs([scorer.map(DESIGN, angles.astype(np.float64))])[0], validation.labels
    )
    assert outcome.metrics["noisy_accuracy"] == accuracy
    assert outcome.metrics["noisy_loss"] == pytest.approx(loss, abs=1e-9)


def test_it_keeps_the_contract_of_evaluators(trained_options, prepared):
    made = problem(**trained_options)
    check_evaluator(made.stages[1].evaluator, made.space, artifacts=prepared)


def test_without_a_share_there_is_no_such_stage(small_options):
    assert [stage.name for stage in problem(**small_options).stages] == ["noisy"]
    with pytest.raises(ValueError, match="trained_share"):
        Options(trained_share=0.0)
