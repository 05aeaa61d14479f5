"""`coevo watch`: a search of another process, followed from its run folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from coevo.cli.watching import Follower
from coevo.errors import RunFolderError
from coevo.search import lock
from coevo.search.run import Run

Coevo = Callable[..., Result]


def test_a_run_that_ended_is_shown_as_it_ended(coevo: Coevo, ladder: Path) -> None:
    result = coevo("watch", ladder)
    assert result.exit_code == 0 and result.stdout == ""
    status = Run.open(ladder).status
    assert f"search: {status['told']} of 120 trials" in result.stderr and "stages: proxy 120 (" in result.stderr
    found = json.loads(coevo("watch", ladder, "--json").stdout)
    assert found["finished"] == "trials" and found["driver"] is None and found["told"] == 120
    assert found["front"] == len(Run.open(ladder).front()) and found["share"] == 1
    assert found["trials_per_s"] is None
    assert [stage["name"] for stage in found["stages"]] == ["proxy", "short", "full"]
    assert found["stages"][0]["evaluated"] == 120
    assert found["cost_s"] == pytest.approx(status["cost_s"], abs=1e-4)
    assert {entry["metric"] for entry in found["agreements"]} == {"accuracy", "latency_ms"}


def test_a_tally_that_was_followed_is_that_of_the_trials(ladder: Path) -> None:
    run = Run.open(ladder)
    follower = Follower(run)
    follower.poll(follower.tally.take)
    trials = list(run.trials())
    for place, stage in enumerate(run.stages):
        results = [result for trial in trials for result in trial.reached if result.stage == stage]
        rung = follower.tally.rungs.rungs[place]
        assert rung.evaluated == len(results) > 0
        assert rung.cost_s == pytest.approx(sum(result.cost_s for result in results))
        assert rung.failed == sum(trial.stage == stage and not trial.outcome.ok for trial in trials)
    before = follower.tally.told
    follower.poll(follower.tally.take)  # nothing new
    assert follower.tally.told == before == len(trials)


def told(folder: Path) -> int:
    try:
        return int(Run.open(folder).status["told"])
    except RunFolderError:  # it is being made
        return 0


@pytest.fixture
def driver(tmp_path: Path) -> object:
    """A search of 10 designs a second in a process of its own."""
    (tmp_path / "slow.toml").write_text(
        'problem = "toy_problems:problem"\n[options]\nsleep_s = 0.1\n[search]\ntrials = 40\n[run]\nrunner = "inline"\n'
    )
    words = [sys.executable, "-m", "coevo", "run", "slow.toml", "--out", "slow"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(words, cwd=tmp_path, env=os.environ, **quiet)
    end = time.monotonic() + 60
    while told(tmp_path / "slow") < 2:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def test_a_search_that_runs_is_followed_to_its_end(coevo: Coevo, driver: subprocess.Popen[bytes]) -> None:
    found = json.loads(coevo("watch", "slow", "--json").stdout)
    assert found["finished"] is None and f"process {driver.pid}" in found["driver"]
    assert 0 < found["told"] < 40 and 0 < found["share"] < 1 and found["trials_per_s"] > 0 and found["left_s"] > 0
    result = coevo("watch", "slow")
    assert result.exit_code == 0
    assert "40 of 40 trials" in result.stderr.splitlines()[-1]


def test_a_driver_that_died_is_said(coevo: Coevo, driver: subprocess.Popen[bytes]) -> None:
    driver.kill()
    driver.wait()
    result = coevo("watch", "slow")
    assert result.exit_code == 4
    assert "nobody drives this run" in result.stderr and "coevo resume slow" in result.stderr
    assert coevo("resume", "slow", "--set", "search.trials=12").exit_code == 0
    follower = Follower(Run.open("slow"))
    follower.poll(follower.tally.take)
    pause_s = 1.0
    spent = follower.tally.earlier_s + follower.tally.search_progress().seconds
    assert spent <= Run.open("slow").status["seconds"] + pause_s and follower.finished == "trials"


def test_who_holds_a_folder(tmp_path: Path) -> None:
    assert lock.holder(tmp_path) is None
    held = lock.DriverLock(tmp_path)
    assert f"process {os.getpid()}" in str(lock.holder(tmp_path))
    held.release()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    content = json.loads((tmp_path / lock.FILE).read_text())
    (tmp_path / lock.FILE).write_text(json.dumps({**content, "pid": dead.pid}))
    assert lock.holder(tmp_path) is None
    (tmp_path / lock.FILE).write_text(json.dumps({**content, "host": "another", "pid": dead.pid}))
    assert "on host another" in str(lock.holder(tmp_path))
