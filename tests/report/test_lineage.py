"""The line of ancestors, and what changed at each step."""

from __future__ import annotations

from typing import Any

from coevo.report.data import tabulate
from coevo.report.lineage import Change, line_of
from coevo.report.stages import stage_costs
from coevo.search.design import Design, Origin
from coevo.search.evaluator import Outcome
from coevo.search.objectives import Goals
from coevo.search.trial import StageResult, Trial

GOALS = Goals({"a": "max"})


def trial(index: int, answers: dict[str, Any], how: str | None, *parents: int, **more: Any) -> Trial:
    design = Design("line/v1", answers.items(), Origin(how, parents) if how else None)
    given = {"stage": "full", "outcome": Outcome({"a": 1.0}), "cost_s": 1.0, "score": GOALS.score({"a": 1.0})} | more
    return Trial(index=index, design=design, evaluator="e@1", device="dev", seed=0, **given)


def test_back_to_the_root_through_the_nearer_parent() -> None:
    trials = {
        0: trial(0, {"x": 1, "y": 1, "z": 1}, "sample"),
        1: trial(1, {"x": 9, "y": 9, "w": 9}, "enqueued"),
        2: trial(2, {"x": 1, "y": 2, "z": 1}, "mutation", 0),
        5: trial(5, {"x": 9, "y": 2, "w": 3}, "crossover", 1, 2),
    }
    steps = line_of(trials[5], trials)
    assert [(step.trial.index, step.how, step.parents, step.parent) for step in steps] == [
        (5, "crossover", (1, 2), 1),
        (1, "enqueued", (), None),
    ]
    assert steps[0].changes == (Change("y", 9, 2, True, True, 2), Change("w", 9, 3, True, True, None))
    back = line_of(trials[2], trials)
    assert [step.trial.index for step in back] == [2, 0] and back[1].changes == ()
    assert back[0].changes == (Change("y", 1, 2, True, True, None),)


def test_a_choice_that_is_asked_no_longer_and_one_that_is_new() -> None:
    trials = {0: trial(0, {"kind": "a", "heads": 4}, "sample"), 1: trial(1, {"kind": "b", "size": 3}, "mutation", 0)}
    changes = line_of(trials[1], trials)[0].changes
    assert changes == (
        Change("kind", "a", "b", True, True, None),
        Change("size", None, 3, False, True, None),
        Change("heads", 4, None, True, False, None),
    )


def test_true_is_no_one() -> None:
    trials = {0: trial(0, {"x": 1}, "sample"), 1: trial(1, {"x": True}, "mutation", 0)}
    assert len(line_of(trials[1], trials)[0].changes) == 1


def test_lines_end_where_something_is_missing_or_wrong() -> None:
    orphan = trial(3, {"x": 1}, "mutation", 2)
    assert [step.trial.index for step in line_of(orphan, {3: orphan})] == [3]
    by_hand = trial(0, {"x": 1}, None)
    assert line_of(by_hand, {0: by_hand})[0].how == "given by hand"
    circle = {0: trial(0, {"x": 1}, "mutation", 1), 1: trial(1, {"x": 2}, "mutation", 0)}
    assert [step.trial.index for step in line_of(circle[1], circle)] == [1, 0]


def test_cost_by_stage() -> None:
    failed = Outcome.failed("gone")
    earlier = (StageResult("cheap", {"a": 1.0}, 0.25),)
    trials = [
        trial(0, {"x": 0}, "sample", stage="cheap", cost_s=0.5),
        trial(1, {"x": 1}, "sample", stage="full", cost_s=4.0, earlier=earlier),
        trial(2, {"x": 2}, "sample", stage="full", cost_s=2.0, earlier=earlier, outcome=failed, score=None),
        trial(3, {"x": 3}, "sample", stage="cheap", cost_s=0.0, cached_from=0),
    ]
    cheap, full = stage_costs(tabulate(trials, [], GOALS, {}, ("cheap", "full")))
    assert (cheap.designs, cheap.cached, cheap.failed, cheap.seconds, cheap.median_s) == (4, 1, 0, 1.0, 0.25)
    assert (full.designs, full.cached, full.failed, full.seconds, full.median_s) == (2, 0, 1, 6.0, 3.0)
