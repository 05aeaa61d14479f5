"""How the noise of mapped circuits is judged, one class a way (option `estimator`).

Each takes mapped circuits (`mapping.circuits.Mapped`) and their noise-free metrics, and gives metrics or the reason why
a circuit cannot be judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.judging.robust import worst_case
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState
from coevo.spaces.quantumnas.training.objectives import accuracy_and_loss, calibrated_loss, log_softmax

Metrics = dict[str, float]
Real = NDArray[np.floating[Any]]
TRAJECTORY_SEED = 0
"""One for all circuits: equal circuits get equal numbers, and differences are less noisy than values."""


class Estimator(Protocol):
    """`free[i]` holds the noise-free accuracy and loss, or energy, of circuit i."""

    def __call__(self, mapped: Sequence[Any], free: Sequence[Mapping[str, float]]) -> list[Metrics | InputError]: ...


def estimator_of(setting: Setting, scorer: NoisyScorer) -> Estimator:
    """What the options ask for; "none" has no estimator."""
    name = setting.options.estimator
    if name == "exact":
        return Exact(setting, scorer)
    if name == "trajectories":
        return Trajectories(setting.options.trajectories, scorer)
    assert name != "none"
    return SuccessRate("full" if name == "success_rate" else "estnoise", scorer)


def check_size(setting: Setting) -> None:
    """InputError where the task is too large for the estimator, or is none that it can judge."""
    from coevo.cost_models.circuit_noise.batch import MAX_QUBITS

    options, task = setting.options, setting.task
    if options.estimator == "exact" and task.n_qubits > MAX_QUBITS:
        raise InputError(
            f"task {task.name} has {task.n_qubits} qubits, and exact noise is followed up to {MAX_QUBITS}; {_OTHERS}"
        )
    if (options.prune_ratios or options.noise_aware_steps) and task.n_qubits > MAX_QUBITS:
        raise InputError(
            f"task {task.name} has {task.n_qubits} qubits; pruning and training through the noise are judged by exact "
            f"noise, which is followed up to {MAX_QUBITS}; set prune_ratios = [] and noise_aware_steps = 0"
        )
    if options.estimator == "trajectories" and isinstance(task, GroundState):
        raise InputError(
            'estimator = "trajectories" samples the readout of a classification; an energy takes estimator = "exact", '
            '"success_rate" or "estnoise"'
        )


_OTHERS = (
    'choose estimator = "success_rate" (all calibrated errors), "estnoise" (gate errors alone, as QuantumNAS\'s '
    'artifact) or "trajectories" (sampled, with a standard error)'
)


class Exact:
    """Exact outputs with infinitely many shots; the worst case over other calibrations where one is asked for."""

    def __init__(self, setting: Setting, scorer: NoisyScorer):
        self._scorer = scorer
        self._robust = worst_case(setting, scorer)

    def __call__(self, mapped: Sequence[Any], free: Sequence[Mapping[str, float]]) -> list[Metrics | InputError]:
        found = self._robust.each(mapped) if self._robust else self._scorer.each(mapped)
        return [self._metrics(one, output) for one, output in zip(mapped, found, strict=True)]

    def _metrics(self, mapped: Any, output: Any) -> Metrics | InputError:
        from coevo.cost_models.circuit_noise.batch import MAX_QUBITS

        if isinstance(output, InputError):
            used = {qubit for instruction in mapped.body.data for qubit in instruction.qubits}
            return InputError(f"{output}. Or {_OTHERS}") if len(used) > MAX_QUBITS else output
        if self._robust:
            return self._robust.metrics(output)
        return measured(self._scorer, output)


def measured(scorer: NoisyScorer, output: Any) -> Metrics:
    """Noisy accuracy and losses of logits [examples, classes], or the energy."""
    if scorer.examples is None:
        return {"noisy_energy": float(output)}
    labels = scorer.examples.labels
    accuracy, loss = accuracy_and_loss(output, labels)
    return {"noisy_accuracy": accuracy, "noisy_loss": loss, "noisy_calibrated_loss": calibrated_loss(output, labels)}


class SuccessRate:
    """Noise-free values corrected by the chance that nothing goes wrong, as QuantumNAS's artifact scores circuits that
    are too large for its simulator: loss / success, accuracy * success.

    They are scores: they rank circuits and predict no measurement. An energy becomes energy * success where it is
    negative and energy / success where it is positive, so that noise always costs; the artifact has one formula a
    score, and its loss / success rewards noise as soon as the value is negative.
    """

    def __init__(self, variant: Literal["full", "estnoise"], scorer: NoisyScorer):
        self._variant = variant
        self._scorer = scorer

    def __call__(self, mapped: Sequence[Any], free: Sequence[Mapping[str, float]]) -> list[Metrics | InputError]:
        return [self._alone(one, values) for one, values in zip(mapped, free, strict=True)]

    def _alone(self, mapped: Any, free: Mapping[str, float]) -> Metrics | InputError:
        from coevo.cost_models.circuit_noise import success_rate

        try:
            success = success_rate(mapped.whole(), self._scorer.device, variant=self._variant)
        except InputError as error:
            return error
        if success <= 0:
            return InputError("the circuit has a gate that always fails, so its success rate is 0")
        return {"success_rate": success, **corrected(free, success)}


def corrected(free: Mapping[str, float], success: float) -> Metrics:
    """Noise-free values (accuracy and loss, or energy) corrected by a success rate above 0."""
    if "energy" in free:
        energy = free["energy"]
        return {"estimated_energy": energy * success if energy < 0 else energy / success}
    return {"estimated_accuracy": free["accuracy"] * success, "estimated_loss": free["loss"] / success}


class Trajectories:
    """Sampled noisy logits, and what sampling leaves uncertain of the accuracy and the loss."""

    def __init__(self, count: int, scorer: NoisyScorer):
        self._count = count
        self._scorer = scorer

    def __call__(self, mapped: Sequence[Any], free: Sequence[Mapping[str, float]]) -> list[Metrics | InputError]:
        return [self._alone(one) for one in mapped]

    def _alone(self, mapped: Any) -> Metrics | InputError:
        from coevo.cost_models.circuit_noise import trajectory_expectations

        scorer = self._scorer
        task, examples = scorer.task, scorer.examples
        assert isinstance(task, Classification) and examples is not None
        try:
            program = scorer.program(mapped)
            found = trajectory_expectations(program, examples.inputs, trajectories=self._count, seed=TRAJECTORY_SEED)
        except InputError as error:
            return error
        logits = found.mean @ task.head
        accuracy, loss = accuracy_and_loss(logits, examples.labels)
        # Covariances [examples, classes, classes] of the logits.
        spread = np.einsum("qc,sqr,rd->scd", task.head, found.covariance, task.head)
        of_accuracy, of_loss = standard_errors(logits, spread, examples.labels)
        return {
            "noisy_accuracy": accuracy,
            "noisy_loss": loss,
            "noisy_accuracy_standard_error": of_accuracy,
            "noisy_loss_standard_error": of_loss,
        }


def standard_errors(logits: Real, covariance: Real, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Standard errors of the accuracy and of the mean loss (nat) for logits [examples, classes] that are means with the
    covariance [examples, classes, classes], independent from example to example.

    The loss is taken as linear where it stands. An example's verdict is a coin whose chance to fall the other way is
    that of a normal variable: that the label's logit and the best other one change places.
    """
    count, rows = len(labels), np.arange(len(labels))
    slope = np.exp(log_softmax(logits))
    slope[rows, labels] -= 1
    of_loss = np.sqrt(max(0.0, float(np.einsum("sc,scd,sd->", slope, covariance, slope)))) / count
    others = logits.copy()
    others[rows, labels] = -np.inf
    rival = others.argmax(axis=1)
    margin = logits[rows, labels] - logits[rows, rival]
    variance = (
        covariance[rows, labels, labels] + covariance[rows, rival, rival] - 2 * covariance[rows, labels, rival]
    ).clip(min=1e-300)
    chance = _normal_cdf(margin / np.sqrt(variance))
    of_accuracy = float(np.sqrt(np.sum(chance * (1 - chance)))) / count
    return of_accuracy, of_loss


def _normal_cdf(x: Real) -> Real:
    from math import erf, sqrt

    return np.array([(1 + erf(value / sqrt(2))) / 2 for value in x.tolist()])
