"""QuantumNASClassifier: scikit-learn's own checks, real data, and that what is exported is what predicts."""

from __future__ import annotations

import json
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

pytest.importorskip("sklearn")

from qiskit.quantum_info import Statevector
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency, parametrize_with_checks

from coevo.errors import InputError
from coevo.search.verify import verify_export
from coevo.spaces.quantumnas import Options, QuantumNASClassifier, load
from coevo.spaces.quantumnas.definition import problem_of
from coevo.spaces.quantumnas.estimator import DATA_OPTIONS, OWN_OPTIONS
from coevo.spaces.quantumnas.setting import Setting

SMALL = {
    "trials": 4,
    "population": 2,
    "max_blocks": 2,
    "supercircuit_steps": 10,
    "fine_tune_steps": 2,
    "scratch_steps": 60,
    "scratch_restarts": 1,
    "options": {"scratch_learning_rate": 0.05, "supercircuit_batch": 32},
}
EXPECTED_FAILURES: dict[str, str] = {}  # of check_estimator, with reasons; docs name them too


@parametrize_with_checks(
    [QuantumNASClassifier(**SMALL)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES, xfail_strict=True
)
def test_what_scikit_learn_asks_of_every_estimator(estimator, check):
    check(estimator)


def test_columns_of_frames_are_named_and_compared():
    pytest.importorskip("pandas")
    check_dataframe_column_names_consistency("QuantumNASClassifier", QuantumNASClassifier(**SMALL))


@pytest.fixture(scope="module")
def digits():
    """Handwritten 0 and 1 (UCI, bundled with scikit-learn), 8 x 8 pixels pooled to 4 x 4, as text labels."""
    images, labels = load_digits(n_class=2, return_X_y=True)
    pooled = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
    return train_test_split(pooled, np.array(["nought", "one"])[labels], test_size=0.4, random_state=0)


@pytest.fixture(scope="module")
def fitted(digits):
    made = QuantumNASClassifier(**{**SMALL, "trials": 12, "fine_tune_steps": 10, "scratch_restarts": 2})
    return made.fit(digits[0], digits[2])


def test_it_beats_chance_and_the_majority_on_real_digits(fitted, digits):
    train, test, train_labels, test_labels = digits
    majority = DummyClassifier().fit(train, train_labels).score(test, test_labels)
    assert fitted.score(test, test_labels) > max(0.9, majority + 0.3)
    assert clone(fitted).set_params(noisy=False).fit(train, train_labels).score(test, test_labels) > 0.9


def test_what_it_tells_of_the_search(fitted):
    assert fitted.classes_.tolist() == ["nought", "one"] and fitted.n_features_in_ == 16 and fitted.n_qubits_ == 4
    assert not hasattr(fitted, "feature_names_in_")
    assert [row["index"] for row in fitted.history_] == list(range(12))
    best = max(row["metrics"]["noisy_accuracy"] for row in fitted.history_)
    assert fitted.front_[0]["metrics"]["noisy_accuracy"] == best
    assert {row["key"] for row in fitted.front_} <= {row["key"] for row in fitted.history_}
    assert 0 <= fitted.measured_["noisy_validation_accuracy"] <= 1
    assert "noisy_test_accuracy" not in fitted.measured_  # fit has no test rows
    assert fitted.circuit_.num_qubits == 5 and len(fitted.circuit_.parameters) == 16
    assert fitted.layout_.initial == fitted.design_.layout and len(fitted.layout_.final) == 4
    assert fitted.weights_.shape == (fitted.measured_["parameters"],) and fitted.weights_.dtype == np.float64


def test_it_validates_within_a_pipeline_by_frames_and_names():
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = make_pipeline(
        StandardScaler().set_output(transform="pandas"),
        QuantumNASClassifier(**{**SMALL, "trials": 8, "supercircuit_steps": 100}),
    )
    scores = cross_val_score(model, X, names, cv=3)
    assert min(scores) > 0.6  # the majority is right in a third
    assert model.fit(X, names)[-1].feature_names_in_.tolist() == list(X.columns)


def test_workers_find_the_same_classifier(digits):
    train, test, labels, _ = digits
    one, two = (QuantumNASClassifier(**{**SMALL, "trials": 16, "n_jobs": jobs}).fit(train, labels) for jobs in (1, 2))
    assert [row["key"] for row in one.history_] == [row["key"] for row in two.history_]
    np.testing.assert_array_equal(one.weights_, two.weights_)
    np.testing.assert_array_equal(one.decision_function(test), two.decision_function(test))


@pytest.fixture(scope="module")
def folder(fitted, tmp_path_factory):
    """Exported by a copy that went the way to another process and back."""
    target = tmp_path_factory.mktemp("exports") / "digits"
    told = ForkingPickler.loads(ForkingPickler.dumps(fitted)).export(target)
    assert told["export"] == fitted.measured_ and told["search"]["noisy_accuracy"]["unit"] == "1"
    return target


def test_an_export_gives_the_same_predictions(fitted, folder, digits):
    opened, rows = load(folder), digits[1]
    angles = opened.scaler.angles(rows)
    np.testing.assert_array_equal(angles, fitted.scaler_.angles(rows))
    logits = opened.noisy_outputs(angles)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], fitted.decision_function(rows), atol=1e-10)
    assert [opened.task.classes[place] for place in logits.argmax(axis=1)] == fitted.predict(rows).tolist()
    assert opened.layout == fitted.layout_
    np.testing.assert_array_equal(opened.theta, fitted.weights_)


def test_without_noise_it_predicts_what_the_exported_circuit_s_state_gives(fitted, folder, digits):
    opened, rows = load(folder), digits[1][:5]
    noise_free = clone(fitted).fit(digits[0], digits[2]).set_params(noisy=False)
    for row, found in zip(rows, noise_free.decision_function(rows), strict=True):
        circuit = opened.bind(fitted.scaler_.angles(row[None])[0]).remove_final_measurements(inplace=False)
        state = Statevector(circuit)
        means = np.array([state.probabilities([qubit]) @ [1, -1] for qubit in range(4)])
        logits = means @ opened.task.head
        assert found == pytest.approx(logits[1] - logits[0], abs=1e-10)
    assert np.abs(noise_free.decision_function(rows) - fitted.decision_function(rows)).max() > 1e-3


def test_an_export_is_whole_and_says_where_it_comes_from(fitted, folder, digits):
    verdict = verify_export(folder)
    assert verdict.ok and "rows that a program gave" in verdict.notes[0]
    described = json.loads((folder / "design.json").read_text())
    assert described["options"]["data"] == "arrays"
    setting = Setting.make(Options(**described["options"]), load(folder).task)
    assert problem_of(setting).verify(folder) == []
    with pytest.raises(ValueError, match="is not empty"):
        fitted.export(folder)
    kept = bytes(ForkingPickler.dumps(fitted))
    for array in (digits[0], fitted.scaler_.angles(digits[0])):
        assert array.tobytes()[:2000] not in kept  # training rows do not travel


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"seed": -1}, "seed must be a whole number of 0 or more, got -1"),
        ({"trials": 0}, "trials must be a whole number of 1 or more, got 0"),
        ({"population": 1}, "population must be"),
        ({"lag": 1.5}, "lag must be"),
        ({"n_qubits": True}, "n_qubits must be"),
        ({"n_qubits": 2}, "3 classes need 3 qubits or more, got n_qubits = 2"),
        ({"n_qubits": 7}, "has 5 qubits and the task needs 7"),
        ({"validation_fraction": 1.0}, "validation_fraction must lie between 0 and 1"),
        ({"gates": "u3cu4"}, "Did you mean 'u3cu3'"),
        ({"device": "FakeQuito"}, "Did you mean 'FakeQuitoV2'"),
        ({"max_blocks": 0}, "max_blocks"),
        ({"n_jobs": 0}, "n_jobs must be None, a number of workers, or -1 for all CPUs, got 0"),
        ({"options": {"gates": "rxyz"}}, "'gates' is a parameter of its own"),
        ({"options": {"data": "mnist4"}}, r"'data' says where data come from, and fit\(X, y\) is given them"),
        ({"options": {"steps": 4}}, "steps"),
        ({"options": {"trajectories": 8}}, "no effect"),
    ],
)
def test_bad_parameters_are_told_by_fit(parameters, says):
    model = QuantumNASClassifier().set_params(**parameters)
    with pytest.raises(ValueError, match=says):
        model.fit(*load_iris(return_X_y=True))
    assert not hasattr(model, "classes_")


def test_bad_rows_are_told_by_fit():
    X, y = load_iris(return_X_y=True)
    model = QuantumNASClassifier(**SMALL)
    with pytest.raises(ValueError, match="two classes or more, y has 1 class: 'a'"):
        model.fit(X, ["a"] * 150)
    with pytest.raises(ValueError, match="class 9 has 1 row, and needs one to train and one to validate"):
        model.fit(X, np.where(np.arange(150) == 7, 9, y))
    with pytest.raises(TypeError, match="sample_weight"):
        model.fit(X, y, sample_weight=np.ones(150))


def test_a_class_of_two_rows_will_do():
    X, y = load_iris(return_X_y=True)
    rare = np.r_[0:50, 50:52, 100:150]
    model = QuantumNASClassifier(**SMALL).fit(X[rare], y[rare])
    assert model.classes_.tolist() == [0, 1, 2]


def test_ten_classes_on_ten_qubits():
    X, y = load_digits(return_X_y=True)
    sizes = {**SMALL, "trials": 2, "max_blocks": 1, "device": "FakeGuadalupeV2", "gates": "native"}
    model = QuantumNASClassifier(**sizes).fit(X[:120], y[:120])
    assert model.n_qubits_ == 10 and model.predict_proba(X[:7]).shape == (7, 10)


def test_a_circuit_of_one_column_leaves_no_qubit_empty():
    rows = np.linspace(-3, 3, 60)[:, None]
    model = QuantumNASClassifier(**{**SMALL, "n_qubits": 3}).fit(rows, np.abs(rows[:, 0]) > 1.5)
    assert model.classes_.tolist() == [False, True] and model.score(rows, np.abs(rows[:, 0]) > 1.5) > 0.8
    used = [item for item in model.circuit_.data if item.operation.params and item.params and item.name == "rz"]
    open_on = {item.qubits[0] for item in used if any(getattr(p, "parameters", None) for p in item.params)}
    assert len(open_on) == 3


def test_a_line_a_phase_where_it_is_asked_for(capsys):
    X, y = load_iris(return_X_y=True)
    QuantumNASClassifier(**SMALL, verbose=True).fit(X, y)
    told = capsys.readouterr().out.splitlines()
    for line, said in zip(told, ("trained, 4 qubits", "4 designs judged", "validation accuracy"), strict=True):
        assert said in line
    QuantumNASClassifier(**SMALL).fit(X, y)
    assert capsys.readouterr().out == ""


def test_a_search_in_which_every_design_fails_says_why():
    X, y = load_digits(n_class=6, return_X_y=True)
    sizes = {**SMALL, "trials": 2, "device": "FakeGuadalupeV2", "n_qubits": 10, "max_blocks": 1}
    model = QuantumNASClassifier(**sizes)
    with pytest.raises(ValueError, match=r"none of the 2 designs could be judged; .* the light cone .* has 1\d"):
        model.fit(X[:60], y[:60])  # U3 and CU3 on a ring of ten are routed over more qubits than are followed exactly
    with pytest.raises(ValueError, match="has 11 qubits, and exact noise is followed up to 10"):
        model.set_params(n_qubits=11).fit(X[:60], y[:60])


def test_the_parameters_are_those_of_the_options():
    fields, defaults = Options.model_fields, QuantumNASClassifier().get_params()
    assert set(OWN_OPTIONS) <= set(fields) & set(defaults) and set(DATA_OPTIONS) <= set(fields)
    assert not set(defaults) & set(DATA_OPTIONS)


def test_arrays_of_a_program_are_no_option():
    from coevo.spaces.quantumnas import problem

    with pytest.raises(InputError, match="stands for rows that a program gave"):
        problem(data="arrays")
