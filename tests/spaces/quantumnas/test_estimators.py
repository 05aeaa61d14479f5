"""Estimators: success rates, trajectories, none; on circuits that are too large to be followed exactly too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from coevo.errors import InputError
from coevo.search.canonical import stream
from coevo.search.evaluator import Candidate, Context
from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas import Options, problem
from coevo.spaces.quantumnas.judging.estimators import corrected, standard_errors
from coevo.spaces.quantumnas.training.objectives import accuracy_and_loss
from coevo.testing import check_evaluator


def judged(made, prepared, designs):
    judge = made.stages[-1].evaluator
    judge.setup(Context(artifacts=prepared))
    return judge, judge.evaluate([Candidate(n, "", d, 0, Path()) for n, d in enumerate(designs)], Context())


@pytest.mark.parametrize("variant", ["success_rate", "estnoise"])
def test_success_rates_correct_the_noise_free_values(variant, small_options, prepared, sampled, evaluator):
    from coevo.cost_models.circuit_noise import success_rate

    made = problem(**small_options, estimator=variant)
    assert made.objectives == {"estimated_loss": "min", "two_qubit_gates": "min"}
    designs = sampled(3)
    judge, outcomes = judged(made, prepared, designs)
    exact = evaluator.evaluate([Candidate(n, "", d, 0, Path()) for n, d in enumerate(designs)], Context())
    check_evaluator(judge, made.space, 3, artifacts=prepared)
    for design, outcome, other in zip(designs, outcomes, exact, strict=True):
        found = outcome.metrics
        angles = judge.angles([design.layers])[design.layers]
        mapped = judge._scorer.map(design, angles)
        wanted = success_rate(
            mapped.whole(), judge._scorer.device, variant="full" if variant == "success_rate" else "estnoise"
        )
        assert found["success_rate"] == wanted
        active = judge.setting.template.actives([design.layers])
        logits = judge._validation.logits(angles[None], active)[0]
        accuracy, loss = accuracy_and_loss(logits, judge._validation.labels)
        assert found["estimated_loss"] == pytest.approx(loss / wanted)
        assert found["estimated_accuracy"] == pytest.approx(accuracy * wanted)
        assert {name: found[name] for name in ("two_qubit_gates", "depth", "parameters", "noise_free_accuracy")} == {
            name: other.metrics[name] for name in ("two_qubit_gates", "depth", "parameters", "noise_free_accuracy")
        }
    full = [outcome.metrics["success_rate"] for outcome in outcomes]
    pairs = [outcome.metrics["two_qubit_gates"] for outcome in outcomes]
    assert np.argmax(full) == np.argmin(pairs)


def test_gate_errors_alone_are_the_milder_estimate(small_options, prepared, sampled):
    rates = []
    for variant in ("success_rate", "estnoise"):
        _, outcomes = judged(problem(**small_options, estimator=variant), prepared, sampled(2))
        rates.append([outcome.metrics["success_rate"] for outcome in outcomes])
    assert (np.array(rates[0]) < np.array(rates[1])).all()


@pytest.mark.parametrize("energy", [-1.5, 0.7, 0.0])
def test_noise_never_improves_an_energy(energy):
    better, worse = (corrected({"energy": energy}, success)["estimated_energy"] for success in (0.9, 0.5))
    assert energy <= better <= worse
    if energy:
        assert energy < better < worse
    if energy < 0:
        assert better == energy * 0.9  # the artifact's score of VQE


def test_an_energy_is_estimated(tmp_path):
    made = problem(data="h2", supercircuit_steps=20, max_blocks=1, fine_tune_steps=10, estimator="success_rate")
    assert made.objectives == {"estimated_energy": "min", "two_qubit_gates": "min"}
    designs = [made.space.build(made.space.sample(stream(0, "h2", index))) for index in range(3)]
    _, outcomes = judged(made, made.prepare(WorkContext(tmp_path, 0)), designs)
    for outcome in outcomes:
        found = outcome.metrics
        assert set(found) == set(made.stages[0].evaluator.metrics)
        assert found["estimated_energy"] == pytest.approx(found["noise_free_energy"] * found["success_rate"])
        assert found["estimated_energy"] > found["noise_free_energy"]


def test_trajectories_scatter_around_the_exact_scores(small_options, prepared, sampled, evaluator):
    options = small_options | {"validation_examples": 20}
    designs = sampled(2)
    _, outcomes = judged(problem(**options, estimator="trajectories", trajectories=200), prepared, designs)
    _, exact = judged(problem(**options), prepared, designs)
    for outcome, wanted in zip(outcomes, exact, strict=True):
        found = outcome.metrics
        assert 0 < found["noisy_loss_standard_error"] < 0.05
        assert 0 <= found["noisy_accuracy_standard_error"] < 0.2
        assert abs(found["noisy_loss"] - wanted.metrics["noisy_loss"]) < 4 * found["noisy_loss_standard_error"] + 0.005
        assert (
            abs(found["noisy_accuracy"] - wanted.metrics["noisy_accuracy"])
            <= 4 * found["noisy_accuracy_standard_error"] + 0.051
        )


def test_standard_errors_are_those_of_repeated_sampling():
    rng = np.random.default_rng(0)
    examples, classes = 30, 4
    mean = rng.normal(0, 0.6, (examples, classes))
    labels = np.where(rng.random(examples) < 0.6, mean.argmax(axis=1), rng.integers(0, classes, examples))
    roots = rng.normal(0, 0.02, (examples, classes, classes))
    covariance = roots @ roots.transpose(0, 2, 1)
    draws = mean + np.einsum("scd,nsd->nsc", roots, rng.normal(0, 1, (4000, examples, classes)))
    scores = np.array([accuracy_and_loss(logits, labels) for logits in draws])
    of_accuracy, of_loss = standard_errors(mean, covariance, labels)
    assert of_loss == pytest.approx(scores[:, 1].std(), rel=0.1)
    assert of_accuracy == pytest.approx(scores[:, 0].std(), rel=0.2)


def test_without_an_estimator_nothing_is_mapped(small_options, prepared, sampled, evaluator, monkeypatch):
    made = problem(**small_options, estimator="none")
    assert made.objectives == {"noise_free_accuracy": "max"}

    def opened(*_):
        raise AssertionError("a device was opened")

    monkeypatch.setattr("coevo.spaces.quantumnas.mapping.couplings.open_device", opened)
    designs = sampled(3)
    judge, outcomes = judged(made, prepared, designs)
    exact = evaluator.evaluate([Candidate(n, "", d, 0, Path()) for n, d in enumerate(designs)], Context())
    assert set(judge.metrics) == {"noise_free_accuracy", "noise_free_loss", "parameters"}
    for outcome, wanted in zip(outcomes, exact, strict=True):
        assert set(outcome.metrics) == set(judge.metrics)
        for name in ("noise_free_accuracy", "parameters"):
            assert outcome.metrics[name] == wanted.metrics[name]


LARGE = {
    "data": "mnist10",
    "layout": "qiskit",
    "max_blocks": 1,
    "train_examples": 20,
    "validation_examples": 10,
    "supercircuit_steps": 0,
    "fine_tune_steps": 0,
}


@pytest.mark.parametrize("device", ["FakeGuadalupeV2", "FakeMontrealV2", "FakeBrooklynV2"])
def test_large_devices_take_the_estimators_and_the_exact_one_names_them(device, tmp_path):
    made = problem(**LARGE, device=device)
    prepared = made.prepare(WorkContext(tmp_path, 0))
    line = made.space.build(made.space.sample(stream(0, "large", 0)))
    whole = type(line)(line.layout, (tuple(range(10)), tuple(range(10))))
    judge, (refused,) = judged(made, prepared, [whole])
    mapped = judge._scorer.map(whole, judge.angles([whole.layers])[whole.layers])
    assert len({qubit for instruction in mapped.body.data for qubit in instruction.qubits}) > 10
    assert not refused.ok
    assert "max_qubits=10" in refused.failure
    assert all(f'"{name}"' in refused.failure for name in ("success_rate", "estnoise", "trajectories"))
    for variant in ("success_rate", "estnoise"):
        _, (outcome,) = judged(problem(**LARGE, device=device, estimator=variant), prepared, [whole])
        assert 0 < outcome.metrics["success_rate"] < 1
        assert outcome.metrics["estimated_loss"] > outcome.metrics["estimated_accuracy"]
    if device == "FakeGuadalupeV2":
        _, (outcome,) = judged(
            problem(**LARGE, device=device, estimator="trajectories", trajectories=2), prepared, [whole]
        )
        assert outcome.metrics["noisy_loss_standard_error"] > 0
        assert outcome.metrics["noisy_loss"] == pytest.approx(np.log(10), abs=1)


def test_a_task_that_is_too_large_is_refused_before_anything_is_trained():
    from coevo.spaces.quantumnas.judging.estimators import check_size
    from coevo.spaces.quantumnas.setting import Setting
    from coevo.spaces.quantumnas.tasks.hamiltonian import PauliSum
    from coevo.spaces.quantumnas.tasks.task import GroundState

    ising = GroundState("ising", PauliSum(("Z" * 12, "X" + "I" * 11), np.array([1.0, 0.5]), "J"))
    options = {"device": "FakeGuadalupeV2", "max_blocks": 1}
    with pytest.raises(InputError, match=r'ising has 12 qubits.*up to 10.*"success_rate".*"trajectories"'):
        check_size(Setting.make(Options(**options), ising))
    check_size(Setting.make(Options(**options, estimator="estnoise"), ising))
    with pytest.raises(InputError, match=r"trajectories.*readout of a classification"):
        problem(data="h2", estimator="trajectories")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"estimator": "exactly"}, "Input should be 'exact'"),
        ({"estimator": "trajectories", "trajectories": 1}, "greater than or equal to 2"),
        ({"trajectories": 8}, 'trajectories = 8 has no effect without estimator = "trajectories"'),
        ({"drift_spread": 0.1}, "drift_spread = 0.1 has no effect without drifts"),
        ({"noise_scales": (1.0,)}, "distinct noise scales"),
        ({"noise_scales": (2.0, 2.0)}, "distinct noise scales"),
        ({"noise_scales": (-1.0,)}, "distinct noise scales"),
        ({"noise_scales": (2.0,), "estimator": "estnoise"}, "need estimator = \"exact\", got 'estnoise'"),
        ({"ladder": True, "estimator": "estnoise"}, "is cheap itself"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, says):
    with pytest.raises(ValidationError, match=says):
        Options(**options)
