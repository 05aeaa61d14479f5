"""Inner results when the driver is killed: what was told stays, the rest is computed again alike."""

import os
import random
import signal
import subprocess
import sys
import time

from coevo.search.run import Run

TRIALS = 80
DRIVER = """
import random, sys, time
from coevo import Evaluator, Outcome, Space, Study

class Mapper(Evaluator):
    id, metrics = "mapper", {"cost": "", "size": ""}

    def evaluate(self, candidates, context):
        time.sleep(random.SystemRandom().uniform(0, 0.01))
        return [
            Outcome({"cost": sum(context.memo([size, x], best) for x in layers), "size": size})
            for size, layers in (candidate.value for candidate in candidates)
        ]

def best(seed):
    return random.Random(seed).random()

def build(pick):
    return pick.integer("size", 1, 6), [pick.integer(f"layer{i}", 1, 6) for i in range(5)]

with Study(Space("nested/v1", build), Mapper(), objectives={"cost": "min", "size": "min"}, seed=3,
           algorithm_options={"population": 12}, runner=sys.argv[2], workers=int(sys.argv[3]),
           memo=sys.argv[4] == "yes", folder=sys.argv[1]) as study:
    study.run(trials=TRIALS)
""".replace("TRIALS", str(TRIALS))


def start(folder, runner="local", workers=2, memo="yes"):
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder), runner, str(workers), memo],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def trials(folder):
    return [(trial.design.key, trial.outcome.metrics) for trial in Run.open(folder).trials()]


def told(folder):
    try:
        return sum(row.kind == "told" for row in Run.open(folder).rows())
    except Exception:  # not there yet
        return 0


def test_a_killed_driver_and_its_inner_results(tmp_path):
    assert start(tmp_path / "reference", "inline", 1, "no").wait(timeout=120) == 0
    reference = trials(tmp_path / "reference")
    assert len(reference) == TRIALS and not list(Run.open(tmp_path / "reference").memo())

    folder, kills, before = tmp_path / "run", 0, 0
    while told(folder) < TRIALS:
        process = start(folder)
        goal, until = told(folder) + random.Random(kills).randint(8, 25), time.monotonic() + 60
        while process.poll() is None and told(folder) < goal and time.monotonic() < until:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait(timeout=60)
        results = [tuple(result.key) for result in Run.open(folder).memo()]
        assert before <= len(results) == len(set(results)), "an inner result was lost, or is stored twice"
        before = len(results)
        assert kills < 30
    assert kills >= 2
    assert trials(folder) == reference
    asked = {(row[0], x) for row in map(values, Run.open(folder).trials()) for x in row[1:]}
    assert asked <= set(results), "a told outcome whose inner results are not stored"


def values(trial):
    return list(trial.design.mapping.values())
