"""What a call may return, and what becomes of everything else: the same for every runner."""

from pathlib import Path

import pytest

from coevo.errors import ConfigError, EvaluatorError, MissingExtra
from coevo.search.evaluator import Candidate, Evaluator
from coevo.search.runners import InlineRunner, Task, make_runner


@pytest.fixture(scope="module")
def local():
    runner = make_runner("local", 2)
    yield runner
    runner.close(kill=True)


@pytest.fixture(params=["inline", "local"])
def runner(request, setup_of, obedient, local):
    if request.param == "local":  # started once, since a start takes most of a test's time
        if not local.room():
            local.start(setup_of(obedient, timeout_s=20.0))
        yield local
    else:
        inline = make_runner("inline")
        inline.start(setup_of(obedient, timeout_s=20.0))
        yield inline
        inline.close()


@pytest.mark.parametrize(
    ("value", "failure"),
    [
        (("raise", 7), "ValueError: no 7 at all"),
        (("mute", 0), "Mute"),
        (("exit", 0), "SystemExit: 3"),
        (("none", 0), "evaluator 'obedient' returned NoneType, expected a list of outcomes"),
        (("more", 2), "evaluator 'obedient' returned 3 outcomes for 1 candidate"),
        (("number", 0), "expected a mapping of metrics or an Outcome, got float"),
        (("no metrics", 0), "expected a mapping of metrics, got NoneType"),
        (("no artifacts", 0), "expected a mapping of artifacts, got list"),
        (("failure", 0), "'why'"),
    ],
)
def test_what_is_wrong_fails_the_candidate_with_a_reason(runner, drive, value, failure):
    ((done,), (after,)) = drive(runner, [[value], [("", 5)]])
    assert (done.outcome.failure, done.how) == (failure, "")
    assert (after.outcome.metrics, after.outcome.failure, after.how) == ({"x": 5}, None, ""), "the worker goes on"


def test_a_mapping_is_an_outcome(runner, drive):
    ((done,),) = drive(runner, [[("mapping", 2)]])
    assert done.outcome.ok and done.outcome.metrics == {"x": 2}


def test_a_wrong_number_of_outcomes_fails_the_batch_without_a_retry(runner, drive):
    (dones,) = drive(runner, [[("more", -1)] + [("", 1)] * 3])
    assert {done.outcome.failure for done in dones} == {"evaluator 'obedient' returned 3 outcomes for 4 candidates"}
    assert {done.how for done in dones} == {""}


def test_one_poison_design_does_not_lose_its_batch(runner, drive):
    (dones,) = drive(runner, [[("", 0), ("", 1), ("raise", 2), ("", 3)]])
    assert [done.outcome.metrics for done in dones] == [{"x": 0}, {"x": 1}, {}, {"x": 3}]
    assert dones[2].outcome.failure == "ValueError: no 2 at all"
    assert {done.how for done in dones} == {"retried"}


def test_the_deadline_covers_the_batch_and_the_cost_is_shared(runner, drive):
    ((one, *_), (slow, other)) = drive(runner, [[("left", 0)] * 3, [("sleep", 0.2), ("", 1)]])
    assert 55.0 < one.outcome.metrics["x"] <= 60.0
    assert 0.1 <= slow.cost_s == other.cost_s < 0.2


def test_artifacts_and_scratch_folders_pass_through(runner, drive):
    ((done,),) = drive(runner, [[("artifact", 0)]])
    assert done.outcome.artifacts["log"].is_dir()


@pytest.mark.parametrize("name", ["inline", "local"])
@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            RuntimeError("no device\nhere"),
            EvaluatorError,
            "evaluator 'setting up' cannot be set up: RuntimeError: no device here",
        ),
        (SystemExit(4), EvaluatorError, "evaluator 'setting up' cannot be set up: SystemExit: 4"),
        (MissingExtra("torch is not installed"), MissingExtra, "torch is not installed"),
        (
            EvaluatorError("no prepared artefact is called 'net'"),
            EvaluatorError,
            "no prepared artefact is called 'net'",
        ),
        (type("Mine", (ConfigError,), {})("level 7"), ConfigError, "level 7"),
    ],
)
def test_a_setup_that_raises_is_told_in_its_own_words(setup_of, name, error, kind, said):
    class SettingUp(Evaluator):
        id = "setting up"

        def setup(self, context):
            raise error

    runner = make_runner(name)
    with pytest.raises(kind) as caught:
        runner.start(setup_of(SettingUp()))
    assert str(caught.value) == said
    runner.close()
    assert runner.room() == 0


def test_inline_says_what_it_does_not_enforce(setup_of, obedient, drive, tmp_path):
    runner = InlineRunner()
    assert not runner.enforces_timeouts
    assert runner.wait() == []
    runner.start(setup_of(obedient, timeout_s=0.01, logs=tmp_path / "logs"))
    with pytest.raises(EvaluatorError, match="started already"):
        runner.start(setup_of(obedient))
    ((late,), (poison,)) = drive(runner, [[("sleep", 0.03)], [("raise", 1)]])
    assert late.outcome.ok and not poison.outcome.ok
    assert "in evaluate" in (tmp_path / "logs" / "worker-0.log").read_text()
    runner.close()
    runner.close()


def test_inline_leaves_ctrl_c_to_the_driver(setup_of):
    class Interrupted(Evaluator):
        def evaluate(self, candidates, context):
            raise KeyboardInterrupt

    runner = InlineRunner()
    runner.start(setup_of(Interrupted()))
    runner.submit(Task(0, (Candidate(0, "k", 0, 0, Path("s")),)))
    with pytest.raises(KeyboardInterrupt):
        runner.wait()
