"""The view of a running study: what it counts, what it draws on a terminal, and what it prints elsewhere."""

from __future__ import annotations

import io
import random

import pytest
from rich.console import Console

from coevo.cli.progress import LiveView, PlainView, search_line, stages_line, view_for
from coevo.cli.tally import Tally
from coevo.report.words import answer, budget, duration, number
from coevo.search.design import Design
from coevo.search.evaluator import Outcome
from coevo.search.events import Asked, Event, Finished, Note, Prepared, Progress, Staged, Started, Told
from coevo.search.objectives import Goals
from coevo.search.trial import StageResult, Trial

GOALS = Goals({"accuracy": "max", "latency_ms": "min"}, {"size": "<= 10"})


def trial(
    index: int, accuracy: float, latency: float, size: float = 1, failure: str | None = None, how: str = ""
) -> Trial:
    metrics = {"accuracy": accuracy, "latency_ms": latency, "size": size}
    outcome = Outcome.failed(failure) if failure else Outcome(metrics)
    score = None if failure else GOALS.score(metrics)
    return Trial(index, Design("t/v1", [("a", index)]), "full", outcome, 2.0, "e@1", "dev", 0, score, None, how)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def play(tally: Tally, clock: Clock, *steps: tuple[float, Event]) -> None:
    for seconds, event in steps:
        clock.now += seconds
        tally.take(event)


def test_a_tally_counts_and_reckons_what_is_left() -> None:
    clock = Clock()
    tally = Tally(GOALS, {"trials": 100.0}, clock=clock)
    play(tally, clock, (0, Started(0, {"trials": 100.0}, 4, "local")))
    play(tally, clock, (5, Progress("prepare", 1, 4, "epoch 1")))
    assert tally.phases["prepare"].share == 0.25 and tally.phases["prepare"].left_s == pytest.approx(15)
    play(tally, clock, (5, Prepared({}, 10.0)), (0, Asked(0, trial(0, 0, 0).design)))
    assert tally.phases["prepare"].state == "done" and tally.phases["search"].state == "runs"
    for index in range(10):
        play(tally, clock, (1, Told(trial(index, 0.1 * index, 5.0 + index))))
    play(tally, clock, (0, Told(trial(10, 0.9, 1, failure="lost"))), (0, Told(trial(11, 2, 0, size=50, how="retried"))))
    phase = tally.search_progress()
    assert phase.share == 0.12 and phase.left_s == pytest.approx(88 / 1.2)
    assert tally.rates()[0] == pytest.approx(1.2)
    assert (tally.told, tally.failed, tally.infeasible, tally.troubled, tally.front) == (12, 1, 1, 1, 10)
    assert tally.best == {"accuracy": (pytest.approx(0.9), 9), "latency_ms": (5.0, 0)}
    play(tally, clock, (0, Finished("trials", 12, 10)))
    assert tally.phases["search"].state == "done"


def test_the_budget_that_ends_first_decides() -> None:
    clock = Clock()
    tally = Tally(GOALS, {"trials": 1000.0, "seconds": 20.0, "cost_s": 100.0}, clock=clock)
    tally.catch_up([trial(0, 0.5, 5)], seconds=6.0)
    play(tally, clock, (0, Asked(1, trial(1, 0, 0).design)), (2, Told(trial(1, 0.5, 5))), (2, Told(trial(2, 0.5, 5))))
    phase = tally.search_progress()
    assert phase.share == pytest.approx(0.5)  # 6 s before and 4 s now, of 20
    assert phase.left_s == pytest.approx(10)
    assert tally.phases["prepare"].state == "skipped" and tally.told == 3


def drawn(view: LiveView, width: int = 110) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view.picture())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_picture_of_a_search() -> None:
    clock = Clock()
    tally = Tally(GOALS, {"trials": 40.0}, {"latency_ms": "ms"}, clock)
    view = LiveView(tally, Console(file=io.StringIO(), width=110))
    assert "prepare" in drawn(view) and "export" in drawn(view)
    play(tally, clock, (0, Started(0, {}, 4, "local")), (1, Prepared({}, 1.0)), (0, Asked(0, trial(0, 0, 0).design)))
    for index in range(10):
        play(tally, clock, (2, Told(trial(index, 0.1 * index, 5.0 - index / 10))))
    play(tally, clock, (0, Told(trial(10, 0, 0, failure="x"))))
    picture = drawn(view)
    for words in ("28%", "11 of 40 trials", "left", "0.55 trials/s", "front 1", "4 local workers", "1 failed"):
        assert words in picture, (words, picture)
    assert "max accuracy" in picture and "0.9" in picture and "ms  #9" in picture
    assert all(len(line.rstrip()) <= 110 for line in picture.splitlines())


def test_a_long_text_squeezes_nothing_else() -> None:
    tally = Tally(GOALS, {"trials": 40.0})
    view = LiveView(tally, Console(file=io.StringIO(), width=110))
    view.take(Progress("prepare", 3, 10, "training the SuperCircuit " * 10))
    lines = [line.rstrip() for line in drawn(view).splitlines()]
    assert [line.split()[0] for line in lines] == ["prepare", "search", "export"]
    assert "30%" in lines[0] and lines[0].endswith("…") and all(len(line) <= 110 for line in lines)


def test_plain_lines_come_at_most_every_few_seconds() -> None:
    out = io.StringIO()
    view = PlainView(Tally(GOALS, {"trials": 500.0}), Console(file=out, width=200), every_s=1000)
    with view:
        view.take(Started(3, {}, 2, "local"))
        for index in range(200):
            view.take(Told(trial(index, 0.1, 5.0)))
        view.take(Note("warning", "the [red]device[/red] is another one"))
        view.take(Finished("trials", 200, 1.0))
    lines = out.getvalue().splitlines()
    assert lines[0] == "search: 2 x local workers, 3 trials told before"
    assert lines[1] == "warning: the [red]device[/red] is another one"  # a note is text, never markup
    assert lines[2].startswith("search: 200 of 500 trials, front 200, best accuracy 0.1, best latency_ms 5")
    assert len(lines) == 3


def test_a_line_while_the_search_runs() -> None:
    clock = Clock()
    tally = Tally(GOALS, {"trials": 100.0}, clock=clock)
    play(tally, clock, (0, Asked(0, trial(0, 0, 0).design)))
    for index in range(50):
        play(tally, clock, (10, Told(trial(index, 0.5, 5.0))))
    assert search_line(tally).startswith(
        "search: 50 of 100 trials (50%), about 8 min 20 s left, 0.1 trials/s, front 50"
    )


def test_the_view_fits_the_stream() -> None:
    tally = Tally(GOALS, {"trials": 1.0})
    assert isinstance(view_for(tally, Console(file=io.StringIO())), PlainView)
    assert isinstance(view_for(tally, Console(file=io.StringIO(), force_terminal=True)), LiveView)


def test_numbers_and_spans_as_words() -> None:
    assert [number(value) for value in (3, 2.0, 0.123456789, 1e-9, None, float("nan"))] == [
        "3",
        "2",
        "0.12346",
        "1e-09",
        "-",
        "nan",
    ]
    spans = (0.0004, 0.85, 12.3, 59.96, 245, 3 * 3600 + 720, 200_000, None)
    assert [duration(seconds) for seconds in spans] == [
        "0.4 ms",
        "850 ms",
        "12.3 s",
        "60.0 s",
        "4 min 05 s",
        "3 h 12 min",
        "2 d 7 h",
        "-",
    ]
    assert answer("text") == "text" and answer((1, "é")) == '[1, "é"]' and len(answer("x" * 99)) == 60
    assert budget({"trials": 5, "seconds": 90}) == "5 trials or 1 min 30 s" and budget({}) == "none"


# Ladders

NAMES = ("proxy", "short", "full")


def at(index: int, depth: int, accuracies: tuple[float, ...], failed: bool = False) -> Trial:
    """A design at the stage of this depth, with what it got at each stage up to there; every outcome cost 2 s."""
    scores = [{"accuracy": value, "latency_ms": 1.0 + index, "size": 1.0} for value in accuracies]
    earlier = tuple(StageResult(NAMES[i], scores[i], 2.0) for i in range(depth))
    outcome = Outcome.failed("no") if failed else Outcome(scores[depth])
    score = None if failed else GOALS.score(scores[depth], depth)
    design = Design("t/v1", [("a", index)])
    return Trial(index, design, NAMES[depth], outcome, 2.0, "e@1", "dev", 0, score, earlier=earlier)


def test_a_ladder_is_counted_by_stage() -> None:
    clock = Clock()
    tally = Tally(GOALS, {"cost_s": 100.0}, clock=clock, stages=NAMES)
    play(tally, clock, (0, Started(0, {}, 1, "local")), (0, Asked(0, at(0, 0, (0.5,)).design)))
    play(tally, clock, (1, Staged(at(0, 0, (0.9,)))), (1, Staged(at(1, 0, (0.1,)))), (1, Staged(at(2, 0, (0.5,)))))
    assert tally.told == 0 and tally.cost_s == 6.0 and tally.search_progress().share == 0.06
    play(tally, clock, (1, Told(at(1, 0, (0.1,)))))  # it had waited at the gate: nothing new was paid
    play(tally, clock, (1, Staged(at(0, 1, (0.9, 0.6)))), (1, Told(at(2, 1, (0.5,), failed=True))))
    play(tally, clock, (1, Told(at(0, 2, (0.9, 0.6, 0.7)))))
    found = [(rung.name, rung.evaluated, rung.failed, rung.ended, rung.cost_s) for rung in tally.rungs.rungs]
    assert found == [("proxy", 3, 0, 1, 6.0), ("short", 2, 1, 0, 4.0), ("full", 1, 0, 1, 2.0)]
    assert tally.rungs.went_on(0) == (2, 2 / 3) and tally.rungs.went_on(1) == (1, 1.0)
    assert (tally.told, tally.failed, tally.front, tally.cost_s) == (3, 1, 1, 12.0)
    assert tally.best["accuracy"] == (0.7, 0), "a cheaper stage's 0.9 is not the last one's"


def test_a_tally_that_begins_late_counts_the_same() -> None:
    late = Tally(GOALS, {}, stages=NAMES)
    late.catch_up([at(1, 0, (0.1,)), at(2, 1, (0.5,), failed=True)])
    late.take(Told(at(0, 2, (0.9, 0.6, 0.7))))  # its earlier stages were told to nobody here
    assert [rung.evaluated for rung in late.rungs.rungs] == [3, 2, 1] and late.cost_s == 12.0


def test_agreement_grows_with_the_pairs_and_is_kendalls() -> None:
    from coevo.search.agreement import agreements

    tally = Tally(GOALS, {}, stages=NAMES)
    rng = random.Random(0)
    trials = []
    for index in range(60):
        truth = rng.random()
        trials.append(at(index, 2, (rng.random(), truth + 0.1 * rng.random(), truth)))
        tally.take(Told(trials[-1]))
        shown = tally.rungs.agreements()
        assert not shown or max(found.designs for found in shown) >= index / 1.06
    expected = agreements(trials, NAMES, GOALS)
    assert tally.rungs.agreements(exact=True) == expected
    view = LiveView(tally, Console(file=io.StringIO(), width=150))
    picture = drawn(view, 150)
    for words in ("evaluated", "went on", "60 (100%)", "2 min 00 s (33%)", "no better than chance", "over 60"):
        assert words in picture, (words, picture)
    line = stages_line(tally.rungs)
    assert line.startswith("stages: proxy 60 (2 min 00 s) -> short 60 (100%, 2 min 00 s) -> full 60 (100%, 2 min 00 s)")
    good = next(found for found in expected if found.cheaper == "short" and found.metric == "accuracy")
    assert f"short -> full: tau accuracy {good.tau:.2f} [{good.low:.2f}, {good.high:.2f}], latency_ms 1.00" in line


def test_plain_lines_of_a_ladder() -> None:
    out = io.StringIO()
    view = PlainView(Tally(GOALS, {"trials": 5.0}, stages=NAMES), Console(file=out, width=200), every_s=1000)
    with view:
        view.take(Started(0, {}, 2, "local"))
        view.take(Staged(at(0, 0, (0.5,))))
        view.take(Told(at(0, 1, (0.5, 0.6))))
        view.take(Finished("trials", 1, 1.0))
    assert out.getvalue().splitlines()[-1] == "stages: proxy 1 (2.0 s) -> short 1 (100%, 2.0 s) -> full 0 (0%, 0 ms)"
