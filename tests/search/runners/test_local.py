"""The local runner where nothing goes wrong: how evaluators get to the workers, order, logs and surroundings."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import coevo
from coevo import Space, Study
from coevo.errors import ConfigError, EvaluatorError, UnknownName
from coevo.search import runners
from coevo.search.evaluator import Candidate, Evaluator, FunctionEvaluator, Outcome, Resources
from coevo.search.runners import InlineRunner, LocalRunner, Task, make_runner

SOURCE = Path(coevo.__file__).parents[1]


@pytest.fixture
def runner():
    runner = LocalRunner(2)
    yield runner
    runner.close(kill=True)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """package(name, source): a user's module, importable in this process and, by its path alone, in workers."""

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))

    monkeypatch.syspath_prepend(str(tmp_path))
    yield write
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def script(folder, source, *arguments):
    """Run a user's script as a user does."""
    (folder / "script.py").write_text(textwrap.dedent(source))
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, str(folder / "script.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done


def test_a_script_needs_no_guard_and_its_own_classes_travel(tmp_path):
    done = script(
        tmp_path,
        """
        import dataclasses
        from pathlib import Path
        from coevo.search.evaluator import Candidate, FunctionEvaluator
        from coevo.search.runners import EvaluatorSource, LocalRunner, StageSetup, Task, WorkerSetup

        SCALE = 3

        @dataclasses.dataclass
        class Design:
            x: int

        def helper(design):
            return SCALE * design.x

        def judge(design):
            assert type(design) is Design
            return {"x": helper(design)}

        runner = LocalRunner(2)
        runner.start(WorkerSetup((StageSetup(EvaluatorSource(instance=FunctionEvaluator(judge, {"x": ""}))),)))
        for i in range(3):
            runner.submit(Task(i, (Candidate(i, str(i), Design(i), 0, Path(".")),)))
        dones = {}
        while len(dones) < 3:
            dones |= {task.id: done for task, (done,) in runner.wait()}
        print([dones[i].outcome.metrics["x"] for i in range(3)], [dones[i].outcome.failure for i in range(3)])
        # No close: the end of the script is enough.
        """,
    )
    assert done.stdout.strip() == "[0, 3, 6] [None, None, None]"
    assert done.stderr == ""


def test_a_closure_travels(runner, setup_of, drive):
    factor = 4
    runner.start(setup_of(FunctionEvaluator(lambda value: {"x": factor * value}, {"x": ""})))
    ((done,),) = drive(runner, [[2]])
    assert done.outcome.metrics == {"x": 8}


ATTRIBUTES = """
    from coevo.search.evaluator import Evaluator, Outcome

    class Plus(Evaluator):
        id = "plus"
        def __init__(self, by=1):
            self.by = by
        def evaluate(self, candidates, context):
            return [Outcome({"x": c.value + self.by}) for c in candidates]

    class shelf:
        ten = Plus(10)

    def make():
        return Plus(100)

    def plain(value):
        return {"x": value + 1000}

    def nothing():
        return 3
"""


@pytest.mark.parametrize(
    ("attribute", "x"), [("mine:Plus", 6), ("mine:shelf.ten", 15), ("mine:make", 105), ("mine:plain", 1005)]
)
def test_an_evaluator_by_attribute(runner, setup_of, drive, package, attribute, x):
    package("mine", ATTRIBUTES)
    runner.start(setup_of(attribute=attribute))
    ((done,),) = drive(runner, [[5]])
    assert done.outcome.metrics == {"x": x}


def test_an_instance_of_a_users_module_travels_by_name(runner, setup_of, drive, package):
    package("mine2", ATTRIBUTES)
    import mine2

    runner.start(setup_of(mine2.Plus(2)))
    ((done,),) = drive(runner, [[5]])
    assert done.outcome.metrics == {"x": 7}


def test_an_evaluator_by_problem_name(runner, setup_of, drive, package, tmp_path):
    package(
        "third",
        """
        from coevo.search.evaluator import FunctionEvaluator
        from coevo.search.problem import Problem, Stage
        from coevo.search.space import Space

        def problem(factor=2):
            stages = [Stage(f"times{k}", FunctionEvaluator(lambda value, k=k: {"x": k * factor * value}, {"x": ""}))
                      for k in (1, 10)]
            return Problem("third", Space("third/v1", lambda pick: pick.integer("i", 0, 9)), stages, {"x": "max"})
        """,
    )
    info = tmp_path / "third-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[coevo.spaces]\nthird = third:problem\n")
    runner.start(setup_of(problem="third", options={"factor": 3}, stage=1))
    ((done,),) = drive(runner, [[2]])
    assert done.outcome.metrics == {"x": 60}
    runner.close()
    with pytest.raises(EvaluatorError, match="the evaluator of problem 'third', stage 2: the problem has 2 stages"):
        runner.start(setup_of(problem="third", stage=2))
    with pytest.raises(UnknownName, match=r"unknown option 'facto' in problem 'third'\. Did you mean 'factor'"):
        runner.start(setup_of(problem="third", options={"facto": 3}))
    with pytest.raises(UnknownName, match="unknown problem 'fourth'"):
        runner.start(setup_of(problem="fourth"))


def test_what_is_no_evaluator_is_refused(setup_of, package):
    package("mine3", ATTRIBUTES)
    runner = LocalRunner()
    with pytest.raises(ConfigError, match="the evaluator 'mine3:nothing': expected an Evaluator or a function"):
        runner.start(setup_of(attribute="mine3:nothing"))
    with pytest.raises(UnknownName, match=r"unknown attribute 'mak' in 'mine3:mak'\. Did you mean 'make'"):
        runner.start(setup_of(attribute="mine3:mak"))
    with pytest.raises(EvaluatorError, match="needs one of instance, problem or attribute"):
        runner.start(setup_of())


def test_an_evaluator_that_cannot_travel_is_refused_before_a_worker_starts(setup_of):
    evaluator = FunctionEvaluator(len, {})
    evaluator.lock = threading.Lock()
    runner = LocalRunner()
    with pytest.raises(EvaluatorError, match=r"cannot travel to a worker process: .*lock.*setup\(\)"):
        runner.start(setup_of(evaluator))


def test_results_are_those_of_their_tasks_whatever_order_they_end_in(runner, setup_of, obedient, drive):
    runner.start(setup_of(obedient))
    batches = [[("sleep", 0.02 * (i % 3)), ("", i), ("", -i)] for i in range(30)]
    for i, dones in enumerate(drive(runner, batches)):
        assert [done.outcome.metrics["x"] for done in dones] == [0.02 * (i % 3), i, -i]


def test_room_keeps_each_worker_busy_with_one_task_waiting(runner, setup_of, obedient):
    assert runner.room() == 0
    runner.start(setup_of(obedient))
    assert runner.wait() == [], "nothing was submitted, so there is nothing to wait for"
    rooms = []
    for i in range(4):
        rooms.append(runner.room())
        runner.submit(Task(i, (Candidate(i, "k", ("sleep", 0.1), 0, Path(".")),)))
    assert [*rooms, runner.room()] == [4, 3, 2, 1, 0]
    begun = time.monotonic()
    assert runner.wait(0.01) == []
    assert time.monotonic() - begun < 0.09
    assert len(runner.wait()) >= 1
    assert runner.room() >= 1


def test_both_workers_work(setup_of, obedient, drive):
    runner = LocalRunner(2)
    runner.start(setup_of(obedient))
    pids = set()
    until = time.monotonic() + 20
    while len(pids) < 2 and time.monotonic() < until:  # the second may still be starting at first
        pids |= {done.outcome.metrics["x"] for (done, _) in drive(runner, [[("pid", 0), ("sleep", 0.02)]] * 4)}
    runner.close()
    assert len(pids) == 2 and os.getpid() not in pids


def test_the_surroundings_of_a_worker_are_fixed(setup_of, obedient, drive, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "13")
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
    runner = LocalRunner()
    for cpus in (1, 3):
        runner.start(setup_of(obedient, cpus=cpus))
        ((done,),) = drive(runner, [[("environment", (*names, "PYTHONHASHSEED"))]])
        assert done.outcome.metrics == {**dict.fromkeys(names, str(cpus)), "PYTHONHASHSEED": "0"}
        runner.close()


def test_workers_import_as_the_driver_does(setup_of, drive, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(f"{tmp_path}/with:colon")
    evaluator = FunctionEvaluator(lambda value: {"path": list(sys.path)}, {})
    runner = LocalRunner()
    runner.start(setup_of(evaluator))
    ((done,),) = drive(runner, [[0]])
    runner.close()
    assert done.outcome.metrics["path"] == [entry or os.getcwd() for entry in sys.path]


def test_context_reaches_the_evaluator(runner, setup_of, drive, tmp_path):
    class Reader(Evaluator):
        def setup(self, context):
            self.text = context.artifact("net").read_text()

        def evaluate(self, candidates, context):
            return [Outcome({"text": self.text, "device": context.device, "seed": context.seed}) for _ in candidates]

    (tmp_path / "net").write_text("weights")
    runner.start(setup_of(Reader(), artifacts={"net": tmp_path / "net"}, device="cuda:1", seed=7))
    ((done,),) = drive(runner, [[0]])
    assert done.outcome.metrics == {"text": "weights", "device": "cuda:1", "seed": 7}


def test_output_and_tracebacks_go_to_the_log(runner, setup_of, obedient, drive, tmp_path, capfd):
    runner.start(setup_of(obedient, logs=tmp_path / "logs"))
    drive(runner, [[("print", 3)], [("raise", 1)]] * 2)
    runner.close()
    logs = "".join(path.read_text() for path in (tmp_path / "logs").glob("worker-*.log"))
    assert "spam spam spam" in logs
    assert "Traceback" in logs and "in evaluate" in logs
    assert capfd.readouterr() == ("", "")


def test_without_a_log_output_is_the_drivers_and_no_traceback_is_shown(runner, setup_of, obedient, drive, capfd):
    runner.start(setup_of(obedient))
    drive(runner, [[("print", 1)], [("raise", 1)]])
    runner.close()
    assert capfd.readouterr() == ("spam \n", "")


def test_large_designs_and_large_outcomes_pass(runner, setup_of, drive):
    runner.start(setup_of(FunctionEvaluator(lambda value: {"x": 2 * value}, {})))
    blobs = [bytes([i]) * 3_000_000 for i in range(6)]
    for blob, (done,) in zip(blobs, drive(runner, [[blob] for blob in blobs]), strict=True):
        assert done.outcome.metrics["x"] == 2 * blob


def test_what_cannot_travel_fails_its_candidate_alone(runner, setup_of, obedient, drive, package):
    package("elsewhere", "class Thing: pass")
    import elsewhere

    runner.start(setup_of(obedient))
    lock = threading.Lock()
    (good, bad), (one, other) = drive(runner, [[("", 1), ("", lock)], [("lock", 0), ("", 2)]])
    assert good.outcome.metrics == {"x": 1} and good.how == "retried"
    assert bad.outcome.failure.startswith("the design cannot be sent to a worker process: TypeError: cannot pickle")
    assert one.outcome.failure.startswith("the outcome cannot be sent to the driver: TypeError: cannot pickle")
    assert other.outcome.metrics == {"x": 2} and other.how == ""
    runner.close()
    runner.start(setup_of(FunctionEvaluator(lambda value: {"x": value}, {})))
    thing = elsewhere.Thing()
    Path(elsewhere.__file__).unlink()
    ((done,),) = drive(runner, [[thing]])
    assert done.outcome.failure == (
        "the design cannot be loaded in a worker process: ModuleNotFoundError: No module named 'elsewhere'"
    )


def test_an_outcome_that_only_the_worker_understands_fails_its_candidate(runner, setup_of, drive, tmp_path):
    def judge(value):
        import importlib
        import sys

        (tmp_path / "hidden.py").write_text("class Thing: pass")
        sys.path.insert(0, str(tmp_path))
        return {"x": importlib.import_module("hidden").Thing() if value else 0}

    runner.start(setup_of(FunctionEvaluator(judge, {})))
    ((fine, hidden),) = drive(runner, [[0, 1]])
    assert fine.outcome.metrics == {"x": 0}
    assert (
        hidden.outcome.failure
        == "the outcome cannot be read by the driver: ModuleNotFoundError: No module named 'hidden'"
    )


def test_close_may_be_called_twice_and_the_runner_started_again(setup_of, obedient, drive):
    runner = LocalRunner()
    runner.close()
    for _ in range(2):
        runner.start(setup_of(obedient))
        with pytest.raises(EvaluatorError, match="started already"):
            runner.start(setup_of(obedient))
        drive(runner, [[("", 1)]])
        runner.close()
        runner.close()
    assert runner.room() == 0
    with pytest.raises(EvaluatorError, match="not started"):
        runner.submit(Task(0, ()))


def test_make_runner(setup_of):
    assert (make_runner("local", 3).name, make_runner("local", 3).workers) == ("local", 3)
    assert (make_runner("inline").name, make_runner("inline").workers) == ("inline", 1)
    mine = InlineRunner()
    assert make_runner(mine, 5) is mine
    with pytest.raises(
        UnknownName, match=r"unknown runner 'locl'\. Did you mean 'local'\? Offered: inline, local, ray\."
    ):
        make_runner("locl")
    with pytest.raises(UnknownName, match="unknown runner 'local:4'"):
        make_runner("local:4")
    with pytest.raises(ConfigError, match="expected 'inline', 'local', 'ray' or a Runner, got 3"):
        make_runner(3)
    for workers in (0, -1, 1.5, True, "2"):
        with pytest.raises(ConfigError, match="workers: expected a whole number from 1 on"):
            make_runner("local", workers)
    with pytest.raises(ConfigError, match="the inline runner has 1 worker, got workers=2"):
        make_runner("inline", 2)
    with pytest.raises(AttributeError):
        _ = runners.Nobody


def test_importing_the_runners_brings_no_cloudpickle():
    code = "import sys, coevo.search.runners; print('cloudpickle' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SOURCE)
    assert done.stdout.strip() == "False"


def test_a_worker_is_held_to_its_memory():
    class Greedy(Evaluator):
        id, metrics = "greedy", {"y": ""}
        resources = Resources(memory_gb=1.0)

        def evaluate(self, candidates, context):
            return [Outcome({"y": float(len(bytearray(c.value * 2**20)))}) for c in candidates]

    space = Space("sizes/v1", lambda pick: pick.one("mib", (1, 3000)))
    with Study(space, Greedy(), objectives={"y": "max"}, algorithm="exhaustive") as study:
        study.run(trials=2)
        small, large = study.trials()
    assert small.outcome.metrics == {"y": 2**20}
    assert large.outcome.failure.startswith("MemoryError")
