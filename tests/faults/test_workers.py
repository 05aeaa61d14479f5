"""Workers that hang, die or are left behind: real processes, really killed."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import coevo
from coevo.errors import EvaluatorError
from coevo.search.evaluator import Candidate, Evaluator, FunctionEvaluator
from coevo.search.runners import EvaluatorSource, LocalRunner, StageSetup, Task, WorkerSetup

SOURCE = Path(coevo.__file__).parents[1]
PROC = Path("/proc/self/fd")

pytestmark = pytest.mark.skipif(not PROC.exists(), reason="looks processes up in /proc")


@pytest.fixture
def runner():
    runner = LocalRunner(2)
    yield runner
    runner.close(kill=True)


def setup_of(judge, timeout_s=None, logs=None):
    evaluator = judge if isinstance(judge, Evaluator) else FunctionEvaluator(judge, {"x": ""})
    return WorkerSetup((StageSetup(EvaluatorSource(instance=evaluator), timeout_s),), logs=logs)


def drive(runner, batches, within_s=30.0):
    """The results of each batch, in order; one result as (metric or failure, how)."""
    tasks = [
        Task(n, tuple(Candidate(10 * n + i, "k", value, 0, Path(".")) for i, value in enumerate(values)))
        for n, values in enumerate(batches)
    ]
    waiting, results, until = list(tasks), {}, time.monotonic() + within_s
    while len(results) < len(tasks):
        while waiting and runner.room() > 0:
            runner.submit(waiting.pop(0))
        for task, dones in runner.wait(1.0):
            assert task.id not in results
            assert [done.index for done in dones] == [candidate.index for candidate in task.candidates]
            results[task.id] = [(done.outcome.failure or done.outcome.metrics["x"], done.how) for done in dones]
        assert time.monotonic() < until
    return [results[task.id] for task in tasks]


def pids(runner):
    return [process.pid for process in runner._processes]


def alive(pid):
    """Whether the process still runs; one that ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone_within(seconds, those):
    until = time.monotonic() + seconds
    while any(map(alive, those)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(alive, those))


def wait_for(path, lines=1, within_s=20.0):
    until = time.monotonic() + within_s
    while not path.exists() or path.read_text().count("\n") < lines:
        assert time.monotonic() < until, f"{path.name} has not {lines} lines"
        time.sleep(0.02)
    return path.read_text().split()


@pytest.fixture
def judge():
    """A function whose designs say what they ask of their worker: "die", "hang", ("die once", marker file), or any
    number, given back. It is local, so it travels by value."""

    def obey(value):
        if value == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if value == "exit":
            os._exit(7)
        if value == "hang":
            time.sleep(60)
        if value == "hold":
            ctypes.PyDLL(None).sleep(60)  # keeps the interpreter's lock, so no thread of the worker can run
        if isinstance(value, tuple):
            marker = Path(value[1])
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            value = 1
        return {"x": value}

    return obey


def test_a_hanging_design_times_out_and_its_worker_is_replaced(runner, judge):
    runner.start(setup_of(judge, timeout_s=0.5))
    before = pids(runner)
    begun = time.monotonic()
    hung, fine = drive(runner, [["hang"], [1]])
    assert hung == [("timeout: no answer within 0.5 s", "timeout")]
    assert fine == [(1, "")]
    assert time.monotonic() - begun < 5
    assert drive(runner, [[2]] * 4) == [[(2, "")]] * 4
    assert len(set(before) - set(pids(runner))) == 1
    assert sum(map(alive, before)) == 1


def test_a_hanging_design_in_a_batch_fails_alone(runner, judge):
    runner.start(setup_of(judge, timeout_s=0.5))
    (dones,) = drive(runner, [[0, "hang", 2]])
    assert dones == [(0, "retried"), ("timeout: no answer within 0.5 s", "timeout"), (2, "retried")]


def test_a_design_that_holds_the_interpreters_lock_times_out_too(runner, judge):
    runner.start(setup_of(judge, timeout_s=0.5))
    assert drive(runner, [["hold"]]) == [[("timeout: no answer within 0.5 s", "timeout")]]


def test_an_answer_in_time_counts_even_where_the_driver_looks_late(runner, judge):
    runner.start(setup_of(judge, timeout_s=0.1))
    runner.submit(Task(0, (Candidate(0, "k", 5, 0, Path(".")),)))
    time.sleep(1.0)
    ((_, (done,)),) = runner.wait()
    assert (done.outcome.metrics, done.how) == ({"x": 5}, "")


def test_a_design_that_loses_its_worker_once_is_retried(runner, judge, tmp_path):
    runner.start(setup_of(judge))
    assert drive(runner, [[("die once", tmp_path / "a")], [3]]) == [[(1, "retried")], [(3, "")]]


@pytest.mark.parametrize(("value", "ended"), [("die", "killed by SIGKILL"), ("exit", "ended with exit code 7")])
def test_a_design_that_loses_its_worker_twice_fails(runner, judge, value, ended):
    runner.start(setup_of(judge))
    lost, fine = drive(runner, [[value], [3]])
    assert lost == [(f"lost its worker twice ({ended})", "lost")]
    assert fine == [(3, "")]


def test_one_deadly_design_does_not_lose_its_batch(runner, judge, tmp_path):
    runner.start(setup_of(judge))
    deadly, once = drive(runner, [[0, "die", 2], [4, ("die once", tmp_path / "a"), 6]])
    assert deadly == [(0, "retried"), ("lost its worker twice (killed by SIGKILL)", "lost"), (2, "retried")]
    assert once == [(4, "retried"), (1, "retried"), (6, "retried")]


def test_a_worker_killed_from_outside_costs_a_retry(runner, judge):
    runner.start(setup_of(lambda value: time.sleep(0.3) or {"x": value}))
    runner.submit(Task(0, (Candidate(0, "k", 5, 0, Path(".")),)))
    (busy,) = [process for process in runner._processes if process.job]
    os.kill(busy.pid, signal.SIGKILL)
    ((_, (done,)),) = runner.wait()
    assert (done.outcome.metrics, done.how) == ({"x": 5}, "retried")


def test_an_idle_worker_that_dies_is_replaced(runner, judge):
    runner.start(setup_of(judge))
    drive(runner, [[1]] * 4)
    for pid in pids(runner):
        os.kill(pid, signal.SIGKILL)
    # The driver may hand a task to a worker before it hears of its end.
    assert {done for (done,) in drive(runner, [[2]] * 6)} <= {(2, ""), (2, "retried")}


def test_a_worker_whose_child_keeps_its_link_open_is_still_missed(runner):
    def fork_and_die(value):
        if value and os.fork() == 0:
            time.sleep(60)
        if value:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"x": value}

    runner.start(setup_of(fork_and_die))
    lost, fine = drive(runner, [[1], [0]])
    assert lost == [("lost its worker twice (killed by SIGKILL)", "lost")]
    assert fine == [(0, "")]


def test_what_a_killed_worker_started_ends_with_it(runner, tmp_path):
    def start_and_hang(value):
        child = subprocess.Popen(["sleep", "60"])
        (tmp_path / "child").write_text(f"{child.pid}\n")
        time.sleep(60)

    runner.start(setup_of(start_and_hang, timeout_s=0.5))
    drive(runner, [[0]])
    assert gone_within(2, [int(pid) for pid in wait_for(tmp_path / "child")])


def test_a_setup_that_dies_is_told_with_its_log(tmp_path):
    class Dying(Evaluator):
        def setup(self, context):
            print("on my way", flush=True)
            os._exit(9)

    runner = LocalRunner(2)
    with pytest.raises(EvaluatorError) as caught:
        runner.start(setup_of(Dying(), logs=tmp_path))
    number = str(caught.value).split()[2]
    assert str(caught.value) == (
        f"worker process {number} has ended with exit code 9 while setting its evaluator up. "
        f"Its log is {tmp_path / f'worker-{number}.log'}"
    )
    assert "on my way" in (tmp_path / f"worker-{number}.log").read_text()
    assert pids(runner) == []


def test_a_setup_that_crashes_leaves_its_stack_in_the_log(tmp_path):
    class Crashing(Evaluator):
        def setup(self, context):
            os.kill(os.getpid(), signal.SIGSEGV)

    with pytest.raises(EvaluatorError, match="worker process 0 was killed by SIGSEGV while setting its evaluator up"):
        LocalRunner(1).start(setup_of(Crashing(), logs=tmp_path))
    assert "Segmentation fault" in (tmp_path / "worker-0.log").read_text()


def test_a_setup_that_raises_leaves_its_traceback_in_the_log_alone(tmp_path, capfd):
    class Raising(Evaluator):
        id = "raising"

        def setup(self, context):
            raise RuntimeError("no device")

    with pytest.raises(EvaluatorError) as caught:
        LocalRunner(1).start(setup_of(Raising(), logs=tmp_path))
    log = tmp_path / "worker-0.log"
    assert str(caught.value) == (
        f"evaluator 'raising' cannot be set up: RuntimeError: no device. The worker's log is {log}"
    )
    assert "Traceback" in log.read_text()
    assert capfd.readouterr() == ("", "")


def test_workers_that_keep_dying_before_they_work_end_the_study(tmp_path):
    class OnceOnly(Evaluator):
        """The first worker comes up; every later one dies while it sets up."""

        def setup(self, context):
            if (tmp_path / "first").exists():
                with open(tmp_path / "deaths", "a") as deaths:
                    deaths.write("x\n")
                os._exit(5)
            (tmp_path / "first").touch()

        def evaluate(self, candidates, context):
            os._exit(6)

    runner = LocalRunner(1)
    runner.start(setup_of(OnceOnly()))
    runner.submit(Task(0, (Candidate(0, "k", 0, 0, Path(".")),)))
    with pytest.raises(EvaluatorError, match="has ended with exit code 5 while setting its evaluator up"):
        runner.wait()
    runner.close(kill=True)
    assert (tmp_path / "deaths").read_text().count("x") == 3


def test_megabytes_of_output_do_not_block(judge, tmp_path):
    def talk(value):
        for _ in range(4):
            print("x" * 1_000_000)
            sys.stderr.write("y" * 1_000_000)
        return {"x": value}

    runner = LocalRunner(1)
    runner.start(setup_of(talk, logs=tmp_path / "logs"))
    assert drive(runner, [[1], [2]]) == [[(1, "")], [(2, "")]]
    runner.close()
    assert (tmp_path / "logs" / "worker-0.log").stat().st_size >= 16_000_000


@pytest.mark.parametrize("kill", [True, False])
def test_close_ends_hung_workers(judge, kill):
    runner = LocalRunner(2)
    runner.start(setup_of(judge))
    drive(runner, [[1]])
    for i, value in enumerate(("hang", "hold")):
        runner.submit(Task(i, (Candidate(i, "k", value, 0, Path(".")),)))
    time.sleep(0.1)
    those, begun = pids(runner), time.monotonic()
    runner.close(kill=kill)
    assert time.monotonic() - begun < (1.0 if kill else 4.0)
    assert not any(Path(f"/proc/{pid}").exists() for pid in those), "neither running nor a zombie"


def test_twenty_replaced_workers_leave_nothing_behind(tmp_path):
    class Deadly(Evaluator):
        def setup(self, context):
            with open(tmp_path / "pids", "a") as file:
                file.write(f"{os.getpid()}\n")

        def evaluate(self, candidates, context):
            os.kill(os.getpid(), signal.SIGKILL)

    runner = LocalRunner(2)
    runner.start(setup_of(Deadly()))
    before = len(list(PROC.iterdir()))
    drive(runner, [["die"]] * 10)
    assert len(list(PROC.iterdir())) == before
    runner.close()
    seen = (tmp_path / "pids").read_text().split()
    assert len(seen) >= 20
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen), "neither running nor a zombie"


DRIVER = """
    import ctypes, os, signal, subprocess, sys, time
    from pathlib import Path
    from coevo.search.evaluator import Candidate, FunctionEvaluator
    from coevo.search.runners import EvaluatorSource, LocalRunner, StageSetup, Task, WorkerSetup

    def hang(value):
        child = subprocess.Popen(["sleep", "60"])
        with open("pids", "a") as file:
            file.write(f"{os.getpid()} {child.pid}\\n")
        ctypes.PyDLL(None).sleep(60) if value == "hold" else time.sleep(60)

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background of a shell ignores it
    runner = LocalRunner(2)
    runner.start(WorkerSetup((StageSetup(EvaluatorSource(instance=FunctionEvaluator(hang, {}))),)))
    if "fork" in sys.argv and os.fork() == 0:
        time.sleep(10)  # a fork keeps every descriptor of the driver open
        os._exit(0)
    for i, value in enumerate(("hang", "hang" if "fork" in sys.argv else "hold")):
        runner.submit(Task(i, (Candidate(i, "k", value, 0, Path(".")),)))
    try:
        runner.wait()
    except KeyboardInterrupt:
        with open("interrupted", "w") as file:
            file.write(f"{all(process.dead for process in runner._processes)}\\n")
        if "raise" in sys.argv:
            raise
        runner.close(kill=True)
"""


@pytest.fixture
def driver(tmp_path):
    """driver(words) -> (the process, the process ids of its busy workers and their children)."""
    started = []

    def start(*words):
        (tmp_path / "driver.py").write_text(textwrap.dedent(DRIVER))
        process = subprocess.Popen(
            [sys.executable, "driver.py", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        return process, [int(pid) for pid in wait_for(tmp_path / "pids", lines=2)]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its fork too, which would keep the pipe open
        process.communicate()


def test_a_killed_driver_leaves_no_orphans(driver):
    process, those = driver()
    assert len(those) == 4 and all(map(alive, those))
    process.kill()
    assert gone_within(2, those)


def test_a_fork_of_the_driver_does_not_keep_workers_alive(driver):
    process, those = driver("fork")
    process.kill()
    assert gone_within(4, those)


@pytest.mark.parametrize("word", ["close", "raise"])
def test_ctrl_c_hits_the_driver_alone_and_its_end_is_theirs(driver, tmp_path, word):
    process, those = driver(word)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(10)
    assert (tmp_path / "interrupted").read_text() == "False\n", "the workers had not heard the Ctrl-C"
    assert gone_within(2, those)
