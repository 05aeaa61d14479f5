"""The retry policy alone: what is tried again, what fails, and what each result says befell it."""

from pathlib import Path

import pytest

from coevo.search.evaluator import Candidate, Outcome
from coevo.search.runners.base import Task
from coevo.search.runners.jobs import Job


def whole(size):
    return Job.whole(Task(0, tuple(Candidate(10 + i, f"k{i}", i, 0, Path("s")) for i in range(size))))


def told(job):
    return [(done.index, done.outcome.failure, done.cost_s, done.how) for done in job.batch.results()]


def test_an_answer_settles_the_batch_and_shares_its_cost():
    job = whole(4)
    job.answered([Outcome({"x": i}) for i in range(4)], 2.0)
    assert job.batch.complete
    assert told(job) == [(10 + i, None, 0.5, "") for i in range(4)]
    assert [done.outcome.metrics["x"] for done in job.batch.results()] == [0, 1, 2, 3]


def test_an_exception_fails_a_candidate_alone_and_splits_a_batch():
    alone = whole(1)
    assert alone.raised("ValueError: no", 1.0) == []
    assert told(alone) == [(10, "ValueError: no", 1.0, "")]
    job = whole(3)
    first, second, third = job.raised("ValueError: no", 1.0)
    assert [[c.index for c in part.candidates] for part in (first, second, third)] == [[10], [11], [12]]
    third.answered([Outcome()], 0.25)
    assert first.raised("ValueError: no", 0.5) == []
    assert not job.batch.complete
    second.answered([Outcome()], 0.25)
    assert job.batch.complete
    assert told(job) == [
        (10, "ValueError: no", 0.5, "retried"),
        (11, None, 0.25, "retried"),
        (12, None, 0.25, "retried"),
    ]


def test_a_late_candidate_fails_alone_and_is_retried_from_a_batch():
    job = whole(2)
    first, second = job.timed_out(2.0, 4.5)
    assert first.timed_out(2.0, 2.5) == []
    second.answered([Outcome()], 1.0)
    assert told(job) == [(10, "timeout: no answer within 2 s", 2.5, "timeout"), (11, None, 1.0, "retried")]


@pytest.mark.parametrize("size", [1, 3])
def test_only_a_candidate_that_loses_its_worker_twice_fails(size):
    job = whole(size)
    first, *others = job.lost("killed by SIGKILL", 1.0)
    assert len(others) == size - 1
    assert first.lost("killed by SIGSEGV", 1.5) == []
    for other in others:
        other.answered([Outcome()], 1.0)
    lost, *fine = told(job)
    assert lost == (10, "lost its worker twice (killed by SIGSEGV)", 1.5, "lost")
    assert all(how == "retried" and failure is None for _, failure, _, how in fine)


def test_a_split_for_another_reason_leaves_both_chances():
    (part, _) = whole(2).raised("ValueError: no", 1.0)
    (again,) = part.lost("killed by SIGKILL", 1.0)
    assert again.lost("killed by SIGKILL", 1.0) == []
