"""The Ray runner: the same designs as the others, whatever befalls its actors, and nothing left behind.

The tests share one local Ray, which takes seconds to start; a runner that finds Ray connected leaves it as it is.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

import coevo
from coevo import Space, Study
from coevo.errors import ConfigError, EvaluatorError, MissingExtra, UnknownName
from coevo.search.evaluator import Candidate, Evaluator, FunctionEvaluator, Outcome, Resources
from coevo.search.problem import Problem, Stage
from coevo.search.runners import EvaluatorSource, StageSetup, Task, WorkerSetup, cluster, make_runner
from coevo.search.runners import ray as module
from coevo.search.runners.cluster import Cluster
from coevo.search.runners.ray import RayRunner

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

SOURCE = Path(coevo.__file__).parents[1]
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def local_ray():
    connected = Cluster(None, 4)
    assert connected.local
    yield connected
    connected.close()


@pytest.fixture
def runner(local_ray):
    runner = RayRunner(2)
    yield runner
    pids = [seat.pid for seat in runner._seats if seat.pid]
    runner.close(kill=True)
    assert gone_within(10, pids), "an actor outlived its runner"


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone_within(seconds, pids):
    until = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(alive, pids))


def result(done):
    return done.outcome.failure or done.outcome.metrics["x"], done.how


@pytest.fixture
def judge():
    """A function whose designs say what they ask of their worker. It is local, so it travels by value."""

    def obey(value):
        if value == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if value == "hang":
            time.sleep(60)
        if value == "raise":
            raise ValueError("no such luck")
        if value == "print":
            print("spam")
        if value == "environment":
            return {"x": [os.environ[name] for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED")]}
        if isinstance(value, tuple):
            marker = Path(value[1])
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            value = 1
        return {"x": value}

    return FunctionEvaluator(obey, {"x": ""})


def build(pick):
    return [pick.integer(f"a{i}", 0, 9) for i in range(4)]


def score(value):
    return {"x": float(sum(value)), "y": float(value[0] * value[1] - value[2])}


GOALS = {"x": "max", "y": "min"}


def designs(evaluate, trials=60, folder=None, **settings):
    with Study(Space("t/v1", build), evaluate, objectives=GOALS, seed=3, folder=folder, **settings) as study:
        study.run(trials=trials)
        assert study.told == trials
        return [(trial.design.key, trial.outcome.metrics) for trial in study.trials()]


def test_the_same_designs_as_in_this_process(local_ray):
    expected = designs(score, runner="inline")
    assert designs(score, runner="ray", workers=1) == expected
    assert designs(score, runner="ray", workers=4) == expected


@pytest.mark.parametrize("killer", ["design", "stranger"])
def test_actors_killed_every_few_trials_change_no_design(local_ray, tmp_path, killer):
    expected = designs(score, runner="inline")

    def deadly(value):
        marker = tmp_path / "-".join(map(str, value))
        if sum(value) % 9 == 0 and len(list(tmp_path.iterdir())) < 3 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return score(value)

    runner = RayRunner(2)
    judge = deadly if killer == "design" else score
    study = Study(Space("t/v1", build), judge, objectives=GOALS, seed=3, runner=runner, workers=2)
    killed = []

    def from_outside(event):
        if type(event).__name__ == "Told" and event.trial.index in (10, 30, 50):
            seat = runner._seats[0]
            killed.append(seat.pid)
            ray.kill(seat.handle)

    if killer == "stranger":
        study.listen(from_outside)
    with study:
        study.run(trials=60)
        assert [(trial.design.key, trial.outcome.metrics) for trial in study.trials()] == expected
    assert len(killed) + len(list(tmp_path.iterdir())) >= 3
    assert gone_within(10, killed)


def test_a_ladder(local_ray):
    class Rung(Evaluator):
        def __init__(self, name, factor):
            self.id, self.factor, self.metrics = name, factor, {"x": "", "y": ""}

        def evaluate(self, candidates, context):
            outcomes = []
            for candidate in candidates:
                note = candidate.scratch / f"{self.id}.txt"
                note.write_text("".join(path.read_text() for path in candidate.artifacts.values()) + self.id)
                metrics = {name: self.factor * number for name, number in score(candidate.value).items()}
                outcomes.append(Outcome({**metrics, "y": float(len(note.read_text()))}, artifacts={"note": note}))
            return outcomes

    def run(runner, workers):
        stages = [Stage("cheap", Rung("cheap", 1), share=0.25), Stage("full", Rung("full", 2))]
        problem = Problem("ladder", Space("t/v1", build), stages, GOALS)
        with Study(problem, seed=3, runner=runner, workers=workers) as study:
            study.run(trials=48)
            return [(t.design.key, t.stage, t.outcome.metrics) for t in study.trials()]

    expected = run("inline", 1)
    assert {stage for _, stage, _ in expected} == {"cheap", "full"}
    assert run("ray", 2) == expected


def test_failures_are_said_in_the_local_runners_words(runner, setup_of, judge, drive, tmp_path):
    runner.start(setup_of(judge, timeout_s=0.5, logs=tmp_path / "logs"))
    batches = [
        [1, "raise", 2],
        ["hang"],
        ["die"],
        [3, ("once", str(tmp_path / "a")), 4],
        ["print"],
        ["environment"],
    ]
    found = [[result(done) for done in dones] for dones in drive(runner, batches, within_s=90)]
    timeout = "timeout: no answer within 0.5 s"
    assert found == [
        [(1, "retried"), ("ValueError: no such luck", "retried"), (2, "retried")],
        [(timeout, "timeout")],
        [("lost its worker twice (its actor died)", "lost")],
        [(3, "retried"), (1, "retried"), (4, "retried")],
        [("print", "")],
        [(["1", "0"], "")],
    ]
    logs = "".join(path.read_text() for path in (tmp_path / "logs").glob("worker-*.log"))
    assert "spam" in logs and "ValueError: no such luck" in logs


def test_room_keeps_each_actor_busy_with_one_task_waiting(runner, setup_of, judge, drive):
    assert runner.room() == 0
    runner.start(setup_of(judge))
    assert runner.wait() == []
    rooms = []
    for i in range(4):
        rooms.append(runner.room())
        runner.submit(Task(i, (Candidate(i, "k", i, 0, Path(".")),)))
    assert [*rooms, runner.room()] == [4, 3, 2, 1, 0]
    with pytest.raises(EvaluatorError, match="started already"):
        runner.start(setup_of(judge))


def test_an_idle_actor_that_dies_costs_no_design_its_worker(runner, setup_of, judge, drive):
    runner.start(setup_of(judge))
    drive(runner, [[1]] * 4)
    for seat in runner._seats:
        if seat.pid:
            os.kill(seat.pid, signal.SIGKILL)
    time.sleep(0.5)
    found = [result(*dones) for dones in drive(runner, [[1]] * 6)]
    assert {x for x, _ in found} == {1} and {how for _, how in found} <= {"", "retried"}


def test_setup_that_raises(runner, setup_of):
    class Broken(Evaluator):
        id = "broken"

        def __init__(self, how):
            self.how = how

        def setup(self, context):
            if self.how == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "extra":
                raise MissingExtra("torch is not installed")
            raise ValueError("no such device")

    with pytest.raises(EvaluatorError, match="evaluator 'broken' cannot be set up: ValueError: no such device"):
        runner.start(setup_of(Broken("raise")))
    with pytest.raises(MissingExtra, match="torch is not installed"):
        runner.start(setup_of(Broken("extra")))
    with pytest.raises(EvaluatorError, match=r"actor . ended while setting its evaluator up: ActorDiedError"):
        runner.start(setup_of(Broken("die")))


@pytest.mark.parametrize("shared", [True, False])
def test_files_reach_the_actors_and_come_back(runner, drive, tmp_path, monkeypatch, shared):
    """Without a shared folder, which a probe that nobody can read stands for here, everything travels."""

    class Writer(Evaluator):
        id = "writer"

        def setup(self, context):
            self.path = context.artifact("net")

        def evaluate(self, candidates, context):
            outcomes = []
            for candidate in candidates:
                text = "".join(path.read_text() for path in candidate.artifacts.values())
                (candidate.scratch / "sub").mkdir()
                (candidate.scratch / "sub" / "note.txt").write_text(text + str(candidate.value))
                metrics = {"net": self.path.read_text(), "path": str(self.path), "folder": str(candidate.scratch)}
                artifacts = {"note": candidate.scratch / "sub" / "note.txt", "all": candidate.scratch / "sub"}
                outcomes.append(Outcome(metrics, artifacts=artifacts))
            return outcomes

    net, designs_folder = tmp_path / "net.bin", tmp_path / "designs"
    net.write_text("weights")
    if not shared:
        monkeypatch.setattr(module, "_probe", lambda logs: (str(tmp_path / "nobody"), "secret"))
        artifacts = {"net": (str(tmp_path / "elsewhere" / "net.bin"), module.sha256(net))}
        spawn, put = RayRunner._spawn, RayRunner._ship
        monkeypatch.setattr(
            RayRunner, "_spawn", lambda self, n: (setattr(self, "_artifacts", artifacts), spawn(self, n))[1]
        )
        monkeypatch.setattr(
            RayRunner,
            "_ship",
            lambda self, names: (setattr(self, "_artifacts", {"net": (str(net), "")}), put(self, names))[1],
        )
    (tmp_path / "old.txt").write_text("earlier ")
    runner.start(WorkerSetup((StageSetup(EvaluatorSource(instance=Writer())),), artifacts={"net": net}))
    candidate = Candidate(0, "key", 5, 0, designs_folder, {"old": tmp_path / "old.txt"})
    runner.submit(Task(0, (candidate,)))
    ((_, (done,)),) = runner.wait()
    assert done.outcome.failure is None
    metrics, artifacts = done.outcome.metrics, done.outcome.artifacts
    assert metrics["net"] == "weights"
    assert (metrics["path"] == str(net)) == shared
    assert (metrics["folder"] == str(designs_folder / "key")) == shared
    assert Path(artifacts["note"]) == designs_folder / "key" / "sub" / "note.txt"
    assert Path(artifacts["note"]).read_text() == "earlier 5"
    assert (Path(artifacts["all"]) / "note.txt").read_text() == "earlier 5"
    if not shared:
        assert not Path(metrics["folder"]).exists(), "the actor's own copy stays behind"
        assert Path(metrics["path"]).is_relative_to(tempfile.gettempdir())


def test_more_gpus_than_there_are_is_refused_before_anything_is_paid_for(local_ray):
    paid = []

    def prepare(context):
        paid.append(1)
        return {}

    class Greedy(Evaluator):
        id, metrics, resources = "greedy", {"x": "", "y": ""}, Resources(gpus=64)

        def evaluate(self, candidates, context):
            return [Outcome(score(candidate.value)) for candidate in candidates]

    problem = Problem("greedy", Space("t/v1", build), [Stage("full", Greedy())], GOALS, prepare=prepare)
    with (
        Study(problem, runner="ray") as study,
        pytest.raises(ConfigError, match=r"a worker needs 1 CPU, 64 GPU, and .* none could ever start"),
    ):
        study.run(trials=3)
    assert not paid
    with pytest.raises(ConfigError, match="needs 1 CPU, 2 unicorn, and"):
        RayRunner(1, resources={"unicorn": 2}).connect()


def test_a_cluster_with_room_for_fewer_is_noted(local_ray):
    runner = RayRunner(900)
    runner.connect()
    assert "room for" in runner.note and "of 900 workers" in runner.note
    runner.close()


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE_S", 1.5)
    with pytest.raises(ConfigError, match=r"nobody answered at the Ray address '127\.0\.0\.1:1'; waited [12] s .*6379"):
        cluster._wait_for("127.0.0.1:1")
    with pytest.raises(ConfigError, match="expected HOST:PORT, ray://HOST:PORT or auto, got 'here'"):
        cluster._wait_for("here")


def test_a_cluster_that_others_reach_without_a_token_is_warned_of(monkeypatch):
    monkeypatch.setattr(cluster, "_asks_for_a_token", lambda: False)
    text = cluster._exposure("10.0.0.7:6379", "10.0.0.7:6379")
    assert "10.0.0.7 lies beyond loopback" in text and "RAY_AUTH_MODE=token" in text
    assert "192.168.1.2" in cluster._exposure("auto", "192.168.1.2:6379")
    for safe in ("127.0.0.1:6379", "localhost:6379", "ray://[::1]:10001"):
        assert cluster._exposure(safe, "127.0.0.1:1") == ""
    monkeypatch.setattr(cluster, "_asks_for_a_token", lambda: True)
    assert cluster._exposure("10.0.0.7:6379", "10.0.0.7:6379") == ""


def test_names_and_addresses():
    assert (make_runner("ray", 3).workers, make_runner("ray").spec, make_runner("ray").address) == (3, "ray", None)
    assert make_runner("ray:10.0.0.7:6379").address == "10.0.0.7:6379"
    for spec in ("ray:10.0.0.7:6379", "ray:auto", "ray://10.0.0.7:10001"):
        assert make_runner(spec).spec == spec
    with pytest.raises(ConfigError, match="workers: expected a whole number"):
        RayRunner(0)
    with pytest.raises(UnknownName, match="unknown runner 'rai'"):
        make_runner("rai")


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"ray is not installed.*pip install 'coevo\[ray\]'"):
        make_runner("ray")


def _of_session(pgid):
    """The processes of a session, by what they are called."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == pgid and fields[0] != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:100]
    return found


SCRIPT = """
    import os, signal, sys, time
    from coevo import Space, Study

    def build(pick):
        return [pick.integer(f"a{i}", 0, 9) for i in range(4)]

    def evaluate(value):
        time.sleep(0.05)
        return {"x": float(sum(value))}

    study = Study(Space("t/v1", build), evaluate, objectives={"x": "max"}, runner="ray", workers=2)
    def after_ten(event):
        if type(event).__name__ == "Told" and event.trial.index == 10 and sys.argv[1] == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
    study.listen(after_ten)
    try:
        study.run(trials=20)
    except KeyboardInterrupt:
        print("interrupted")
    study.close()
    study.close()
    print(study.told)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("how", ["interrupt", pytest.param("close", marks=pytest.mark.slow)])
def test_nothing_stays_behind(tmp_path, how):
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, str(tmp_path / "script.py"), how]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    out, err = process.communicate(timeout=120)
    until = time.monotonic() + 5
    while _of_session(process.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert _of_session(process.pid) == {}
    assert process.returncode == 0, err
    lines = out.split()
    assert lines[0] == "interrupted" if how == "interrupt" else lines == ["20"]


@pytest.mark.slow
def test_a_node_is_removed_and_another_added(tmp_path):
    """Three nodes; one goes with its actors in the middle, another comes. Runs in a process of its own."""
    script = """
    import time
    from ray.cluster_utils import Cluster
    from coevo import Space, Study

    def build(pick):
        return [pick.integer(f"a{i}", 0, 9) for i in range(4)]

    def score(value):
        time.sleep(0.05)
        return {"x": float(sum(value)), "y": float(value[0] * value[1] - value[2])}

    def run(runner, workers, listener=None):
        goals = {"x": "max", "y": "min"}
        with Study(Space("t/v1", build), score, objectives=goals, seed=3, runner=runner, workers=workers) as study:
            if listener:
                study.listen(listener)
            study.run(trials=120)
            assert study.told == 120 and study.failed == 0
            return [(trial.design.key, trial.outcome.metrics) for trial in study.trials()]

    def main():
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes = [cluster.add_node(num_cpus=2) for _ in range(2)]

        def disturb(event):
            if type(event).__name__ == "Told" and event.trial.index == 30:
                cluster.remove_node(nodes[0], allow_graceful=False)
            if type(event).__name__ == "Told" and event.trial.index == 60:
                cluster.add_node(num_cpus=2)

        found = run("ray:" + cluster.address, 4, disturb)
        cluster.shutdown()
        print("same" if found == run("local", 1) else "other")

    main()
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
        env=environment,
    )
    assert done.stdout.split()[-1:] == ["same"], done.stdout + done.stderr
