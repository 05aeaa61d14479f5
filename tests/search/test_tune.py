"""A Ray Tune searcher over a coevo space: the designs of a study by hand, saved as JSON and taken up again."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import coevo
from coevo import Space, Study
from coevo.errors import ConfigError, CorruptRun, InputError, RunFolderError, SpaceError
from coevo.search.algorithms import RandomSearch
from coevo.search.runners import wire

pytest.importorskip("ray.tune", reason="the extra `ray` is not installed")

from coevo.search.tune import CoevoSearch, value_of

ROOT = Path(coevo.__file__).parents[1]
GOALS = {"x": "max", "y": "min"}


def build(pick):
    depth = pick.integer("depth", 1, 3)
    return [pick.integer(f"a{i}", 0, 9) for i in range(depth)], pick.order("order", ("p", "q", "r"))


SPACE = Space("t/v1", build)


def score(value):
    numbers, order = value
    return {"x": float(sum(numbers)), "y": float(numbers[0] - len(numbers) + order.index("q"))}


def searcher(**settings):
    settings = {"objectives": GOALS, "algorithm_options": {"population": 8}, "seed": 3, "lag": 3, **settings}
    return CoevoSearch(SPACE, **settings)


def drive(search, trials, first=0, backwards=False):
    """Tune's way with a searcher: as many trials at once as it allows; which of them ends first is the caller's."""
    running, tried, number = [], [], first
    while number < trials or running:
        while number < trials and (config := search.suggest(f"t{number}")) is not None:
            assert config != search.FINISHED
            running.append((f"t{number}", config))
            tried.append(config["design"])
            number += 1
        trial, config = running.pop(-1 if backwards else 0)
        search.on_trial_result(trial, {"x": -1.0})
        search.on_trial_complete(trial, {**score(value_of(SPACE, config)), "training_iteration": 4})
    return tried


def test_the_designs_of_a_study_whoever_ends_first():
    with Study(SPACE, score, objectives=GOALS, algorithm_options={"population": 8}, seed=3, lag=3) as study:
        study.run(trials=40)
        expected = [json.loads(json.dumps(dict(trial.design.answers))) for trial in study.trials()]
        front = {trial.design.key for trial in study.front().trials}
    search = searcher()
    assert drive(search, 40) == expected
    assert {trial.design.key for trial in search.front().trials} == front
    assert drive(searcher(), 40, backwards=True) == expected


def test_at_most_lag_and_one_run_at_once():
    search = searcher(lag=2)
    configs = [search.suggest(f"t{i}") for i in range(4)]
    assert configs[3] is None and None not in configs[:3]
    search.on_trial_complete("t1", score(value_of(SPACE, configs[1])))
    assert search.suggest("t3") is None, "design 3 needs the outcome of design 0"
    search.on_trial_complete("t0", None, error=True)
    assert search.suggest("t3") is not None


def test_trials_that_fail_are_told_as_failed():
    search = searcher(lag=9)
    results = [None, {"x": 1.0}, {"x": float("nan"), "y": 1.0}, {"x": "high", "y": 1.0}, {"x": 1.0, "y": 2.0}]
    for number, result in enumerate(results):
        assert search.suggest(f"t{number}")
        search.on_trial_complete(f"t{number}", result, error=result is None)
    search.on_trial_complete("t4", {"x": 9.0, "y": 9.0})  # ran again: the first outcome stands
    search.on_trial_complete("stranger", {"x": 9.0, "y": 9.0})
    told = [event for event in search.get_state()["history"] if "told" in event]
    assert [event.get("failure") for event in told] == [
        "the trial ended in an error",
        "metric 'y' is missing (there are: x)",
        "metric 'x' is NaN",
        "metric 'x' is of type str, expected a number",
        None,
    ]
    assert [trial.outcome.metrics for trial in search.front().trials] == [{"x": 1.0, "y": 2.0}]


def test_a_space_that_is_used_up_ends_the_search():
    search = CoevoSearch(Space("s/v1", lambda pick: pick.integer("a", 0, 2)), {"x": "max"})
    tried = [search.suggest(f"t{i}") for i in range(5)]
    assert sorted(config["design"]["a"] for config in tried[:3]) == [0, 1, 2]
    assert tried[3:] == [search.FINISHED] * 2


@pytest.mark.parametrize("how", ["file", "pickle", "copy"])
def test_a_restored_search_goes_on_with_the_same_designs(tmp_path, how):
    expected = drive(searcher(), 40)
    search = searcher()
    assert drive(search, 20) == expected[:20]
    late = search.suggest("t20")  # runs when its driver dies, and is told to the restored one
    if how == "file":
        search.save_to_dir(str(tmp_path), "now")
        (saved,) = tmp_path.iterdir()
        assert saved.name == "searcher-state-now.json" and json.loads(saved.read_text())["space"] == "t/v1"
        restored = searcher()
        restored.restore_from_dir(str(tmp_path))
    else:
        restored = copy.deepcopy(search) if how == "copy" else wire.load(wire.unframed(wire.dump(search)))
    restored.on_trial_complete("t20", score(value_of(SPACE, late)))
    assert [*expected[:20], late["design"], *drive(restored, 40, first=21)] == expected


def test_a_saved_search_of_something_else_is_refused(tmp_path):
    search = searcher()
    drive(search, 12)
    search.save(str(tmp_path / "state"))
    with pytest.raises(CorruptRun, match="the space, the algorithm, its options, the seed or the lag has changed"):
        searcher(seed=4).restore(str(tmp_path / "state"))
    with pytest.raises(InputError, match=r"the saved search is over 't/v1' for .* restore it with the same space"):
        searcher(objectives={"x": "max"}).restore(str(tmp_path / "state"))
    (tmp_path / "state").write_text((tmp_path / "state").read_text()[:-9])
    with pytest.raises(RunFolderError, match="no saved search can be read from"):
        searcher().restore(str(tmp_path / "state"))


def test_metric_and_mode_of_tune():
    search = CoevoSearch(SPACE, algorithm=RandomSearch, lag=0)
    with pytest.raises(ConfigError, match="CoevoSearch has no objective"):
        search.suggest("t0")
    assert search.set_search_properties("x", "max", {}) is False
    assert search.suggest("t0") and (search.metric, search.mode) == ("x", "max")
    both = searcher()
    assert both.set_search_properties("z", "min", {}) is False
    assert (both.metric, both.mode) == (["x", "y"], ["max", "min"])


def test_bad_input():
    with pytest.raises(ConfigError, match="algorithm: expected a name or a subclass of Algorithm, got <"):
        searcher(algorithm=RandomSearch())
    with pytest.raises(InputError, match="unknown algorithm 'nsga'"):
        searcher(algorithm="nsga")
    with pytest.raises(InputError, match=r"config\['design'\]: expected the answers of a design"):
        value_of(SPACE, {"lr": 0.1})
    with pytest.raises(SpaceError):
        value_of(SPACE, {"design": {"depth": 9}})


@pytest.mark.slow
def test_the_example_runs_and_is_resumed(tmp_path):
    command = [sys.executable, str(ROOT / "experiments" / "ray_tune.py"), "--folder", str(tmp_path), "--trials", "6"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("RAY_ADDRESS", None)
    for _ in range(2):  # the second time there is nothing left to try
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        assert '{"trials": 6, "best": 0.86' in done.stdout
    assert len(list((tmp_path / "coevo").glob("train_*"))) == 6
