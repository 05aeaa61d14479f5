"""The numbers behind the report's pictures, against plain reckoning."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from coevo.report import data as report_data
from coevo.report.data import Table, failure_counts, island, tabulate
from coevo.report.history import histories
from coevo.report.writing import best_rows
from coevo.search.design import Design
from coevo.search.evaluator import Outcome
from coevo.search.front import Archive
from coevo.search.objectives import Goals
from coevo.search.ranking import hypervolume
from coevo.search.trial import Trial


def make(
    index: int, goals: Goals, metrics: dict[str, float], answers: dict[str, Any], failure: str | None = None
) -> Trial:
    outcome = Outcome.failed(failure) if failure else Outcome(metrics)
    score = None if failure else goals.score(metrics)
    return Trial(index, Design("d/v1", answers.items()), "full", outcome, 0.5, "e@1", "dev", 0, score)


def random_trials(goals: Goals, count: int, seed: int = 0) -> list[Trial]:
    rng = random.Random(seed)
    made = []
    for index in range(count):
        depth = rng.randint(1, 3)
        answers: dict[str, Any] = {"index": index, "depth": depth, "flag": rng.random() < 0.5}
        answers |= {f"width{i}": rng.choice((8, 16)) for i in range(depth)}
        answers["order"] = tuple(rng.sample(range(5), 5))
        metrics = {
            "a": rng.random() + depth,
            "b": rng.random() * 10,
            "c": rng.gauss(0, 1),
            "size": float(rng.randint(0, 9)),
        }
        made.append(make(index, goals, metrics, answers, "broke at 3.5" if rng.random() < 0.1 else None))
    return made


def table_of(trials: list[Trial], goals: Goals) -> Table:
    archive = Archive()
    for trial in trials:
        archive.add(trial)
    return tabulate(trials, archive.trials, goals, {"b": "ms"})


@pytest.mark.parametrize("objectives", [{"a": "max"}, {"a": "max", "b": "min"}, {"a": "max", "b": "min", "c": "min"}])
def test_histories_against_plain_reckoning(objectives: dict[str, str]) -> None:
    goals = Goals(objectives, {"size": "<= 7"})
    trials = random_trials(goals, 150)
    series = {each["metric"]: each for each in histories(trials, goals)}
    feasible = [(place, trial) for place, trial in enumerate(trials) if trial.score and trial.score.violation <= 0]
    for metric, direction in objectives.items():
        best = max if direction == "max" else min
        for x, y in zip(series[metric]["x"], series[metric]["y"], strict=True):
            assert y == best(trial.outcome.metrics[metric] for place, trial in feasible if place < x)
        assert series[metric]["x"][-1] == len(trials)
    if len(objectives) == 1:
        assert "hypervolume" not in series
        return
    signs = [-1 if direction == "max" else 1 for direction in objectives.values()]
    costs = np.array([[s * t.outcome.metrics[m] for s, m in zip(signs, objectives, strict=True)] for _, t in feasible])
    at = np.array([place + 1 for place, _ in feasible])
    beaten = [(np.all(costs <= row, axis=1) & np.any(costs < row, axis=1)).any() for row in costs]
    front = costs[~np.array(beaten)]
    low, span = front.min(axis=0), front.max(axis=0) - front.min(axis=0)
    for x, y in list(zip(series["hypervolume"]["x"], series["hypervolume"]["y"], strict=True))[::7]:
        scaled = (costs[at <= x] - low) / span
        assert y == pytest.approx(hypervolume(scaled, [1.1] * len(signs)) / 1.1 ** len(signs), rel=1e-5)
    volumes = series["hypervolume"]["y"]
    assert volumes == sorted(volumes) and volumes[0] >= 0 and volumes[-1] <= 1


def test_history_of_a_front_with_one_point_and_of_equal_points() -> None:
    goals = Goals({"a": "max", "b": "min"})
    trials = [make(i, goals, {"a": 1.0, "b": 2.0}, {"x": i}) for i in range(5)]
    series = {each["metric"]: each["y"] for each in histories(trials, goals)}
    assert all(np.isfinite(series["hypervolume"])) and set(series["a"]) == {1.0}
    assert histories([], goals) == []


def test_a_large_front_of_many_objectives_has_no_hypervolume() -> None:
    goals = Goals({"a": "min", "b": "min", "c": "min", "size": "min"})
    rng = random.Random(1)
    trials = []
    for index in range(300):
        point = [rng.random() for _ in range(4)]
        total = sum(point)
        trials.append(
            make(
                index, goals, dict(zip(("a", "b", "c", "size"), (p / total for p in point), strict=True)), {"x": index}
            )
        )
    assert [series["metric"] for series in histories(trials, goals)] == ["a", "b", "c", "size"]


def test_states_and_the_order_of_the_front() -> None:
    goals = Goals({"a": "max", "b": "min"}, {"size": "<= 5"})
    rows = [(1, 1, 0), (2, 2, 0), (1, 2, 0), (9, 0, 6), (3, 3, 5)]
    trials = [make(i, goals, {"a": a, "b": b, "size": s}, {"x": i}) for i, (a, b, s) in enumerate(rows)]
    trials.append(make(5, goals, {}, {"x": 5}, "gone"))
    table = table_of(trials, goals)
    assert table.states == (0, 0, 1, 2, 0, 3) and table.front == (4, 1, 0)
    assert table.metrics[:3] == ("a", "b", "size")


def test_reasons_that_differ_in_numbers_count_together() -> None:
    goals = Goals({"a": "max"})
    reasons = ["lost 3 of 10", "lost 4.25 of 10", "out of memory\nTraceback ...", "lost 12 of 1", "out of memory"]
    trials = [make(i, goals, {}, {"x": i}, reason) for i, reason in enumerate(reasons)]
    assert failure_counts(table_of(trials, goals)) == [("lost # of #", 3), ("out of memory", 2)]


def test_true_and_one_are_different_answers() -> None:
    goals = Goals({"a": "max"})
    values: list[Any] = [True, 1, 1.5, "1", None, (1,), (True,), "1"]
    trials = [make(i, goals, {"a": i}, {"x": value}) for i, value in enumerate(values)]
    column = island(table_of(trials, goals))["answers"]["columns"][0]
    assert column["codes"] == [0, 1, 2, 3, 4, 5, 6, 3]
    assert [type(column["values"][code]) for code in column["codes"]] == [type(value) for value in values]


def test_axes_leave_out_what_does_not_vary_and_open_up_permutations() -> None:
    goals = Goals({"a": "max", "b": "min"})
    trials = random_trials(goals, 120)
    trials = [
        make(t.index, goals, dict(t.outcome.metrics), {"fixed": 3, **dict(t.design.answers)}) for t in trials if t.score
    ]
    found = island(table_of(trials, goals))
    names = [found["answers"]["columns"][number]["name"] for number in found["parallel"]["columns"]]
    assert "fixed" not in names and "order" not in names
    assert "order · first" in names and "order · length" not in names and "depth" in names
    assert set(found["parallel"]["shown"]) <= set(found["parallel"]["columns"])


def test_the_choices_shown_first_are_those_that_the_objectives_follow() -> None:
    goals = Goals({"a": "max", "b": "min"})
    rng = random.Random(3)
    trials = []
    for index in range(400):
        answers = {f"noise{i}": rng.choice((1, 2, 3)) for i in range(20)} | {
            "strong": rng.choice("xyz"),
            "real": rng.random(),
        }
        metrics = {
            "a": {"x": 0, "y": 5, "z": 9}[answers["strong"]] + rng.random(),
            "b": answers["real"] + 0.1 * rng.random(),
        }
        trials.append(make(index, goals, metrics, answers))
    found = island(table_of(trials, goals))
    shown = [found["answers"]["columns"][number]["name"] for number in found["parallel"]["shown"]]
    assert len(shown) == report_data.SHOWN_CHOICES and {"strong", "real"} <= set(shown)


def test_a_large_run_keeps_the_answers_of_the_front_and_an_even_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_data, "ANSWER_CELLS", 400)
    goals = Goals({"a": "max", "b": "min"})
    trials = random_trials(goals, 500)
    table = table_of(trials, goals)
    found = island(table)
    rows = found["answers"]["rows"]
    assert set(table.front) <= set(rows) and rows == sorted(set(rows)) and len(rows) <= 60
    assert all(len(column["codes"]) == len(rows) for column in found["answers"]["columns"])
    assert len(found["trials"]["index"]) == 500


def test_numbers_are_short_and_finite() -> None:
    goals = Goals({"a": "max"})
    trials = [make(0, goals, {"a": 1 / 3, "extra": float("inf"), "whole": 1e20}, {"x": 1})]
    metrics = island(table_of(trials, goals))["trials"]["metrics"]
    assert metrics["a"] == [0.3333333] and metrics["extra"] == [None] and metrics["whole"] == [1e20]


def test_the_designs_worth_a_picture() -> None:
    goals = Goals({"a": "max", "b": "min"})
    points = [(1.0, 0.0), (9.0, 1.0), (10.0, 10.0), (5.0, 5.0)]
    trials = [make(i, goals, {"a": a, "b": b}, {"x": i}) for i, (a, b) in enumerate(points)]
    captions = dict(best_rows(table_of(trials, goals), goals))
    assert captions[2] == "Best a" and captions[0] == "Best b" and captions[1].startswith("Compromise")
    assert best_rows(table_of([], goals), goals) == []
