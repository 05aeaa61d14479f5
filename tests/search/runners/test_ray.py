"""The Ray runner: the same designs as the others, whatever befalls its actors, and nothing left behind.

The tests share one local Ray, which takes seconds to start; a runner that finds Ray connected leaves it as it is.
"""

import contextlib
import difflib
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coevo import Space, Study
from coevo.cli.app import app
from coevo.errors import ConfigError, EvaluatorError, MissingExtra, UnknownName
from coevo.search.evaluator import Candidate, Evaluator, FunctionEvaluator, Outcome, Resources
from coevo.search.problem import Problem, Stage
from coevo.search.run import Run
from coevo.search.runners import EvaluatorSource, StageSetup, Task, WorkerSetup, cluster, make_runner
from coevo.search.runners import ray as module
from coevo.search.runners.cluster import Cluster
from coevo.search.runners.ray import RayRunner, worker_environment

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def local_ray():
    connected = Cluster(None, 4, worker_environment(1))
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


PROBLEMS = Path(__file__).parents[2] / "cli" / "problems"
EXPERIMENT = """
problem = "toy_problems:problem"
[search]
population = 10
trials = 40
[run]
workers = 2
runner = "local"
"""


def test_one_word_of_a_file_changes_and_no_figure(local_ray, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(PROBLEMS))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROBLEMS), *filter(None, sys.path)]))
    files = {"local": EXPERIMENT, "ray": EXPERIMENT.replace('runner = "local"', 'runner = "ray"')}
    changed = [line for line in difflib.ndiff(*(text.split() for text in files.values())) if line[0] in "+-"]
    assert changed == ['- "local"', '+ "ray"']
    found = {}
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text)
        folder = tmp_path / name
        result = CliRunner().invoke(app, ["run", str(tmp_path / f"{name}.toml"), "--out", str(folder), "--json"])
        assert result.exit_code == 0, result.stderr
        answer = json.loads(result.stdout)  # nothing of Ray's on standard output
        found[name] = [(t.design.key, t.outcome.metrics, t.outcome.failure, t.seed) for t in Run.open(folder).trials()]
        found[name].append([(row["key"], row["metrics"]) for row in answer["front"]])
        assert Run.open(folder).config["run"]["runner"] == name
    assert len(found["local"]) == 41
    assert found["ray"] == found["local"]


def test_the_command_takes_a_runner_and_says_what_is_wrong_with_it(local_ray, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(PROBLEMS))
    (tmp_path / "toy.toml").write_text(EXPERIMENT)
    words = ["run", str(tmp_path / "toy.toml"), "--set", "run.export=none", "--set", "search.trials=5", "--out"]
    result = CliRunner().invoke(app, [*words, str(tmp_path / "a"), "--runner", "ray", "--workers", "1"])
    assert result.exit_code == 0, result.stderr
    assert Run.open(tmp_path / "a").config["run"]["runner"] == "ray"
    result = CliRunner().invoke(app, [*words, str(tmp_path / "b"), "--runner", "rays"])
    assert result.exit_code == 2 and "Did you mean 'ray'?" in result.stderr and not (tmp_path / "b").exists()


def test_the_same_designs_as_in_this_process(local_ray):
    expected = designs(score, runner="inline")
    assert designs(score, runner="ray", workers=1) == expected
    assert designs(score, runner="ray", workers=4) == expected


@pytest.mark.slow
def test_actors_killed_every_few_trials_change_no_design(local_ray, tmp_path):
    expected = designs(score, runner="inline")

    def deadly(value):
        marker = tmp_path / "-".join(map(str, value))
        if sum(value) % 9 == 0 and len(list(tmp_path.iterdir())) < 2 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return score(value)

    runner = RayRunner(2)
    study = Study(Space("t/v1", build), deadly, objectives=GOALS, seed=3, runner=runner, workers=2)
    killed = []

    def from_outside(event):
        if type(event).__name__ == "Told" and event.trial.index in (20, 45):
            seat = runner._seats[0]
            killed.append(seat.pid)
            ray.kill(seat.handle)

    study.listen(from_outside)
    with study:
        study.run(trials=60)
        assert [(trial.design.key, trial.outcome.metrics) for trial in study.trials()] == expected
        killed += [seat.pid for seat in runner._seats]
    assert len(list(tmp_path.iterdir())) == 2 and len(killed) >= 4
    assert gone_within(10, killed), "an actor leaked"


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


def test_room_keeps_each_actor_busy_with_one_task_waiting(local_ray, setup_of, judge):
    with contextlib.closing(RayRunner(1)) as runner:
        assert runner.room() == 0
        runner.start(setup_of(judge))
        assert runner.wait() == []
        rooms = []
        for i in range(2):
            rooms.append(runner.room())
            runner.submit(Task(i, (Candidate(i, "k", i, 0, Path(".")),)))
        assert [*rooms, runner.room()] == [2, 1, 0]
        with pytest.raises(EvaluatorError, match="started already"):
            runner.start(setup_of(judge))


def test_another_ray_than_the_one_this_process_is_in_is_refused(local_ray):
    with pytest.raises(ConfigError, match=r"connected to the Ray at .* already, and '127\.0\.0\.1:1' is asked for"):
        RayRunner(1, address="127.0.0.1:1").connect(1, 0.0)


@pytest.mark.slow
def test_an_idle_actor_that_dies_costs_no_design_its_worker(runner, setup_of, judge, drive):
    runner.start(setup_of(judge))
    drive(runner, [[1]] * 4)
    for seat in runner._seats:
        if seat.pid:
            os.kill(seat.pid, signal.SIGKILL)
    time.sleep(0.5)
    found = [result(*dones) for dones in drive(runner, [[1]] * 6)]
    assert {x for x, _ in found} == {1} and {how for _, how in found} <= {"", "retried"}


def test_setup_that_raises(local_ray, setup_of):
    runner = RayRunner(1)

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


@pytest.mark.parametrize("shared", [pytest.param(True, marks=pytest.mark.slow), False])
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

    class Rare(Greedy):
        resources = Resources(custom={"unicorn": 3})

    problem = Problem("rare", Space("t/v1", build), [Stage("full", Rare())], GOALS, prepare=prepare)
    with Study(problem, runner="ray") as study, pytest.raises(ConfigError, match="needs 1 CPU, 3 unicorn, and"):
        study.run(trials=3)
    assert not paid


def test_a_cluster_with_room_for_fewer_is_noted(local_ray):
    runner = RayRunner(900)
    runner.connect()
    assert "room for" in runner.note and "of 900 workers" in runner.note
    runner.close()


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
