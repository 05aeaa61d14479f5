"""Successive halving: budgets reach evaluators in every runner, checkpoints go on, and it beats full evaluation."""

import math
import statistics
from pathlib import Path

import pytest

from coevo import Evaluator, Outcome, Problem, Space, Stage, Study, successive_halving
from coevo.errors import ConfigError
from coevo.search.canonical import stream

SPACE = Space("net/v1", lambda pick: [pick.one(f"layer{i}", (0, 1, 2, 3, 4)) for i in range(8)])
BUDGETS = (1, 3, 9)


class Training(Evaluator):
    """Loss falls with the epochs towards what the design is worth; a checkpoint counts the epochs trained so far."""

    id, metrics = "training", {"loss": "", "epochs": "epochs", "paid": "epochs"}

    def setup(self, context):
        self.epochs = context.budget

    def evaluate(self, candidates, context):
        assert self.epochs == context.budget, "every stage is set up with its own budget"
        outcomes = []
        for candidate in candidates:
            before = int(candidate.artifacts["checkpoint"].read_text()) if candidate.artifacts else 0
            path = candidate.scratch / "checkpoint"
            path.write_text(str(int(context.budget)))
            worth = 0.1 * sum((choice - i % 5) ** 2 for i, choice in enumerate(candidate.value))
            noise = stream(candidate.key).gauss(0, 0.4) / context.budget
            metrics = {"loss": worth + noise, "epochs": context.budget, "paid": context.budget - before}
            outcomes.append(Outcome(metrics, artifacts={"checkpoint": path}))
        return outcomes


def problem(**options):
    return Problem("halving", SPACE, successive_halving(Training(), BUDGETS), {"loss": "min"}, options=options)


def made():
    """What a worker imports by name."""
    return problem()


def fingerprint(study):
    return [(t.index, t.design.key, t.stage, dict(t.outcome.metrics)) for t in study.trials()]


def searched(subject, **options):
    defaults = {"runner": "inline", "lag": 15, "algorithm_options": {"population": 20}, "seed": 3}
    study = Study(subject, **(defaults | options))
    study.run(trials=120)
    return study


def test_a_rung_a_budget_each_with_its_share():
    stages = successive_halving(Training(), (1, 4, 16), eta=4)
    assert [(s.name, s.share, s.budget) for s in stages] == [
        ("budget 1", 0.25, 1.0),
        ("budget 4", 0.25, 4.0),
        ("budget 16", 1.0, 16.0),
    ]


def test_budgets_reach_the_evaluator_and_checkpoints_go_on():
    with searched(problem()) as study:
        trials = list(study.trials())
    by_stage = {}
    for trial in trials:
        by_stage.setdefault(trial.stage, []).append(trial)
        epochs = float(trial.stage.removeprefix("budget "))
        assert trial.outcome.metrics["epochs"] == epochs
        paid = [result.metrics["paid"] for result in trial.earlier] + [trial.outcome.metrics["paid"]]
        assert sum(paid) == epochs, "each epoch is paid for once"
    counts = [len(by_stage[f"budget {budget}"]) for budget in BUDGETS]
    assert counts[0] > counts[1] > 0 and counts[2] > 0
    assert all(trial.stage == "budget 9" for trial in study.front())


@pytest.mark.parametrize("workers", [2, 4])
def test_the_same_in_worker_processes(workers):
    with searched(problem()) as one:
        expected = fingerprint(one)
    with searched(problem(), runner="local", workers=workers) as several:
        assert fingerprint(several) == expected


def test_a_problem_by_name_gets_its_budgets_too(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from coevo.search.registry import load_problem

    with searched(problem()) as one:
        expected = fingerprint(one)
    named = load_problem(f"{Path(__file__).stem}:made", {})
    with searched(named, runner="local", workers=2) as several:
        assert fingerprint(several) == expected


def test_a_function_of_value_and_budget_will_do():
    def loss(value, epochs):
        return {"loss": sum(value) + 1.0 / epochs}

    stages = successive_halving(loss, (1, 2), eta=2, metrics={"loss": ""})
    with searched(Problem("function", SPACE, stages, {"loss": "min"})) as study:
        assert study.front().best().outcome.metrics["loss"] % 1 == 0.5


def test_it_beats_full_evaluation_at_equal_cost():
    """Ten seeds, 1,080 epochs each, NSGA-II on both sides: halving looks at more than twice as many designs."""
    ladders = {
        "full": [Stage("full", Training(), budget=27)],
        "halving": successive_halving(Training(), (*BUDGETS, 27)),
    }
    gains = []
    for seed in range(10):
        found = {}
        for name, stages in ladders.items():
            subject = Problem("cost", SPACE, stages, {"loss": "min"})
            with Study(subject, algorithm_options={"population": 20}, runner="inline", seed=seed) as study:
                while paid(study) < 1080:
                    study.run(trials=study.told + 6)
                found[name] = study.told, worth(study.front().best())
        assert found["halving"][0] > 2 * found["full"][0]
        gains.append(found["full"][1] - found["halving"][1])
    assert statistics.fmean(gains) > 2 * statistics.stdev(gains) / math.sqrt(len(gains)) > 0


def paid(study):
    return sum(t.outcome.metrics["paid"] + sum(r.metrics["paid"] for r in t.earlier) for t in study.trials())


def worth(trial):
    return sum((choice - i % 5) ** 2 for i, choice in enumerate(dict(trial.design.answers).values()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Training(), (3,)), "expected at least two budgets"),
        ((Training(), (3, 3)), r"budgets must rise from rung to rung, got \(3, 3\)"),
        ((Training(), (0, 3)), "a budget is a number above 0, got 0"),
        ((Training(), (1, 3), 1), "eta must be above 1"),
        ((lambda value, budget: {}, (1, 3)), r"a function needs metrics=\{name: unit\}"),
        ((Training, (1, 3)), r"expected an Evaluator or a function of \(value, budget\)"),
        ((Training(), (1, 3), 3, {"loss": ""}), "leave `metrics` out"),
    ],
)
def test_wrong_ladders_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        successive_halving(*arguments)
