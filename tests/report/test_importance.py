"""Importance against Optuna's PED-ANOVA, and in cases where the answer is known."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import pytest

from coevo.report.data import tabulate
from coevo.report.importance import LEAST, importances_of, levels_of, pearson_divergence
from coevo.search.design import Design
from coevo.search.evaluator import Outcome
from coevo.search.objectives import Goals
from coevo.search.trial import StageResult, Trial

GOALS = Goals({"a": "max", "b": "min"})


def trials_of(count: int, seed: int = 0, orders: bool = True) -> list[Trial]:
    """`a` follows strong, then weak, then, where asked, inner; `b` follows the place of "q" in the order alone."""
    rng, made = random.Random(seed), []
    for index in range(count):
        answers: dict[str, Any] = {"strong": rng.choice("xyz"), "weak": rng.choice((1, 2, 3, 4)), "noise": rng.random()}
        answers["fixed"] = 7
        if answers["strong"] == "z":
            answers["inner"] = rng.choice((False, True))
        order = rng.sample("pqrstu", 6) if orders else list("pqrstu")
        answers["order"] = tuple(order)
        answers["subset"] = tuple(sorted(rng.sample(range(8), 3)))
        a = 10 * "xyz".index(answers["strong"]) + answers["weak"] + 2 * answers.get("inner", False) + rng.random()
        metrics = {"a": a, "b": order.index("q") + 0.1 * rng.random()}
        design = Design("importance/v1", answers.items())
        made.append(Trial(index, design, "full", Outcome(metrics), 0.1, "e@1", "dev", 0, GOALS.score(metrics)))
    return made


def test_what_the_objectives_follow_stands_first() -> None:
    found = importances_of(tabulate(trials_of(2000), [], GOALS, {}))
    assert found.designs == 2000 and not found.problem
    a, b = found.found["a"], found.found["b"]
    by_name = {each.name: each for each in a}
    assert a[0].name == "inner" or a[0].name == "strong"  # inner is asked where strong is "z", which the best tenth is
    assert by_name["strong"].share > by_name["weak"].share > by_name["noise"].share
    assert by_name["weak"].share > by_name["weak"].chance
    for name in ("noise", "order", "subset"):
        assert by_name[name].share < 0.05, name
    assert by_name["inner"].asked == pytest.approx(1 / 3, abs=0.05) and by_name["strong"].asked == 1
    assert (b[0].name, b[0].part) == ("order", "place of q") and b[0].share > 0.9
    assert all(each.share < 0.05 for each in b[1:])
    for shares in (a, b):
        assert sum(each.share for each in shares) == pytest.approx(1.0)
        assert "fixed" not in {each.name for each in shares}


def test_choices_without_effect_are_mostly_below_chance() -> None:
    rng = random.Random(1)
    made = []
    for index in range(1000):
        design = Design("importance/v1", [(f"c{i}", rng.choice((0, 1, 2))) for i in range(40)])
        metrics = {"a": rng.random(), "b": 0.0}
        made.append(Trial(index, design, "full", Outcome(metrics), 0.1, "e@1", "dev", 0, GOALS.score(metrics)))
    found = importances_of(tabulate(made, [], GOALS, {}))
    above = [each for each in found.found["a"] if each.share > each.chance]
    assert len(above) <= 8  # 2 of 40 are expected
    assert len(found.found["b"]) == 0  # one value everywhere: nothing differs


@pytest.mark.parametrize(("count", "direction"), [(60, 1.0), (500, -1.0)])
def test_equal_to_optuna(count: int, direction: float) -> None:
    """The same columns of levels, handed to Optuna as categorical parameters."""
    optuna = pytest.importorskip("optuna", reason="the reference: pip install 'coevo[bench]'")
    trials = trials_of(count, seed=count)
    levels = list(levels_of(trials))
    costs = np.array([direction * trial.outcome.metrics["a"] for trial in trials])
    kinds = {str(at): optuna.distributions.CategoricalDistribution(range(own.count)) for at, own in enumerate(levels)}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    for row in range(count):
        params = {str(at): int(own.codes[row]) for at, own in enumerate(levels)}
        study.add_trial(optuna.create_trial(params=params, distributions=kinds, value=float(costs[row])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    best = costs <= np.sort(costs)[-(-count // 10) - 1]
    ours = np.array([pearson_divergence(level, best) for level in levels])
    assert ours / ours.sum() == pytest.approx([theirs[str(at)] for at in range(len(levels))], rel=1e-6, abs=1e-9)


def test_levels_of_every_kind_of_answer() -> None:
    levels = {(level.name, level.part): level for level in levels_of(trials_of(300))}
    assert levels["strong", ""].count == 3 and levels["weak", ""].count == 4
    assert levels["noise", ""].count == 8 and np.bincount(levels["noise", ""].codes).min() >= 30
    assert levels["inner", ""].count == 3  # not asked, no, yes
    assert {part for name, part in levels if name == "order"} == {f"place of {item}" for item in "pqrstu"}
    assert {part for name, part in levels if name == "subset"} == {f"{item} in it" for item in range(8)}
    assert ("fixed", "") not in levels


def test_too_few_designs_are_not_judged() -> None:
    found = importances_of(tabulate(trials_of(LEAST - 1), [], GOALS, {}))
    assert found.found == {} and f"needs at least {LEAST}" in found.problem


def test_the_deepest_stage_that_enough_designs_reached() -> None:
    made = []
    for trial in trials_of(600):
        deep = trial.index % 10 == 0
        earlier = (StageResult("cheap", {"a": -trial.outcome.metrics["a"], "b": 1.0}, 0.1),) if deep else ()
        stage = "full" if deep else "cheap"
        made.append(
            Trial(trial.index, trial.design, stage, trial.outcome, 0.1, "e@1", "dev", 0, trial.score, earlier=earlier)
        )
    few = importances_of(tabulate(made, [], GOALS, {}, ("cheap", "full")))
    assert (few.stage, few.of) == ("cheap", 600)
    many = importances_of(tabulate([t for t in made if t.stage == "full"] * 5, [], GOALS, {}, ("cheap", "full")))
    assert (many.stage, many.of) == ("full", 300)
