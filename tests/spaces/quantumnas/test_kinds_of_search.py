"""Every kind of search as a user asks for it: a TOML file and `coevo run`, down to the export."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from coevo.errors import InputError
from coevo.search.registry import load_problem
from coevo.search.run import Run
from coevo.spaces.quantumnas import Options, problem
from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS
from coevo.spaces.quantumnas.ansatz.human import full_width
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.setting import Setting

NAME = "coevo.spaces.quantumnas:problem"
TRIALS = 4
EXPERIMENT = """\
problem = "quantumnas"

[options]
data = "mnist2"
max_blocks = 2
train_examples = 40
validation_examples = 20
test_examples = 20
supercircuit_steps = 2
supercircuit_batch = 16
fine_tune_steps = 2
scratch_steps = 3
scratch_restarts = 1
{options}

[search]
trials = {trials}
algorithm = "{algorithm}"
{more}

[run]
runner = "inline"
"""
POPULATION = "population = 4"
HUMAN = full_width(Template(GATE_SETS["u3cu3"], 4, 2), 36)


def searched(folder, monkeypatch, options, algorithm="nsga2", more=POPULATION):
    """(trials, the exported layout.json) of `coevo run` on such a file; the export is verified too."""
    from coevo.cli.app import app

    monkeypatch.chdir(folder)
    text = EXPERIMENT.format(options=options, trials=TRIALS, algorithm=algorithm, more=more)
    (folder / "kind.toml").write_text(text, encoding="utf-8")
    for words in (["run", "kind.toml", "--out", "run"], ["verify", "run/export"]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    trials = list(Run.open(folder / "run").trials())
    assert all(trial.outcome.ok for trial in trials)
    return trials, json.loads((folder / "run/export/layout.json").read_text(encoding="utf-8"))


def answers(trials, name):
    given = [dict(trial.design.answers) for trial in trials]
    return [each[name] for each in given if name in each]


def test_circuit_and_mapping_together(tmp_path, monkeypatch):
    trials, _ = searched(tmp_path, monkeypatch, "")
    assert len(trials) == TRIALS == len(answers(trials, "layout")) == len(answers(trials, "blocks"))


def test_the_circuit_alone_on_given_qubits(tmp_path, monkeypatch):
    trials, layout = searched(tmp_path, monkeypatch, "layout = [3, 1, 0, 4]")
    assert len(trials) == TRIALS == len(answers(trials, "blocks")) and not answers(trials, "layout")
    assert layout["initial"] == [3, 1, 0, 4]


def test_the_circuit_alone_where_qiskit_chooses_the_qubits(tmp_path, monkeypatch):
    trials, layout = searched(tmp_path, monkeypatch, 'layout = "qiskit"\noptimization_level = 3')
    assert len(trials) == TRIALS and not answers(trials, "layout")
    assert len(set(layout["initial"])) == 4


def test_the_mapping_alone_of_a_given_circuit(tmp_path, monkeypatch):
    trials, layout = searched(tmp_path, monkeypatch, "layers = [[0, 1, 2, 3], [0, 1]]")
    assert len(trials) == TRIALS == len(answers(trials, "layout")) and not answers(trials, "blocks")
    assert layout["layers"] == [[0, 1, 2, 3], [0, 1]]


def test_the_mapping_alone_of_the_human_design(tmp_path, monkeypatch):
    trials, layout = searched(tmp_path, monkeypatch, "human_parameters = 36")
    assert len({*map(tuple, answers(trials, "layout"))}) == TRIALS and not answers(trials, "blocks")
    assert layout["layers"] == [list(places) for places in HUMAN]
    assert {trial.outcome.metrics["parameters"] for trial in trials} == {36}


def test_the_human_design_on_qiskits_own_layout_is_one_design(tmp_path, monkeypatch):
    options = 'human_parameters = 36\nlayout = "qiskit"\noptimization_level = 3'
    trials, layout = searched(tmp_path, monkeypatch, options)
    assert len(trials) == 1 and not trials[0].design.answers
    assert layout["layers"] == [list(places) for places in HUMAN]


def test_without_noise_and_without_a_mapping(tmp_path, monkeypatch):
    trials, layout = searched(tmp_path, monkeypatch, 'estimator = "none"\nlayout = "qiskit"\noptimization_level = 3')
    assert len(trials) == TRIALS and not answers(trials, "layout")
    assert {*trials[0].outcome.metrics} == {"noise_free_accuracy", "noise_free_loss", "parameters"}
    assert len(set(layout["initial"])) == 4  # mapped for the export
    measured = json.loads((tmp_path / "run/export/measurements.json").read_text(encoding="utf-8"))
    assert 0 <= measured["export"]["noisy_test_accuracy"] <= 1


def test_at_random(tmp_path, monkeypatch):
    trials, _ = searched(tmp_path, monkeypatch, "", algorithm="random", more="")
    assert len({trial.design.key for trial in trials}) == TRIALS


def test_on_the_devices_own_couplings(tmp_path, monkeypatch):
    trials, layout = searched(tmp_path, monkeypatch, 'gates = "native"')
    assert len(trials) == TRIALS and layout["initial"] == layout["final"]  # nothing was routed


def test_behind_elivagars_ranking(tmp_path, monkeypatch):
    options = 'ladder = true\nladder_score = "elivagar"\nladder_share = 0.5'
    trials, _ = searched(tmp_path, monkeypatch, options)
    stages = [trial.stage for trial in trials]
    assert {*stages} <= {"estimate", "noisy"} and "noisy" in stages
    assert all("elivagar_score" in trial.outcome.metrics for trial in trials if trial.stage == "estimate")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"human_parameters": 36, "layers": [[0]]}, "layers and human_parameters both give the circuit"),
        ({"human_parameters": 2}, "a budget of 2 parameters is less than one gate's"),
        ({"human_parameters": 49, "max_blocks": 2}, "49 parameters is more than the 48 of all 2 blocks"),
        ({"human_parameters": 0}, "option 'human_parameters': expected.*greater than or equal to 1, got 0"),
        ({"human_parameters": 12, "gates": "native"}, "'human_parameters' stacks full layers"),
        ({"layers": [[0, 1], [7]]}, "has places 0 to 3, got 7"),
        ({"layers": [[0]] * 5, "max_blocks": 2}, "expected at most 4 layers, got 5"),
    ],
)
def test_a_wrong_circuit_is_refused(options, says):
    with pytest.raises(InputError, match=says):
        load_problem(NAME, options)


def test_a_human_budget_that_no_gate_divides_leaves_no_empty_layers():
    setting = Setting.make(Options(human_parameters=38))
    assert setting.layers == HUMAN == Setting.make(Options(human_parameters=36)).layers
    assert problem(human_parameters=36).space.build(problem(human_parameters=36).space.sample(_rng())).layers == HUMAN


def _rng():
    from coevo.search.canonical import stream

    return stream(0, "human")
