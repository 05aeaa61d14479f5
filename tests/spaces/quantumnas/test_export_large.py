"""Circuits that are too large for exact noise are exported too, with their success rate and without noisy values."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from coevo.cli.app import app
from coevo.errors import InputError
from coevo.spaces.quantumnas import load, problem

QUBITS = 11
EXPERIMENT = """\
problem = "quantumnas"
[options]
data = "{data}"
device = "FakeGuadalupeV2"
layout = [0, 1, 2, 3, 5, 8, 11, 14, 13, 12, 10]
estimator = "{estimator}"
{more}
gates = "zzry"
max_blocks = 1
supercircuit_steps = 2
fine_tune_steps = 1
scratch_steps = 2
scratch_restarts = 2
[search]
trials = 2
[run]
runner = "inline"
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    terms = [["I" * q + "ZZ" + "I" * (QUBITS - 2 - q), -1.0] for q in range(QUBITS - 1)]
    terms += [["I" * q + "X" + "I" * (QUBITS - 1 - q), 0.5] for q in range(QUBITS)]
    (tmp_path / "chain.json").write_text(json.dumps({"n_qubits": QUBITS, "unit": "J", "terms": terms}))
    labels = np.arange(10 * QUBITS) % QUBITS
    rows = np.random.default_rng(0).normal(size=(len(labels), 3)) + labels[:, None]
    np.savez(tmp_path / "many.npz", X=rows, y=labels)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "estimator", "more"),
    [("chain.json", "success_rate", ""), ("many.npz", "trajectories", "trajectories = 2"), ("many.npz", "none", "")],
)
def test_a_search_ends_in_a_folder_that_is_whole(data, name, estimator, more):
    (data / "large.toml").write_text(EXPERIMENT.format(data=name, estimator=estimator, more=more))
    done = CliRunner().invoke(app, ["run", "large.toml", "--out", "run"])
    assert done.exit_code == 0, done.output
    measured = json.loads((data / "run" / "export" / "measurements.json").read_text())["export"]
    assert 0 < measured["success_rate"] < 1
    assert not [key for key in measured if key.startswith("noisy")]
    kind = "noise_free_energy" if name == "chain.json" else "noise_free_test_accuracy"
    assert math.isfinite(measured[kind])
    checked = CliRunner().invoke(app, ["verify", "run"])
    assert checked.exit_code == 0, checked.output
    with pytest.raises(InputError, match="light cone"):
        load("run/export").noisy_outputs()


def test_noisy_values_that_were_taken_out_are_missed(tmp_path):
    from coevo.search.canonical import stream
    from coevo.search.problem import WorkContext

    made = problem(data="h2", max_blocks=1, scratch_steps=2, scratch_restarts=1)
    made.export(made.space.sample(stream(0, "export", 0)), WorkContext(tmp_path, 0))
    content = json.loads((tmp_path / "examples.json").read_text())
    (tmp_path / "examples.json").write_text(json.dumps(content | {"noisy_energy": None}))
    assert made.verify(tmp_path) == ["examples.json: it has no noisy values, and isa.qpy gives some"]


@pytest.mark.parametrize("refinement", [{"prune_ratios": (0.3,)}, {"noise_aware_steps": 5}])
def test_what_is_judged_by_exact_noise_is_refused_before_training(data, refinement):
    with pytest.raises(InputError, match="11 qubits; pruning and training through the noise"):
        problem(data="chain.json", device="FakeGuadalupeV2", estimator="success_rate", **refinement)
