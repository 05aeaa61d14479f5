"""A Ray that a driver started leaves nothing behind, however the driver ends; nodes of a cluster come and go."""

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
from coevo.search.runners import reaper

pytest.importorskip("ray", reason="the extra `ray` is not installed")

SOURCE = Path(coevo.__file__).parents[1]
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc"),
]
MARK = "COEVO_TEST_OF_LOCAL_RAY"


def left(folder):
    """The processes of this test, wherever they stand by now, by what they are called."""
    found = {}
    for pid in reaper.marked(MARK, folder):
        with contextlib.suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:100]
    return found


def start(folder, script, *words, **environment):
    (folder / "script.py").write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": tempfile.gettempdir(), MARK: "1", **environment}
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE"):
        environment.pop(name, None)
    return subprocess.Popen(
        [sys.executable, str(folder / "script.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


SCRIPT = """
    import os, signal, subprocess, sys, time
    from coevo import Space, Study
    from coevo.search.runners.ray import RayRunner

    def build(pick):
        return [pick.integer(f"a{i}", 0, 9) for i in range(4)]

    def evaluate(value):
        time.sleep(0.05)
        if sum(value) % 2:
            subprocess.Popen(["sleep", "600"])  # what an evaluator started and forgot
        return {"x": float(sum(value))}

    runner = RayRunner(2)
    study = Study(Space("t/v1", build), evaluate, objectives={"x": "max"}, runner=runner, workers=2)
    def after_ten(event):
        if type(event).__name__ == "Told" and event.trial.index == 10:
            print(runner._cluster._local._folder, flush=True)
            if sys.argv[1] == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
            if sys.argv[1] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
    study.listen(after_ten)
    try:
        study.run(trials=20)
    except KeyboardInterrupt:
        print("interrupted")
    study.close()
    study.close()
    print(study.told, "RAY_AUTH_TOKEN" in os.environ)
"""


@pytest.mark.parametrize(
    "how", ["kill", pytest.param("interrupt", marks=pytest.mark.slow), pytest.param("close", marks=pytest.mark.slow)]
)
def test_nothing_stays_behind(tmp_path, how):
    process = start(tmp_path, SCRIPT, how)
    try:
        out, err = process.communicate(timeout=120)
        folder, *said = out.split()
        # A driver that lives sees to it before it goes; after one that was killed it takes moments.
        until = time.monotonic() + (20 if how == "kill" else 1)
        while left(folder) and time.monotonic() < until:
            time.sleep(0.1)
        assert left(folder) == {}
        assert not Path(folder).exists(), "Ray's folder stays behind"
    finally:
        reaper.end(MARK, str(tmp_path), 0.0)
    assert process.returncode == (-signal.SIGKILL if how == "kill" else 0), err
    assert said == {"kill": [], "interrupt": ["interrupted", "11", "False"], "close": ["20", "False"]}[how]


@pytest.mark.slow
def test_a_node_is_removed_and_another_added(tmp_path):
    """Three nodes; one goes with its actors in the middle, another comes. Nobody asks for a token, which is said."""
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
            if type(event).__name__ == "Note" and "DANGER" in event.text:
                print("warned" if not cluster.address.startswith("127.") else "on loopback")

        found = run("ray:" + cluster.address, 4, disturb)
        cluster.shutdown()
        print("same" if found == run("local", 1) else "other")

    main()
    """
    process = start(tmp_path, script, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="1")
    try:
        out, err = process.communicate(timeout=220)
    finally:
        reaper.end(MARK, str(tmp_path), 5.0)
    assert out.split() == ["warned", "same"], out + err
