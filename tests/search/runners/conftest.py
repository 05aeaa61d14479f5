"""Evaluators that do what their candidates say, and the driving of a runner from submit to the last result."""

import time

import pytest

from coevo.search.evaluator import Candidate, Evaluator, Outcome
from coevo.search.runners import EvaluatorSource, StageSetup, Task, WorkerSetup


def _candidates(values, scratch, first=0):
    return tuple(Candidate(first + i, f"k{first + i}", value, i, scratch) for i, value in enumerate(values))


@pytest.fixture
def drive(tmp_path):
    """drive(runner, [values of a batch, ...]) -> the results of each task, in the order of the tasks."""

    def run(runner, batches, within_s=30.0):
        tasks, first = [], 0
        for number, values in enumerate(batches):
            tasks.append(Task(number, _candidates(values, tmp_path, first)))
            first += len(values)
        waiting, results, until = list(tasks), {}, time.monotonic() + within_s
        while len(results) < len(tasks):
            while waiting and runner.room() > 0:
                runner.submit(waiting.pop(0))
            for task, dones in runner.wait(1.0):
                assert [done.index for done in dones] == [c.index for c in task.candidates]
                results[task.id] = list(dones)
            assert time.monotonic() < until, f"no more than {sorted(results)} within {within_s} s"
        assert runner.wait(0.0) == [], "a result came twice"
        return [results[task.id] for task in tasks]

    return run


@pytest.fixture
def setup_of():
    """setup_of(evaluator or a source's keywords) -> WorkerSetup."""

    def make(instance=None, timeout_s=None, **more):
        source = {name: more.pop(name) for name in ("problem", "options", "stage", "attribute") if name in more}
        return WorkerSetup((StageSetup(EvaluatorSource(instance=instance, **source), timeout_s),), **more)

    return make


@pytest.fixture
def obedient():
    """An evaluator whose candidates say what it does. Its class is local, so it travels by value."""

    class Obedient(Evaluator):
        id = "obedient"

        def evaluate(self, candidates, context):
            import os
            import threading

            outcomes = []
            for candidate in candidates:
                what, x = candidate.value
                if what == "raise":
                    raise ValueError(f"no  {x}\nat all")
                if what == "mute":
                    raise type("Mute", (Exception,), {"__str__": lambda self: 1 / 0})
                if what == "exit":
                    raise SystemExit(3)
                if what == "none":
                    return None
                if what == "more":
                    return [Outcome({"x": 1.0})] * (len(candidates) + x)
                if what == "sleep":
                    time.sleep(x)
                if what == "print":
                    print("spam " * x)
                left = context.seconds_left()
                special = {
                    "mapping": {"x": x},
                    "number": 3.0,
                    "no metrics": Outcome(metrics=None),
                    "no artifacts": Outcome(artifacts=[1]),
                    "failure": Outcome(failure=KeyError("why")),
                    "lock": Outcome({"x": threading.Lock()}),
                    "pid": Outcome({"x": os.getpid()}),
                    "left": Outcome({"x": -1.0 if left is None else left}),
                    "environment": Outcome(
                        {name: os.environ.get(name) for name in (x if what == "environment" else ())}
                    ),
                    "artifact": Outcome({"x": 1.0}, artifacts={"log": candidate.scratch}),
                }
                outcomes.append(special.get(what) or Outcome({"x": x}))
            return outcomes

    return Obedient()
