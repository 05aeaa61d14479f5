"""Signals at a real process: the run ends in order, keeps what it paid for, and goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coevo.search.run import Run

PROBLEMS = Path(__file__).parent / "problems"
ROOT = Path(__file__).resolve().parents[2]

SLOW = """\
problem = "toy_problems:problem"
[options]
sleep_s = 0.04
[search]
population = 10
trials = 40
[run]
workers = 2
"""


def start(*words: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(PROBLEMS), str(ROOT)))}
    return subprocess.Popen(
        [sys.executable, "-m", "coevo", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


def wait_for_trials(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if Run.open(folder).status["told"] >= count:
                return
        except Exception:  # the folder is not there yet, or is being made
            pass
        time.sleep(0.02)
    raise AssertionError(f"{folder} did not come to {count} trials")


def children(process: int) -> list[int]:
    """The process's children, as Linux lists them."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def alive(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_in_order_and_resume_completes(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "slow.toml").write_text(SLOW)
    process = start("run", "slow.toml", "--out", "here", "--json")
    wait_for_trials(tmp_path / "here", 5)
    workers = children(process.pid)
    assert workers
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert "interrupted;" in err and "go on with: coevo resume here" in err and "Traceback" not in err
    assert json.loads(out)["resume"] == "coevo resume here"
    deadline = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))

    kept = {trial.index: trial.design.key for trial in Run.open("here").trials()}
    assert 5 <= len(kept) < 40 and Run.open("here").status["finished"] == "interrupted"
    again = start("resume", "here", "--json")
    out, err = again.communicate(timeout=100)
    assert again.returncode == 0, err
    found = json.loads(out)
    assert found["status"]["told"] == 40 and Path(found["report"]).is_file() and found["export"] == "here/export"
    keys = {trial.index: trial.design.key for trial in Run.open("here").trials()}
    assert kept.items() <= keys.items() and len(set(keys.values())) == 40


def test_the_help_is_quick_because_it_imports_little() -> None:
    code = """
import sys
from coevo.cli import main
sys.argv = ["coevo", "--help"]
try:
    main()
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "Exit codes" in result.stdout
    loaded = {name.partition(".")[0] for name in result.stderr.split()}
    assert not loaded & {"numpy", "pydantic", "plotly", "torch", "qiskit", "sqlite3", "scipy", "matplotlib"}


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(SLOW.replace("0.04", "0.0").replace("workers = 2", 'runner = "inline"'))
    assert start("run", "toy.toml", "--out", "here").wait(60) == 0
    process = start("front", "here", "--json")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()  # as `head` does
    assert "Traceback" not in process.stderr.read()
    process.wait(30)
