"""The conformance kit: it passes what keeps the contract, and names what does not."""

import itertools

import pytest

from coevo import Evaluator, Outcome, Space
from coevo.testing import check_evaluator, check_space

SPACE = Space("line/v1", lambda pick: pick.integer("x", 0, 99))


class Good(Evaluator):
    id, metrics, batch = "good", {"y": "ms"}, 4

    def setup(self, context):
        self.ready = True

    def evaluate(self, candidates, context):
        assert self.ready and context.device == "cpu"
        for candidate in candidates:
            (candidate.scratch / "log.txt").write_text("seen")
        return [Outcome({"y": float(candidate.value)}) for candidate in candidates]


def test_a_good_space_and_a_good_evaluator_pass():
    report = check_space(SPACE)
    assert report.samples == 100 and report.questions == (1, 1) and report.children == 1.0
    outcomes = check_evaluator(Good(), SPACE)
    assert len(outcomes) == 6 and all(outcome.ok for outcome in outcomes)
    check_evaluator(lambda x: {"y": x}, SPACE)


def test_an_outcome_that_failed_with_a_reason_passes():
    class Fails(Good):
        def evaluate(self, candidates, context):
            return [Outcome.failed("too small") for _ in candidates]

    assert check_evaluator(Fails(), SPACE)[0].failure == "too small"


def broken(**changes):
    return type("Broken", (Good,), changes)()


COUNTER = itertools.count()


@pytest.mark.parametrize(
    ("evaluator", "message"),
    [
        (broken(id=""), "Broken has no id"),
        (broken(metrics={}), "declares no metrics"),
        (broken(evaluate=lambda self, c, x: [Outcome({"y": 1.0})]), "returned 1 outcomes for 6 candidates"),
        (broken(evaluate=lambda self, c, x: [{"y": 1.0} for _ in c]), "expected an Outcome"),
        (broken(evaluate=lambda self, c, x: [Outcome({"z": 1.0}) for _ in c]), "metric 'y' is missing"),
        (broken(evaluate=lambda self, c, x: [Outcome({"y": float("nan")}) for _ in c]), "metric 'y' is NaN"),
        (broken(evaluate=lambda self, c, x: [Outcome({"y": next(COUNTER)}) for _ in c]), "asked twice: y of design"),
        (
            broken(evaluate=lambda self, c, x: [Outcome({"y": x.memo("k", lambda seed: next(COUNTER))}) for _ in c]),
            "asked twice: y of design",
        ),
        (broken(evaluate=lambda self, c, x: [Outcome({"y": len(c)}) for _ in c]), "in a batch and alone: y of design"),
        (broken(cache_key=lambda self, value: 3), "cache_key must be a text or None, got 3"),
    ],
)
def test_a_broken_evaluator_is_named(evaluator, message):
    with pytest.raises(AssertionError, match=message):
        check_evaluator(evaluator, SPACE)
