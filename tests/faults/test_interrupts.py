"""Ctrl-C at any line of the driver: nothing is written twice, nothing told is lost, and the search goes on alike."""

import random
import sys
from pathlib import Path

import pytest

import coevo.search
from coevo import Evaluator, Outcome, Problem, Space, Stage, Study
from coevo.errors import InputError
from coevo.search.run import Run
from coevo.search.verify import verify_run

HOME = str(Path(coevo.search.__file__).parent)
SPACE = Space("interrupted/v1", lambda pick: [pick.integer(f"x{i}", 0, 9) for i in range(5)])
TRIALS = 40


class Judge(Evaluator):
    id, metrics = "judge", {"y": "", "cost": ""}

    def evaluate(self, candidates, context):
        return [Outcome({"y": sum(c.value), "cost": c.value[0]}) for c in candidates]


def study(folder, stages):
    rungs = [Stage(f"s{n}", Judge(), 0.5 if n + 1 < stages else 1.0) for n in range(stages)]
    problem = Problem("interrupted", SPACE, rungs, {"y": "max", "cost": "min"})
    return Study(problem, runner="inline", folder=folder, lag=6, algorithm_options={"population": 8}, seed=2)


class InterruptAt:
    """Raises KeyboardInterrupt at the n-th line that `coevo.search` executes."""

    def __init__(self, at):
        self.left = at

    def __enter__(self):
        sys.settrace(self.call)

    def __exit__(self, *problem):
        sys.settrace(None)

    def call(self, frame, event, argument):
        return self.line if frame.f_code.co_filename.startswith(HOME) else None

    def line(self, frame, event, argument):
        self.left -= event == "line"
        if self.left == 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return self.line


def rows(folder):
    return [(t.index, t.design.key, t.stage, dict(t.outcome.metrics)) for t in Run.open(folder).trials()]


@pytest.mark.parametrize("stages", [1, 3])
def test_an_interruption_at_any_line(stages, tmp_path):
    with study(tmp_path / "reference", stages) as whole:
        whole.run(trials=TRIALS)
    wanted = rows(tmp_path / "reference")
    rng = random.Random(stages)
    torn = 0
    for n in range(40):
        folder = tmp_path / f"run{n}"
        first = study(folder, stages)
        try:
            with InterruptAt(rng.randrange(1, 20_000)):
                first.run(trials=TRIALS)
        except KeyboardInterrupt:
            try:
                first.run(trials=TRIALS)  # in the same process, where memory and store agree
            except InputError as refusal:
                assert "interrupted while it recorded" in str(refusal)
                torn += 1
        first.close()
        told = rows(folder)
        assert told == wanted[: len(told)] or stages > 1
        with study(folder, stages) as second:
            second.run(trials=TRIALS)
        assert rows(folder) == wanted
        assert verify_run(folder).ok
    assert 0 < torn < 40, "both kinds of moments were met"
