"""Throughput mode: nobody waits, and the store says what each ask had seen, so that the search can be followed."""

import random
import time

import pytest

from coevo import Evaluator, Outcome, Problem, Space, Stage, Study
from coevo.errors import ConfigError
from coevo.search.algorithms import Algorithm
from coevo.search.run import Run

SPACE = Space("free/v1", lambda pick: [pick.integer(f"x{i}", 0, 9) for i in range(6)])


class Napping(Evaluator):
    """Takes a time that nobody can foretell."""

    id, metrics = "napping", {"y": "", "cost": ""}

    def __init__(self, batch=1, nap_s=0.002):
        self.batch, self.nap_s = batch, nap_s

    def evaluate(self, candidates, context):
        time.sleep(random.SystemRandom().uniform(0, self.nap_s))
        return [Outcome({"y": sum(candidate.value), "cost": candidate.value[0]}) for candidate in candidates]


def problem(stages=1, batch=1):
    rungs = [Stage(f"s{n}", Napping(batch if n else 1), 0.5 if n + 1 < stages else 1.0) for n in range(stages)]
    return Problem("free", SPACE, rungs, {"y": "max", "cost": "min"})


def free(folder=None, algorithm="nsga2", runner="local", stages=1, batch=1, **options):
    options = {"algorithm_options": {"population": 10}} | options
    if algorithm == "regularized_evolution":
        options["algorithm_options"] = {"population": 10, "sample": 4}
    return Study(
        problem(stages, batch),
        algorithm=algorithm,
        seed=3,
        lag=2,
        workers=1 if runner == "inline" else 3,
        runner=runner,
        folder=folder,
        deterministic=False,
        **options,
    )


def follow(folder, **options):
    """Asks and tells anew, in the order of the rows: every design must come out as it was recorded."""
    again = free(runner="inline", **options)
    asked = 0
    for row in Run.open(folder).rows():
        if row.kind == "asked":
            assert again.ask().key == row.key, f"design {row.trial} is not what its ask had seen"
            asked += 1
        elif row.kind == "told":
            again.tell(row.trial, row.body["metrics"])
    return asked


@pytest.mark.parametrize("algorithm", ["nsga2", "regularized_evolution", "random"])
def test_the_rows_say_what_each_ask_had_seen(algorithm, tmp_path):
    options = {"algorithm_options": {}} if algorithm == "random" else {}
    with free(tmp_path / "run", algorithm, **options) as study:
        study.run(trials=60)
        assert study.told == 60
    with free(tmp_path / "run", algorithm, **options) as study:  # goes on from the rows, in a session of its own
        study.run(trials=120)
        assert study.told == 120
    assert follow(tmp_path / "run", algorithm=algorithm, **options) == 120


def test_an_ask_sees_more_than_the_lag_would_show_and_a_run_says_how_much(tmp_path):
    with free(tmp_path / "run", runner="inline") as study:
        study.run(trials=40)
    run = Run.open(tmp_path / "run")
    assert run.told_before(30) == list(range(30)), "with one evaluation at a time an ask knows all before it"
    assert "deterministic = false" in (tmp_path / "run" / "run.toml").read_text()


def test_a_slow_trial_holds_nobody_up():
    """With lag 2 and one trial that never ends, a deterministic search would stop after three designs."""
    study = free(runner="inline")
    slow = study.ask()
    for _ in range(50):
        candidate = study.ask()
        study.tell(candidate.index, {"y": sum(candidate.value), "cost": 1.0})
    assert study.told == 50 and slow.index == 0
    late = study.tell(0, {"y": 60.0, "cost": 0.0})
    assert late.index == 0 and study.front().best().index == 0


@pytest.mark.parametrize("batch", [1, 3])
def test_stages_go_on_as_they_come(batch, tmp_path):
    with free(tmp_path / "run", stages=3, batch=batch) as study:
        study.run(trials=90)
        counts = dict.fromkeys(("s0", "s1", "s2"), 0)
        for trial in study.trials():
            counts[trial.stage] += 1
            assert [result.stage for result in trial.earlier] == ["s0", "s1", "s2"][: len(trial.earlier)]
        assert study.told == 90 and min(counts.values()) > 0
        before = [(t.index, t.design.key, t.stage) for t in study.trials()]
    with free(tmp_path / "run", stages=3, batch=batch) as study:
        assert [(t.index, t.design.key, t.stage) for t in study.trials()] == before
        assert study.run(trials=120) and study.told == 120


def test_a_run_is_resumed_in_its_own_mode_alone(tmp_path):
    with free(tmp_path / "run", runner="inline") as study:
        study.run(trials=5)
    with pytest.raises(ConfigError, match=r"search.deterministic was False, now 'absent'"):
        Study(problem(), seed=3, lag=2, runner="inline", folder=tmp_path / "run", algorithm_options={"population": 10})


def test_a_generation_barrier_and_throughput_do_not_go_together():
    class Generational(Algorithm):
        name, barrier = "generational", True

    with pytest.raises(ConfigError, match=r"'generational' learns a generation at a time.*deterministic = true"):
        Study(problem(), algorithm=Generational(), deterministic=False)
