"""The cheap stage before the exact one: what it gives, who goes on, and that the exact stage stays what it is."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from coevo import Study
from coevo.errors import InputError
from coevo.report import write_report
from coevo.search.agreement import kendall
from coevo.search.evaluator import Candidate, Context
from coevo.search.problem import WorkContext
from coevo.search.registry import load_problem, options_of
from coevo.search.run import Run
from coevo.spaces.quantumnas import CoDesign, Options, problem
from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.judging.estimate import QuickEstimate, equally_many
from coevo.spaces.quantumnas.mapping.couplings import Coupling
from coevo.spaces.quantumnas.mapping.routing import RoutingEstimate
from coevo.spaces.quantumnas.setting import Setting
from coevo.testing import check_evaluator

NAME = "coevo.spaces.quantumnas:problem"
LINE = Coupling(5, ((0, 1), (1, 2), (2, 3), (3, 4)))
TEMPLATE = Template(GATE_SETS["u3cu3"], 4, 3)


def co_design(layout, *widths):
    """Front shares of every layer."""
    return CoDesign(layout, tuple(tuple(range(width)) for width in widths))


@pytest.fixture(scope="session")
def ladder_options(small_options):
    return small_options | {"ladder": True, "ladder_share": 0.3, "ladder_steps": 3, "ladder_examples": 40}


@pytest.fixture(scope="session")
def ladder(ladder_options, prepared):
    """The ladder's problem with the SuperCircuit that the other tests use."""
    return dataclasses.replace(problem(**ladder_options), prepare=lambda context: _copied(prepared, context.folder))


def _copied(prepared, folder):
    return {name: Path(shutil.copy(path, folder)) for name, path in prepared.items()}


@pytest.fixture(scope="session")
def quick(ladder, prepared):
    judge = ladder.stages[0].evaluator
    judge.setup(Context(artifacts=prepared))
    return judge


def judged(evaluator, values):
    candidates = [Candidate(index, "", value, 0, Path()) for index, value in enumerate(values)]
    return [outcome.metrics for outcome in evaluator.evaluate(candidates, Context())]


def search(ladder, folder=None, trials=32):
    return Study(ladder, algorithm_options={"population": 8}, lag=31, seed=3, runner="inline", folder=folder), trials


def fingerprint(trials):
    return [
        (t.index, t.design.key, t.stage, t.outcome.metrics, [(r.stage, r.metrics) for r in t.earlier]) for t in trials
    ]


def test_the_ladder_is_off_unless_asked_for(small_problem, ladder):
    assert [stage.name for stage in small_problem.stages] == ["noisy"]
    assert [(stage.name, stage.share) for stage in ladder.stages] == [("estimate", 0.3), ("noisy", 1.0)]
    assert problem(**ladder.options).options == ladder.options
    described = {option.name: option for option in options_of(NAME)}
    assert described["ladder"].default is False and "first" in described["ladder"].description


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ladder_share": 0.5}, "ladder_share = 0.5 has no effect without ladder = true"),
        ({"ladder": True, "ladder_share": 0.0}, "option 'ladder_share': expected.*greater than 0, got 0"),
        ({"ladder": True, "ladder_share": 1.5}, "option 'ladder_share': expected.*less than or equal to 1, got 1.5"),
        ({"ladder": True, "layout": "qiskit"}, "the ladder estimates the routing of a layout"),
    ],
)
def test_wrong_ladders_are_refused(options, says):
    with pytest.raises(InputError, match=says):
        load_problem(NAME, options)


def test_the_cheap_stage_keeps_the_contract_and_gives_every_metric(ladder, quick, evaluator, prepared):
    outcomes = check_evaluator(ladder.stages[0].evaluator, ladder.space, 4, artifacts=prepared)
    assert quick.metrics == evaluator.metrics
    for outcome in outcomes:
        assert outcome.ok and set(outcome.metrics) == set(evaluator.metrics)
        assert outcome.metrics["noisy_accuracy"] == outcome.metrics["noise_free_accuracy"] > 0.1


def test_an_estimate_does_not_depend_on_its_batch(quick, sampled):
    designs = sampled(6)
    designs.append(CoDesign(designs[0].layout[::-1], designs[0].layers))  # the same circuit elsewhere
    together = judged(quick, designs)
    assert together[0]["noisy_accuracy"] == together[-1]["noisy_accuracy"]
    for design, metrics in zip(designs, together, strict=True):
        assert judged(quick, [design])[0] == pytest.approx(metrics, abs=0.0201)  # two of a hundred images, by rounding


def test_with_the_full_tuning_it_is_the_exact_stage_without_noise(small_options, prepared, sampled, evaluator):
    full = QuickEstimate(Setting.make(Options(**small_options, ladder=True, ladder_steps=5, ladder_examples=200)))
    full.setup(Context(artifacts=prepared))
    for estimate, exact in zip(judged(full, sampled(5)), judged(evaluator, sampled(5)), strict=True):
        assert estimate["noise_free_accuracy"] == pytest.approx(exact["noise_free_accuracy"], abs=0.0101)
        assert estimate["parameters"] == exact["parameters"]


def test_it_tunes_on_equally_many_examples_of_every_class(setting):
    training, _ = setting.task.read_training()
    part = equally_many(training, 40, 4)
    assert np.bincount(part.labels).tolist() == [10, 10, 10, 10]
    rows = {row.tobytes() for row in training.inputs}
    assert all(row.tobytes() in rows for row in part.inputs)


def test_routing_is_estimated():
    route = RoutingEstimate(LINE, TEMPLATE)
    assert route(co_design((0, 1, 2, 3), 4, 3)) == (6, 2 + 3 * 5)  # each waits for the one before
    # The ring closes from 3 to 0, three couplings away: two swaps.
    assert route(co_design((0, 1, 2, 3), 4, 4))[0] == 8 + 2 * 3
    # Swapped qubits stay where they are: logical 0 -> 1 walks 2 -> 1, its neighbour makes room.
    assert route(co_design((2, 0, 1, 3), 1, 1))[0] == 2 + 3
    assert route(co_design((2, 0, 1, 3), 1, 1, 1, 1))[0] == 2 + 3 + 2
    # Past an empty qubit and two others to the far end.
    assert route(co_design((0, 4, 2, 3), 1, 1))[0] == 3 * 3 + 2
    ring = Coupling(4, ((0, 1), (1, 2), (2, 3), (0, 3)))
    assert (
        route(co_design((0, 1, 2, 3), 4, 4, 4, 4))[0]
        > RoutingEstimate(ring, TEMPLATE)(co_design((0, 1, 2, 3), 4, 4, 4, 4))[0]
        == 2 * 8
    )


def test_the_estimated_gates_rank_as_qiskits_do(quick, evaluator, sampled):
    designs = sampled(16)
    estimated, exact = judged(quick, designs), judged(evaluator, designs)
    for metric in ("two_qubit_gates", "depth"):
        tau, low, _ = kendall([m[metric] for m in estimated], [m[metric] for m in exact])
        assert tau > 0.6 and low > 0.3, metric


def test_a_search_promotes_and_the_exact_stage_gives_what_it_always_gives(ladder, evaluator, tmp_path):
    study, trials = search(ladder, tmp_path / "run")
    with study:
        front = study.run(trials=trials)
        told = list(study.trials())
        agreements = study.agreements()
    exact = [trial for trial in told if trial.stage == "noisy"]
    assert 0.2 * trials <= len(exact) <= 0.75 * trials
    assert all(trial.stage == "noisy" for trial in front)
    assert {agreement.metric for agreement in agreements} == {"noisy_accuracy", "two_qubit_gates"}
    values = [ladder.space.build(trial.design) for trial in exact]
    assert judged(evaluator, values) == [trial.outcome.metrics for trial in exact]
    page = write_report(Run.open(tmp_path / "run"), ladder).read_text(encoding="utf-8")
    assert "estimate" in page


def test_an_interrupted_ladder_resumes_to_the_same(ladder, tmp_path):
    study, trials = search(ladder)
    with study:
        study.run(trials=trials)
        expected = fingerprint(study.trials())
    for stop_after in (16, trials):
        part, _ = search(ladder, tmp_path / "run")
        with part:
            part.run(trials=stop_after)
    assert fingerprint(Run.open(tmp_path / "run").trials()) == expected


def test_a_design_of_the_ladder_is_exported_as_any_other(ladder, prepared, tmp_path):
    answers = {"layout": [1, 0, 3, 4], "blocks": 1, "block0.u3": 4, "block0.cu3": 2}
    measured = ladder.export(ladder.space.design(answers), WorkContext(tmp_path, 0, prepared))
    assert 0 < measured["noisy_test_accuracy"] < 1
    assert ladder.verify(tmp_path) == []
