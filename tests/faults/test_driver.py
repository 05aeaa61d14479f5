"""The same seed gives the same designs: whatever the workers, whoever finishes first, however often the driver dies."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coevo import Space, Study
from coevo.search.run import Run

TRIALS = 160
DRIVER = """
import hashlib, random, sys, time
from coevo import Space, Study

def build(pick):
    depth = pick.integer("depth", 2, 5)
    widths = [pick.one(f"width{i}", (8, 16, 32, 64)) for i in range(depth)]
    return widths, pick.order("layout", range(7), 3), pick.real("rate", 0.001, 1.0, log=True)

def evaluate(value):
    time.sleep(random.SystemRandom().uniform(0, NAP_S))  # completion comes shuffled
    widths, layout, rate = value
    accuracy = sum(widths) ** 0.5 - abs(rate - 0.1) * layout[0]
    return {"accuracy": accuracy, "cost": sum(w * w for w in widths) + layout[1]}

def told(event):
    if type(event).__name__ == "Told":
        sys.stdout.write(f"{event.trial.index} {event.trial.design.key}\\n")
        sys.stdout.flush()

with Study(Space("deep/v1", build), evaluate, objectives={"accuracy": "max", "cost": "min"}, seed=3, lag=15,
           algorithm=ALGORITHM, algorithm_options={"population": 20, **OPTIONS}, runner=RUNNER, workers=WORKERS,
           folder=sys.argv[1]) as study:
    study.listen(told)
    study.run(trials=TRIALS)
"""


def script(algorithm="nsga2", runner="local", workers=1, nap_s=0.004):
    options = {"sample": 5} if algorithm == "regularized_evolution" else {}
    text = DRIVER
    values = {
        "NAP_S": nap_s,
        "ALGORITHM": algorithm,
        "OPTIONS": options,
        "RUNNER": runner,
        "WORKERS": workers,
        "TRIALS": TRIALS,
    }
    for name, value in values.items():
        text = text.replace(name, repr(value))
    return text


def start(folder, text):
    return subprocess.Popen(
        [sys.executable, "-c", text, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def designs(folder):
    """(index, key, parents) of all designs in the order of asking."""
    return [(row.trial, row.key, row.content) for row in Run.open(folder).rows() if row.kind == "asked"]


@pytest.fixture(scope="module", params=["nsga2", "regularized_evolution"])
def reference(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "run"
    process = start(folder, script(request.param, runner="inline", nap_s=0))
    process.communicate(timeout=120)
    assert process.returncode == 0
    found = designs(folder)
    assert len(found) == TRIALS and len({key for _, key, _ in found}) == TRIALS
    return request.param, found


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_and_the_order_of_completion_change_nothing(reference, workers, tmp_path):
    algorithm, expected = reference
    process = start(tmp_path / "run", script(algorithm, workers=workers))
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert designs(tmp_path / "run") == expected
    if workers == 4:
        told = [row.trial for row in Run.open(tmp_path / "run").rows() if row.kind == "told"]
        assert told != sorted(told), "completion was not shuffled, so this showed nothing"


def test_a_driver_killed_25_times_loses_nothing_and_asks_the_same(reference, tmp_path):
    algorithm, expected = reference
    folder, rng = tmp_path / "run", random.Random(algorithm)
    acknowledged: set[str] = set()
    kills = 0
    text = script(algorithm, workers=2, nap_s=0.03)
    while kills < 25:
        process = start(folder, text)
        lines: list[str] = []
        # Let it tell a few trials, then kill it at a moment of its own, wherever it is: starting up included.
        if rng.random() < 0.8:
            for _ in range(rng.randint(1, 6)):
                line = process.stdout.readline()
                if not line:
                    break
                lines.append(line)
        time.sleep(rng.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=30)
        acknowledged |= {line for line in [*lines, *rest.splitlines(keepends=True)] if line.endswith("\n")}
        kills += 1
        if (folder / "study.sqlite").exists():
            stored = {f"{trial.index} {trial.design.key}\n" for trial in Run.open(folder).trials()}
            assert acknowledged <= stored, "a told trial was lost"
    process = start(folder, text)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert designs(folder) == expected
    told = [row.trial for row in Run.open(folder).rows() if row.kind == "told"]
    assert sorted(told) == list(range(TRIALS)), "every design is told exactly once"
    assert len(acknowledged) > 20


def test_no_worker_outlives_a_killed_driver(tmp_path):
    process = start(tmp_path / "run", script(workers=2, nap_s=5.0))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and len(children_of(process.pid)) < 2:
        time.sleep(0.05)
    workers = children_of(process.pid)
    assert len(workers) == 2
    process.kill()
    process.communicate(timeout=10)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(alive(pid) for pid in workers):
        time.sleep(0.05)
    assert not any(alive(pid) for pid in workers)


def test_shuffled_tells_by_hand_change_nothing():
    space = Space("line/v1", lambda pick: [pick.integer(f"x{i}", 0, 9) for i in range(4)])

    def keys(order_seed):
        study = Study(space, objectives={"y": "max"}, algorithm_options={"population": 10}, lag=15, runner="inline")
        rng, open_, found = random.Random(order_seed), [], []
        while len(found) < 120:
            try:
                asked = study.ask()
                found.append(asked.key)
                open_.append(asked)
            except Exception:
                done = open_.pop(rng.randrange(len(open_)) if order_seed else 0)
                study.tell(done.index, {"y": sum(done.value)})
        return found

    assert keys(0) == keys(1) == keys(2)


def children_of(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
