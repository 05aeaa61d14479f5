"""QuantumNAS as a scikit-learn estimator: arrays in, a circuit on a device out."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    from coevo.errors import missing_extra

    raise missing_extra("scikit-learn", "quantum") from error

from coevo.errors import InputError, MissingExtra
from coevo.search.environment import packages
from coevo.search.problem import WorkContext
from coevo.search.study import Study
from coevo.search.trial import Trial
from coevo.spaces.quantumnas.definition import problem_of
from coevo.spaces.quantumnas.export.fitted import FittedCircuit
from coevo.spaces.quantumnas.export.loading import Layout
from coevo.spaces.quantumnas.export.settle import Settled, settle
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.arrays import classification_from_arrays
from coevo.spaces.quantumnas.tasks.catalogue import GIVEN
from coevo.spaces.quantumnas.tasks.scaling import AngleScaler
from coevo.spaces.quantumnas.tasks.task import Classification, Held
from coevo.spaces.quantumnas.training.objectives import log_softmax
from coevo.spaces.quantumnas.training.threads import one_thread

Real = NDArray[np.float64]

OWN_OPTIONS = (
    "gates", "device", "max_blocks", "supercircuit_steps", "fine_tune_steps", "scratch_steps", "scratch_restarts",
)  # fmt: skip
"""Fields of `Options` that are parameters of the estimator."""
DATA_OPTIONS = ("data", "data_path", "data_seed", "train_examples", "validation_examples", "test_examples")
"""Fields of `Options` that `fit(X, y)` takes the place of."""


class QuantumNASClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A variational quantum classifier whose circuit and qubit mapping are co-searched for a device under its noise
    (QuantumNAS: Wang et al., HPCA 2022, section 4), with scikit-learn's interface.

    `fit` turns columns into angles, trains the SuperCircuit, searches, trains the best design from fresh weights and
    maps it. Predictions are exact expectation values (infinitely many shots) under the calibrated noise of `device`.
    Needs the extra `quantum`.

    Columns are scaled to -pi/2 .. pi/2 rad by quantiles of the training rows. More columns than four a qubit become
    that many principal components first; fewer than qubits are encoded several times, on different qubits. A class is
    read out from a qubit of its own or more, so ten classes need a device of ten qubits; exact noise ends at ten.

    Args:
        gates: gate set of the SuperCircuit, see `[options] gates`.
        device: a fake backend of qiskit-ibm-runtime by its class name, or the path of a calibration snapshot (.json).
        seed: of everything random; equal seeds give equal classifiers, whatever `n_jobs`.
        trials: designs that the search judges, at least 1.
        population: of the evolutionary search (NSGA-II), at least 2; the first so many designs are random.
        lag: outcomes that the search may be without when it proposes a design. Designs are judged in batches of 8, so
            more than (lag + 1) / 8 workers would wait.
        n_qubits: logical qubits; one for each class or column unless given, at least 2 and for columns at most 4.
        max_blocks: most blocks of a circuit; the gate set's own number unless given.
        supercircuit_steps: steps of training the SuperCircuit.
        fine_tune_steps: steps from inherited weights before a candidate is judged.
        scratch_steps: steps of training the best design from fresh weights.
        scratch_restarts: such trainings; the one that is best under noise on validation rows is kept.
        validation_fraction: share of the rows, 0 to 1, that choose designs and restarts and are not trained on; at
            least a row of each class.
        noisy: whether predictions are those of the noisy device; without noise otherwise. It may be changed after
            fitting. The search is always under noise.
        n_jobs: worker processes of the search, as scikit-learn counts: None is 1, -1 all CPUs, -2 all but one.
            1 works in this process.
        options: further fields of `coevo.spaces.quantumnas.Options`, such as {"noise_aware_steps": 300}.
        verbose: whether `fit` prints a line a phase.

    Attributes:
        classes_: [classes], sorted.
        n_features_in_, feature_names_in_: columns of X, and their names where X had text ones.
        n_qubits_: logical qubits.
        design_: the `CoDesign`: gates by layer, and the physical qubits.
        circuit_: the QuantumCircuit on the device, in its gates: weights bound, inputs x[..] (radians) unbound.
        layout_: `Layout`: physical qubits before and after the circuit, and the device's fingerprint.
        weights_: float64 [angles of the design], radians.
        scaler_: `AngleScaler`: `scaler_.angles(X)` is what x[..] is bound to.
        front_: the designs that nothing beats, a dict each: key, metrics and answers.
        history_: every design that was judged, in order, a dict each: key, metrics and, of a failed one, its failure.
        measured_: what was found when the design was settled, such as "noisy_validation_accuracy".

    `fit` raises ValueError for what scikit-learn refuses (NaN, sparse rows, one class...), for a class with a single
    row, parameters out of range, options that do not fit together, and a device with too few qubits. Sample weights
    are not supported.
    """

    def __init__(
        self,
        gates: str = "u3cu3",
        device: str = "FakeQuitoV2",
        seed: int = 0,
        *,
        trials: int = 200,
        population: int = 40,
        lag: int = 15,
        n_qubits: int | None = None,
        max_blocks: int | None = None,
        supercircuit_steps: int = 2000,
        fine_tune_steps: int = 100,
        scratch_steps: int = 1500,
        scratch_restarts: int = 3,
        validation_fraction: float = 0.15,
        noisy: bool = True,
        n_jobs: int | None = None,
        options: Mapping[str, Any] | None = None,
        verbose: bool = False,
    ):
        self.gates = gates
        self.device = device
        self.seed = seed
        self.trials = trials
        self.population = population
        self.lag = lag
        self.n_qubits = n_qubits
        self.max_blocks = max_blocks
        self.supercircuit_steps = supercircuit_steps
        self.fine_tune_steps = fine_tune_steps
        self.scratch_steps = scratch_steps
        self.scratch_restarts = scratch_restarts
        self.validation_fraction = validation_fraction
        self.noisy = noisy
        self.n_jobs = n_jobs
        self.options = options
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike) -> QuantumNASClassifier:
        """Searches and trains a circuit for X [rows, columns] and y [rows]."""
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        classes, labels = np.unique(np.asarray(y), return_inverse=True)
        with _value_errors():
            options = self._options()
            task, scaler = self._task(np.asarray(X), labels, classes)
            setting = Setting.make(options, task)
            fitted, history, front, config = self._search(setting)
        self.classes_, self.scaler_ = classes, scaler
        self.n_qubits_ = task.n_qubits
        self._fitted, self._config = fitted, config
        self.design_, self.circuit_, self.measured_ = fitted.design, fitted.isa, dict(fitted.measured)
        self.layout_ = Layout(fitted.mapped.initial, fitted.mapped.final, fitted.device.fingerprint())
        self.weights_ = fitted.angles[setting.template.used_angles(fitted.design.layers)]
        self.front_, self.history_ = front, history
        return self

    def decision_function(self, X: ArrayLike) -> Real:
        """Logits [rows, classes], sums of the expectation values of a class's qubits; of two classes the second minus
        the first [rows]."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: ArrayLike) -> Real:
        """Softmax of the logits [rows, classes]. A qubit's expectation value lies within -1 .. 1, so probabilities are
        never near 0 or 1, less so under noise: they rank classes, and want calibration (`CalibratedClassifierCV`)
        where they are taken at their word."""
        probabilities: Real = np.exp(log_softmax(self._logits(X)))
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Classes [rows] of X [rows, columns]: those of the largest logits."""
        logits = self._logits(X)
        predicted: NDArray[Any] = self.classes_[logits.argmax(axis=1)]
        return predicted

    def export(self, folder: Path | str) -> dict[str, Any]:
        """Writes the folder that `coevo export` writes, with the weights and the circuit as they are; returns what its
        `measurements.json` holds. `coevo.spaces.quantumnas.load` reads it back. ValueError where the folder is not
        empty or cannot be made."""
        check_is_fitted(self)
        with _value_errors():
            return self._fitted.write(folder, self._config["search"]["seed"], self._provenance())

    def _logits(self, X: ArrayLike) -> Real:
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        with _value_errors():
            return self._fitted.logits(self.scaler_.angles(np.asarray(rows)), self.noisy)

    def _options(self) -> Options:
        """The parameters, checked; pydantic's ValidationError is a ValueError."""
        for name, least in (("seed", 0), ("trials", 1), ("population", 2), ("lag", 0)):
            _whole(name, getattr(self, name), least)
        if self.n_qubits is not None:
            _whole("n_qubits", self.n_qubits, 2)
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction must lie between 0 and 1, got {self.validation_fraction!r}")
        further = dict(self.options or {})
        for name, value in further.items():
            if name in OWN_OPTIONS:
                raise ValueError(f"options: {name!r} is a parameter of its own; give {name}={value!r}")
            if name in DATA_OPTIONS:
                raise ValueError(f"options: {name!r} says where data come from, and fit(X, y) is given them")
        return Options(data=GIVEN, **{name: getattr(self, name) for name in OWN_OPTIONS}, **further)

    def _task(self, rows: Real, labels: NDArray[np.int64], classes: NDArray[Any]) -> tuple[Classification, AngleScaler]:
        if len(classes) < 2:
            raise ValueError(f"a classifier needs two classes or more, y has 1 class: {classes.tolist()[0]!r}")
        for name, count in zip(classes.tolist(), np.bincount(labels), strict=True):
            if count < 2:
                raise ValueError(
                    f"class {name!r} has 1 row, and needs one to train and one to validate; give more rows of it, or "
                    "leave the class out"
                )
        validation = max(len(classes), round(len(labels) * self.validation_fraction))
        validation = min(validation, len(labels) - len(classes))  # a row a class is left to train
        task, scaler = classification_from_arrays(
            rows,
            labels,
            n_qubits=self.n_qubits,
            seed=self.seed,
            train=len(labels) - validation,
            validation=validation,
            test=0,
        )
        read = Held(task.read_training())  # once: scaled examples travel to workers, not raw rows
        names = tuple(map(str, classes.tolist()))
        return replace(task, classes=names, read_training=read, read_scaler=Held(scaler)), scaler

    def _search(self, setting: Setting) -> tuple[FittedCircuit, list[Any], list[Any], dict[str, Any]]:
        workers = _workers(self.n_jobs)
        say = _Speaker(self.verbose)
        with Study(
            problem_of(setting),
            algorithm_options={"population": self.population},
            seed=self.seed,
            lag=self.lag,
            runner="inline" if workers == 1 else "local",
            workers=workers,
        ) as study:
            study.prepare()
            say(f"SuperCircuit of {setting.template.gate_set.title} trained, {setting.n_qubits} qubits")
            front = study.run(trials=self.trials)
            history = [_told(trial) for trial in study.trials()]
            if not len(front):
                failures = Counter(str(row.get("failure", "no finite metrics")) for row in history)
                raise InputError(
                    f"none of the {len(history)} designs could be judged; most often: {failures.most_common(1)[0][0]}"
                )
            best = front.best()
            say(f"{len(history)} designs judged, the best: {_shown(best)}")
            value = study.space.build(best.design)
            config = study.config
            table = front.table()
        settled = _settled(setting, value, self.seed)
        say(f"trained from scratch: noisy validation accuracy {settled.measured['noisy_validation_accuracy']:.4f}")
        return FittedCircuit.of(setting, best, settled), history, table, config

    def _provenance(self) -> dict[str, Any]:
        return {
            "run": self._config,
            "fitted_by": type(self).__name__,
            "rows": {"columns": int(self.n_features_in_), "validation_fraction": float(self.validation_fraction)},
            "exported_with": {"packages": packages()},
        }


class _Speaker:
    """Prints lines with the seconds since it was made, if it is to."""

    def __init__(self, aloud: bool):
        self._began = time.monotonic()
        self._aloud = aloud

    def __call__(self, text: str) -> None:
        if self._aloud:
            print(f"[QuantumNASClassifier] {time.monotonic() - self._began:6.1f} s  {text}")


def _settled(setting: Setting, design: Any, seed: int) -> Settled:
    with TemporaryDirectory(prefix="coevo-") as folder, one_thread():
        return settle(setting, design, WorkContext(Path(folder), seed), test=False)


def _told(trial: Trial) -> dict[str, Any]:
    row = {"index": trial.index, "key": trial.design.key, "metrics": dict(trial.outcome.metrics)}
    return row if trial.outcome.ok else {**row, "failure": trial.outcome.failure}


def _shown(trial: Trial) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in trial.outcome.metrics.items())


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number of {least} or more, got {value!r}")


def _workers(n_jobs: int | None) -> int:
    if n_jobs is None:
        return 1
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0:
        raise ValueError(f"n_jobs must be None, a number of workers, or -1 for all CPUs, got {n_jobs!r}")
    return int(n_jobs) if n_jobs > 0 else max(1, len(os.sched_getaffinity(0)) + 1 + int(n_jobs))


@contextmanager
def _value_errors() -> Iterator[None]:
    """What coevo refuses is a ValueError in scikit-learn's world, where callers catch those."""
    try:
        yield
    except MissingExtra:
        raise
    except InputError as error:
        raise ValueError(str(error)) from error
