"""The numbers behind the report's pictures, against plain reckoning."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from coevo.report import answers as report_answers
from coevo.report import island as report_island
from coevo.report.data import HELD, Table, broken_counts, failure_counts, tabulate
from coevo.report.history import histories
from coevo.report.island import island, packed, unpacked
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
    told_s = {trial.index: 0.5 * trial.index + 1 for trial in trials}
    found = histories(table_of(trials, goals), told_s)
    series = {each["metric"]: each["designs"] for each in found}
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
        exact = hypervolume(scaled, [1.1] * len(signs)) / 1.1 ** len(signs)
        assert y == pytest.approx(exact, rel=1e-5, abs=0 if len(signs) == 2 else 0.005)
    later = {each["metric"]: each["seconds"] for each in found}
    # One worker: the order of time is that of the indices, so the same values stand at the times of telling.
    for metric in (*objectives, "hypervolume"):
        assert later[metric]["y"] == series[metric]["y"]
        assert later[metric]["x"][:-1] == pytest.approx([0.5 * (x - 1) + 1 for x in series[metric]["x"][:-1]])
    volumes = series["hypervolume"]["y"]
    assert volumes == sorted(volumes) and volumes[0] >= 0 and volumes[-1] <= 1


def test_history_of_a_front_with_one_point_and_of_equal_points() -> None:
    goals = Goals({"a": "max", "b": "min"})
    trials = [make(i, goals, {"a": 1.0, "b": 2.0}, {"x": i}) for i in range(5)]
    series = {each["metric"]: each["designs"]["y"] for each in histories(table_of(trials, goals), {})}
    assert all(np.isfinite(series["hypervolume"])) and set(series["a"]) == {1.0}
    assert histories(table_of([], goals), {}) == []


def test_an_estimate_of_a_cheaper_stage_is_no_result() -> None:
    goals = Goals({"a": "max"})
    made_at = {"cheap": goals.score({"a": 9.0}, 0), "full": goals.score({"a": 1.0}, 1)}
    trials = [
        Trial(i, Design("d/v1", [("x", i)]), stage, Outcome({"a": -score.costs[0]}), 1.0, "e@1", "dev", 0, score)
        for i, (stage, score) in enumerate(made_at.items())
    ]
    archive = Archive(1)
    for trial in trials:
        archive.add(trial)
    table = tabulate(trials, archive.trials, goals, {}, ("cheap", "full"))
    assert table.states == (HELD, 0)
    assert histories(table, {0: 1.0, 1: 2.0})[0]["designs"] == {"x": [2, 2], "y": [1.0, 1.0]}


def test_a_large_front_of_many_objectives_has_a_hypervolume_too() -> None:
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
    found = histories(table_of(trials, goals), {})
    assert [series["metric"] for series in found] == ["hypervolume", "a", "b", "c", "size"]
    assert 0 < found[0]["designs"]["y"][-1] < 1 and "evenly spread points" in found[0]["note"]


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
    assert len(shown) == report_answers.SHOWN_CHOICES and {"strong", "real"} <= set(shown)


def test_a_large_run_keeps_the_answers_of_the_front_and_an_even_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_island, "ANSWER_CELLS", 400)
    goals = Goals({"a": "max", "b": "min"})
    trials = random_trials(goals, 500)
    table = table_of(trials, goals)
    found = island(table)
    rows = found["answers"]["rows"]
    assert set(table.front) <= set(rows) and rows == sorted(set(rows)) and len(rows) <= 60
    assert all(len(column["codes"]) == len(rows) for column in found["answers"]["columns"])
    assert len(found["trials"]["index"]) == 500


def test_a_huge_run_keeps_its_front_and_an_even_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_island, "ROWS", 100)
    goals = Goals({"a": "max", "b": "min"})
    table = table_of(random_trials(goals, 500), goals)
    found = island(table)
    index = found["trials"]["index"]
    assert {table.trials[row].index for row in table.front} <= set(index)
    assert index == sorted(set(index)) and 60 <= len(index) <= 100 and found["total"] == 500
    for row, trial in enumerate(table.trials[index[at]] for at in range(len(index))):
        assert found["trials"]["key"][32 * row : 32 * row + 32] == trial.design.key
        answers = {
            c["name"]: c["values"][c["codes"][row]]
            for c in found["answers"]["columns"]
            if c["codes"][row] >= 0 and not c.get("derived")
        }
        assert answers == dict(trial.design.answers)


def test_what_is_packed_comes_back() -> None:
    wild = {"a": "</script><script>alert(1)</script>", "b": ["\u2028", "日本", None, 1.5, True], "c": {"d": []}}
    text = packed(wild)
    assert unpacked(text) == wild and not set(text) - set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    )


def test_designs_by_the_constraint_that_they_break() -> None:
    goals = Goals({"a": "max"}, {"size": ["<= 5", "soft >= 2"], "b": "<= 1"})
    rows = [(1, 3, 0), (1, 6, 0), (1, 6, 2), (1, 1, 0), (1, 2, 9)]
    trials = [make(i, goals, {"a": a, "size": s, "b": b}, {"x": i}) for i, (a, s, b) in enumerate(rows)]
    trials.append(make(5, goals, {}, {"x": 5}, "gone"))
    assert broken_counts(table_of(trials, goals)) == [
        ("size <= 5", True, 2, 1),
        ("size soft >= 2", False, 1, 1),
        ("b <= 1", True, 2, 1),
    ]


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
