"""A study as an Optuna journal: what Optuna makes of it is what coevo recorded."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from coevo import Evaluator, Outcome, Problem, Run, Space, Stage, Study
from coevo.errors import ConfigError, MissingExtra
from coevo.search.tables.optuna import SOFT, write_optuna

optuna = pytest.importorskip("optuna")
Complete, Fail, Pruned, Running = (optuna.trial.TrialState[name] for name in ("COMPLETE", "FAIL", "PRUNED", "RUNNING"))


def build(pick):
    depth = pick.integer("depth", 1, 9, step=2)
    return {
        "depth": depth,
        # What is asked depends on an earlier answer: bounds, options and items.
        "n": pick.integer("n", depth, 2 * depth),
        "width": pick.one("width", (8, 16) if depth < 5 else (16, 32)),
        "rate": pick.real("rate", 0.001, 1.0, log=True),
        "kind": pick.one("kind", (None, "a", True, 1, [1, 2])),
        "tag": pick.one("tag", (None, "a", 1.5)),
        "row": pick.order("row", ("x", "y", "z"), k=2),
        "some": pick.some("some", (1, 2, 3, 4), k=2),
        "long": pick.order("long", tuple(range(40))),
        "big": pick.one("big", range(1000)),
    }


class Judge(Evaluator):
    metrics: ClassVar = {"y": "", "size": ""}

    def __init__(self, level=0):
        self.id, self.level = f"judge{level}", level

    def evaluate(self, candidates, context):
        return [self.judged(candidate.value) for candidate in candidates]

    def judged(self, value):
        if value["row"][0] == "z":
            return Outcome.failed("z first")
        return Outcome({"y": value["rate"] * value["n"] + self.level, "size": value["n"], "extra": 4})


SPACE = Space("t/v1", build)
ONE = Problem("one", SPACE, [Stage("full", Judge())], {"y": "max", "size": "min"})
TWO = Problem("two", SPACE, [Stage("a", Judge(0), 0.5), Stage("b", Judge(1))], {"y": "max", "size": "min"})


def searched(folder, problem, trials=90, **options):
    with Study(problem, runner="inline", folder=folder, seed=1, **options) as study:
        study.run(trials=trials)
    return Run.open(folder)


def opened(path, name="run"):
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend))


@pytest.mark.parametrize("problem", [ONE, TWO])
@pytest.mark.parametrize("constraints", [{}, {"size": ["<= 9", ">= 2"]}, {"size": "soft <= 6"}])
@pytest.mark.parametrize("known", [True, False])
def test_optuna_reads_what_coevo_recorded(tmp_path, problem, constraints, known):
    run = searched(tmp_path / "run", problem, constraints=constraints)
    written = write_optuna(run.history, tmp_path / "o.log", "run", SPACE if known else None)
    study = opened(tmp_path / "o.log")
    trials = list(run.trials())
    assert written.trials == len(study.trials) == 90 and written.open == 0
    directions = [optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE]
    names = ["y", "size"]
    if run.goals.soft:
        directions, names = [*directions, optuna.study.StudyDirection.MINIMIZE], [*names, SOFT]
    assert study.directions == directions and study.metric_names == names
    assert sorted(trial.number for trial in study.best_trials) == sorted(trial.index for trial in run.front())
    assert study.user_attrs["coevo:ranges"] == ("space" if known else "seen")
    assert any("answers seen" in note for note in written.notes) is not known
    for theirs, ours in zip(study.trials, trials, strict=True):
        theirs._validate()  # every value lies in its distribution
        assert theirs.number == ours.index and theirs.user_attrs["key"] == ours.design.key
        if ours.score is None:
            assert theirs.state == Fail and theirs.values is None and theirs.user_attrs["failure"] == "z first"
        elif ours.stage != run.stages[-1]:
            assert theirs.state == Pruned and theirs.values is None
        else:
            assert theirs.state == Complete
            assert theirs.values[:2] == [ours.outcome.metrics["y"], ours.outcome.metrics["size"]]
            assert theirs.user_attrs["metric.extra"] == 4
        if ours.score is not None and run.goals.hard:
            limits = theirs.system_attrs["constraints"]
            assert (max(limits) > 0) == (ours.score.violation > 0)
            assert sum(max(limit, 0) for limit in limits) == pytest.approx(ours.score.violation)
        assert theirs.datetime_complete >= theirs.datetime_start
        steps = {run.stages.index(result.stage): result.metrics["y"] for result in ours.earlier}
        if ours.outcome.ok:
            steps[run.stages.index(ours.stage)] = ours.outcome.metrics["y"]
        assert theirs.intermediate_values == (steps if problem is TWO else {})
        answers = dict(ours.design.answers)
        params = theirs.params
        assert params["depth"] == answers["depth"] and params["n"] == answers["n"]
        assert params["rate"] == answers["rate"] and params["width"] == answers["width"]
        assert json.loads(params["kind"]) == json.loads(json.dumps(answers["kind"]))
        assert params["tag"] == answers["tag"] or json.loads(params["tag"]) == answers["tag"]
        assert tuple(params[f"row[{place}]"] for place in range(2)) == answers["row"]
        assert params["big"] == answers["big"]
        if known:
            assert tuple(item for item in (1, 2, 3, 4) if params[f"some[{item}]"]) == answers["some"]
            assert tuple(theirs.user_attrs["choice.long"]) == answers["long"] and "long" not in params
    assert {Complete, Fail} <= {trial.state for trial in study.trials}
    assert (Pruned in {trial.state for trial in study.trials}) is (problem is TWO)


def test_ranges_are_those_of_the_space(tmp_path):
    run = searched(tmp_path / "run", ONE)
    write_optuna(run.history, tmp_path / "o.log", "run", SPACE)
    trials = opened(tmp_path / "o.log").trials
    found = trials[0].distributions
    made = optuna.distributions
    assert found["depth"] == made.IntDistribution(1, 9, step=2)
    assert found["n"] == made.IntDistribution(1, 18)  # what designs of any depth may answer
    assert set(found["width"].choices) == {8, 16, 32}
    assert found["rate"] == made.FloatDistribution(0.001, 1.0, log=True)
    assert set(found["kind"].choices) == {"null", '"a"', "true", "1", "[1,2]"}
    assert found["tag"] == made.CategoricalDistribution((None, "a", 1.5))
    assert found["row[1]"] == made.CategoricalDistribution(("x", "y", "z"))
    assert found["some[4]"] == made.CategoricalDistribution((False, True))
    assert set(found["big"].choices) == {dict(trial.design.answers)["big"] for trial in run.trials()}
    for trial in trials:  # one distribution a name, as samplers and importances want it
        assert all(found[name] == other for name, other in trial.distributions.items())
    assert optuna.search_space.intersection_search_space(trials)


def test_ranges_where_the_problem_is_unknown_are_those_seen(tmp_path):
    run = searched(tmp_path / "run", ONE)
    written = write_optuna(run.history, tmp_path / "o.log", "run", None, why_no_space="it is not here")
    assert "it is not here" in written.notes[0]
    found = opened(tmp_path / "o.log").trials[0].distributions
    answers = [dict(trial.design.answers) for trial in run.trials()]
    rates = [answer["rate"] for answer in answers]
    assert (found["rate"].low, found["rate"].high, found["rate"].log) == (min(rates), max(rates), False)
    assert isinstance(found["width"], optuna.distributions.IntDistribution)
    assert found["some[0]"].choices == tuple(sorted({item for answer in answers for item in answer["some"]}))


def test_a_space_that_changed_is_said(tmp_path):
    run = searched(tmp_path / "run", ONE, trials=20)
    other = Space("t/v1", lambda pick: pick.integer("depth", 1, 2))
    notes = write_optuna(run.history, tmp_path / "a.log", "run", other).notes
    assert "for 'depth' is none that the space offers" in notes[0]
    fewer = Space("t/v1", lambda pick: pick.integer("depth", 1, 9, step=2))
    notes = write_optuna(run.history, tmp_path / "c.log", "run", fewer).notes
    assert "the design answers n, width" in notes[0]
    assert len(opened(tmp_path / "c.log").trials) == 20
    notes = write_optuna(run.history, tmp_path / "b.log", "run", Space("t/v2", build)).notes
    assert "'t/v2'" in notes[0] and "'t/v1'" in notes[0]


def test_what_is_under_way_is_running_so_that_numbers_are_indices(tmp_path):
    with Study(ONE, runner="inline", folder=tmp_path / "run", lag=15) as study:
        asked = [study.ask() for _ in range(4)]
        study.tell(0, {"y": 1, "size": 2})
        study.tell(2, {"y": 3, "size": 2})
        assert len(asked) == 4
    run = Run.open(tmp_path / "run")
    written = write_optuna(run.history, tmp_path / "o.log", "run", SPACE)
    found = opened(tmp_path / "o.log").trials
    assert [trial.state for trial in found] == [Complete, Running, Complete, Running]
    assert [trial.user_attrs["key"] for trial in found] == [candidate.key for candidate in asked]
    assert (written.trials, written.open) == (2, 2)


def test_optuna_goes_on_from_the_journal(tmp_path):
    run = searched(tmp_path / "run", ONE, trials=30)
    write_optuna(run.history, tmp_path / "o.log", "run", SPACE)
    study = opened(tmp_path / "o.log")
    study.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=5)
    study.optimize(lambda trial: (trial.suggest_float("rate", 0.001, 1.0, log=True), 1.0), n_trials=3)
    assert len(opened(tmp_path / "o.log").trials) == 33


def test_an_item_that_spells_another_choice_is_refused(tmp_path):
    space = Space("s/v1", lambda pick: (pick.order("row", ("a", "b")), pick.integer("row[0]", 0, 5)))
    problem = Problem("p", space, [Stage("full", Fixed())], {"y": "max"})
    run = searched(tmp_path / "run", problem, trials=4)
    with pytest.raises(ConfigError, match=r"'row\[0\]'"):
        write_optuna(run.history, tmp_path / "o.log", "run", space)
    assert not (tmp_path / "o.log").exists()


class Fixed(Evaluator):
    id, metrics = "fixed", {"y": ""}

    def evaluate(self, candidates, context):
        return [Outcome({"y": candidate.index}) for candidate in candidates]


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    run = searched(tmp_path / "run", ONE, trials=3)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"coevo\[optuna\]"):
        write_optuna(run.history, tmp_path / "o.log", "run", SPACE)
    assert not list(tmp_path.glob("*.log"))
