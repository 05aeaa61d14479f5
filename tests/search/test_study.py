"""The loop: bad outcomes, budgets, caching, preparation, events, and refusals before anything is written."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from coevo import Evaluator, Outcome, Problem, Space, Stage, Study
from coevo.errors import ConfigError, CorruptRun, InputError, UnknownName
from coevo.search import events
from coevo.search.run import Run

LINE = Space("line/v1", lambda pick: pick.integer("x", 0, 999))


def inline(evaluate=lambda x: {"y": x}, **options):
    options = {"objectives": {"y": "max"}, "runner": "inline", "lag": 3} | options
    return Study(options.pop("space", LINE), evaluate, **options)


BAD = {
    "metric 'y' is NaN": {"y": math.nan},
    "metric 'y' is infinite": {"y": math.inf},
    "metric 'y' is infinite ": {"y": -np.float32("inf")},
    "metric 'y' is None": {"y": None},
    "metric 'y' is missing (there are: z)": {"z": 1.0},
    "metric 'y' is missing (there are: none)": {},
    "metric 'y' is of type str, expected a number": {"y": "0.5"},
    "metric 'y' is of type bool, expected a number": {"y": True},
    "metric 'y' is of type bool": {"y": np.bool_(True)},
    "metric 'y' is of type list, expected a number": {"y": [1]},
    "metric 'y' is of type ndarray, expected a number": {"y": np.ones(1)},
    "expected a mapping of metrics or an Outcome, got float": 0.5,
    "expected a mapping of metrics or an Outcome, got NoneType": None,
    "out of memory": Outcome.failed("out of memory"),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_outcome_fails_its_trial_and_the_search_goes_on(reason):
    study = inline(lambda x: BAD[reason] if x % 2 else {"y": x})
    front = study.run(trials=60)
    failed = [trial for trial in study.trials() if not trial.outcome.ok]
    assert study.told == 60 and study.failed == len(failed) > 10
    assert all(trial.outcome.failure.startswith(reason.strip()) and trial.score is None for trial in failed)
    assert all(trial.outcome.ok for trial in front)
    assert all(trial.index not in {t.index for t in failed} for trial in study.algorithm.members)


def test_an_exception_fails_its_trial_with_its_words():
    def evaluate(x):
        if x % 2:
            raise ValueError(f"{x} is odd")
        return {"y": x}

    study = inline(evaluate)
    study.run(trials=40)
    reasons = [trial.outcome.failure for trial in study.trials() if not trial.outcome.ok]
    assert reasons and all("ValueError" in reason and "is odd" in reason for reason in reasons)


def test_good_numbers_of_every_kind_count():
    for value in (1, 1.5, np.float32(2), np.int64(3), np.float64(4)):
        study = inline(lambda x, value=value: {"y": value})
        study.run(trials=2)
        assert study.failed == 0 and study.front().best().outcome.metrics["y"] == float(value)


def test_a_metric_nobody_needs_may_be_missing_or_odd():
    study = inline(lambda x: {"y": x, "note": "text", "extra": 2})
    study.run(trials=5)
    assert study.failed == 0
    assert all(set(trial.outcome.metrics) == {"y", "extra"} for trial in study.trials())


def test_wrong_number_of_outcomes_fails_the_batch_by_name():
    class Short(Evaluator):
        id, metrics, batch = "short", {"y": ""}, 4

        def evaluate(self, candidates, context):
            return [Outcome({"y": 1.0})] * (len(candidates) - 1)

    study = inline(Short())
    study.run(trials=8)
    assert Counter(t.outcome.failure for t in study.trials()) == {
        "evaluator 'short' returned 3 outcomes for 4 candidates": 8
    }


def test_many_failures_at_once_are_said_aloud():
    notes = []
    study = inline(lambda x: {"z": 1})
    study.listen(lambda event: notes.append(event.text) if isinstance(event, events.Note) else None)
    study.run(trials=30)
    assert any("the first 20 trials all failed; the last one: metric 'y' is missing" in note for note in notes)
    assert len(study.front()) == 0


def test_budgets():
    study = inline(lambda x: {"y": x})
    study.run(trials=10)
    study.run(trials=10)
    assert study.asked == study.told == 10, "trials count the whole study"
    study.run(trials=25)
    assert study.told == 25
    by_hand = inline(None)
    for _ in range(3):
        by_hand.tell(by_hand.ask().index, {"y": 1}, cost_s=2.0)
    assert by_hand.cost_s == 6.0
    quick = inline(lambda x: {"y": x})
    quick.run(seconds=0.3)
    assert 0 < quick.told < 1000 or quick.asked == 1000
    with pytest.raises(ConfigError, match="a budget is needed"):
        study.run()
    with pytest.raises(ConfigError, match="budget trials: expected a number above 0, got -1"):
        study.run(trials=-1)


def test_a_cost_budget_ends_the_study():
    import time

    study = inline(lambda x: (time.sleep(0.01), {"y": x})[1])
    reasons = []
    study.listen(lambda event: reasons.append(event.reason) if isinstance(event, events.Finished) else None)
    study.run(cost_s=0.1)
    assert reasons == ["cost"] and 3 <= study.told <= 12


def test_a_listener_may_stop_the_study():
    study = inline()
    study.listen(lambda event: study.stop() if isinstance(event, events.Told) and event.trial.index == 6 else None)
    study.run(trials=100)
    assert 7 <= study.told < 20


def test_asking_ahead_of_the_lag_is_refused_with_what_is_missing():
    study = inline(None, lag=2)
    asked = [study.ask() for _ in range(3)]
    with pytest.raises(InputError, match=r"design 3 needs the outcome of trial 0, which was not told yet \(lag 2\)"):
        study.ask()
    study.tell(asked[0].index, {"y": 1})
    assert study.ask().index == 3
    with pytest.raises(InputError, match="design 0 is not waiting for an outcome"):
        study.tell(0, {"y": 1})


def test_a_study_without_evaluator_is_asked_and_told_by_hand():
    study = inline(None)
    best = 0
    for _ in range(200):
        asked = study.ask()
        best = max(best, asked.value)
        study.tell(asked.index, {"y": asked.value})
    assert study.front().best().outcome.metrics["y"] == best > 900


def test_the_lag_must_leave_room_for_a_batch():
    class Batched(Evaluator):
        id, metrics, batch = "batched", {"y": ""}, 8

    with pytest.raises(ConfigError, match=r"do not fit in a lag of 3.*Set lag to at least 7"):
        inline(Batched(), lag=3)
    notes = []
    study = Study(LINE, Batched(), objectives={"y": "max"}, lag=7, workers=4, algorithm="nsga2")
    study.listen(notes.append)
    assert study._schedule.warnings(4) == [
        "4 workers x batches of 8 exceed lag + 1 = 8: at most 1 of the workers have work at any time. "
        "Set lag to at least 31, better twice that, for all of them"
    ]


class Parity(Evaluator):
    """Coarse: only x // 10 matters; counts how often it is called."""

    id, metrics = "parity", {"y": ""}

    def __init__(self, batch=1):
        self.batch, self.seen = batch, []

    def evaluate(self, candidates, context):
        self.seen += [candidate.value for candidate in candidates]
        return [Outcome({"y": float(candidate.value // 10)}) for candidate in candidates]

    def cache_key(self, value):
        return str(value // 10)


@pytest.mark.parametrize("batch", [1, 4])
def test_equal_cache_keys_are_paid_for_once(batch):
    evaluator = Parity(batch)
    study = inline(evaluator, lag=7)
    study.run(trials=300)
    trials = list(study.trials())
    assert len(evaluator.seen) < 200 and len(trials) == 300
    for trial in trials:
        assert trial.outcome.metrics["y"] == dict(trial.design.answers)["x"] // 10
        if trial.cached_from is not None:
            assert trial.cost_s == 0 and trials[trial.cached_from].outcome.metrics == trial.outcome.metrics
            assert trial.cached_from < trial.index


def test_what_the_cache_shows_does_not_depend_on_who_finished_first():
    plain, _ = Parity(4), None
    study = inline(plain, lag=11)
    study.run(trials=120)
    sources = [trial.cached_from for trial in study.trials()]
    parallel = Study(LINE, Parity(4), objectives={"y": "max"}, lag=11, workers=3)
    parallel.run(trials=120)
    assert [trial.cached_from for trial in parallel.trials()] == sources
    parallel.close()


def test_the_cache_survives_a_resume(tmp_path):
    first = inline(Parity(), folder=tmp_path / "run")
    first.run(trials=50)
    first.close()
    evaluator = Parity()
    second = inline(evaluator, folder=tmp_path / "run")
    second.run(trials=150)
    whole = inline(Parity())
    whole.run(trials=150)
    assert [t.cached_from for t in second.trials()] == [t.cached_from for t in whole.trials()]
    assert len(evaluator.seen) < 100


# Preparation


class Prepared(Evaluator):
    id, metrics = "prepared", {"y": ""}

    def setup(self, context):
        self.offset = float(context.artifact("offset").read_text())

    def evaluate(self, candidates, context):
        return [Outcome({"y": candidate.value + self.offset}) for candidate in candidates]


def problem(calls, prepare=None):
    def make(context):
        calls.append(context.folder)
        context.progress(1, 2, "half way")
        path = context.folder / "offset.txt"
        path.write_text("5")
        return {"offset": path}

    return Problem("shifted", LINE, [Stage("full", Prepared())], {"y": "max"}, prepare=prepare or make)


def test_prepare_runs_once_and_its_digest_is_kept(tmp_path):
    calls, seen = [], []
    study = Study(problem(calls), runner="inline", folder=tmp_path / "run")
    study.listen(seen.append)
    study.run(trials=5)
    assert study.front().best().outcome.metrics["y"] >= 5
    assert [e.text for e in seen if isinstance(e, events.Progress)] == ["half way"]
    study.close()
    again = Study(problem(calls), runner="inline", folder=tmp_path / "run")
    again.run(trials=8)
    again.close()
    assert len(calls) == 1
    entry = Run.open(tmp_path / "run").prepared["artifacts"]["offset"]
    assert entry["path"] == "offset.txt" and len(entry["sha256"]) == 64


def test_an_altered_or_lost_artefact_is_refused(tmp_path):
    study = Study(problem([]), runner="inline", folder=tmp_path / "run")
    study.run(trials=5)
    study.close()
    path = tmp_path / "run" / "prepared" / "offset.txt"
    path.write_text("6")
    again = Study(problem([]), runner="inline", folder=tmp_path / "run")
    with pytest.raises(CorruptRun, match="the prepared artefact 'offset' was altered"):
        again.run(trials=8)
    again.close()
    path.unlink()
    with pytest.raises(CorruptRun, match="the prepared artefact 'offset' is gone"):
        Study(problem([]), runner="inline", folder=tmp_path / "run").run(trials=8)


def test_an_interrupted_prepare_is_called_again_with_its_folder(tmp_path):
    calls = []

    def prepare(context):
        calls.append(sorted(path.name for path in context.folder.iterdir()))
        (context.folder / "checkpoint").write_text("1")
        if len(calls) == 1:
            raise KeyboardInterrupt
        path = context.folder / "offset.txt"
        path.write_text("5")
        return {"offset": path}

    with (
        pytest.raises(KeyboardInterrupt),
        Study(problem([], prepare), runner="inline", folder=tmp_path / "run") as study,
    ):
        study.run(trials=5)
    with Study(problem([], prepare), runner="inline", folder=tmp_path / "run") as study:
        study.run(trials=5)
        assert study.told == 5
    assert calls == [[], ["checkpoint"]]


def test_prepare_must_name_files_in_its_folder(tmp_path):
    stray = tmp_path / "elsewhere.txt"
    stray.write_text("5")
    with pytest.raises(InputError, match="which is no file in"):
        Study(problem([], lambda context: {"offset": stray}), runner="inline").run(trials=1)


def test_artefacts_of_an_evaluation_are_named_in_the_store(tmp_path):
    class Writes(Evaluator):
        id, metrics = "writes", {"y": ""}

        def evaluate(self, candidates, context):
            outcomes = []
            for candidate in candidates:
                path = candidate.scratch / "notes.json"
                path.write_text(f"[{candidate.value}]")
                outcomes.append(Outcome({"y": candidate.value}, artifacts={"notes": path}))
            return outcomes

    study = inline(Writes(), folder=tmp_path / "run")
    study.run(trials=4)
    study.close()
    for trial in Run.open(tmp_path / "run").trials():
        path = trial.outcome.artifacts["notes"]
        assert path == tmp_path / "run" / "designs" / trial.design.key / "notes.json"
        assert path.read_text() == f"[{dict(trial.design.answers)['x']}]"


# Refused before anything is written


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"objectives": {"z": "max"}, "evaluate": Parity()}, UnknownName, "unknown metric 'z' in evaluator parity@1"),
        ({"objectives": {"y": "maximum"}}, ConfigError, "expected 'max' or 'min', got 'maximum'"),
        ({"objectives": {}}, ConfigError, "at least one objective is needed"),
        ({"objectives": None}, ConfigError, "a Space needs objectives"),
        ({"constraints": {"y": "< 3"}}, ConfigError, "constraint on 'y': expected '<= NUMBER'"),
        ({"seed": -1}, ConfigError, "seed: expected a whole number of at least 0, got -1"),
        ({"lag": 1.5}, ConfigError, "lag: expected a whole number"),
        ({"workers": 0}, ConfigError, "workers: expected a whole number of at least 1"),
        ({"runner": "locl"}, UnknownName, "unknown runner 'locl'. Did you mean 'local'"),
        ({"durability": "extreme"}, ConfigError, "durability: expected 'normal' or 'power'"),
        ({"evaluate": 3}, ConfigError, "expected an Evaluator or a function of one value, got int"),
    ],
)
def test_wrong_input_writes_nothing(tmp_path, options, error, message):
    folder = tmp_path / "run"
    with pytest.raises(error, match=message):
        inline(**({"evaluate": lambda x: {"y": x}, "folder": folder} | options))
    assert not folder.exists() or not (folder / "run.toml").exists()


def test_the_environment_is_recorded(tmp_path):
    inline(folder=tmp_path / "run").close()
    run = Run.open(tmp_path / "run")
    assert run.env["packages"]["numpy"] == np.__version__
    assert len(run.env["devices"]) == 1
    assert run.config["search"]["algorithm"] == "nsga2" and run.config["search"]["lag"] == 3
    assert run.config["recorded"]["space"] == "line/v1"
    assert isinstance(run.path, Path)
