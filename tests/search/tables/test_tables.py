"""A study as a frame, CSV and Parquet: one row a trial, and the same cells in all three."""

from __future__ import annotations

import builtins
import csv
import json
from typing import ClassVar

import pytest

from coevo import Evaluator, Outcome, Problem, Run, Space, Stage, Study
from coevo.errors import ConfigError, MissingExtra
from coevo.search.tables import write_csv, write_parquet

pandas = pytest.importorskip("pandas")


def build(pick):
    depth = pick.integer("depth", 1, 3)
    return {
        "depth": depth,
        "extra": pick.integer("extra", 0, 5) if depth > 1 else 0,
        "rate": pick.real("rate", 0.5, 2.0),
        "half": pick.real("half", 0.0, 1.0) if depth > 2 else 0.0,
        "name": pick.one("name", ("a", 'b, "c"\nd', "")),
        "flag": pick.one("flag", (True, False)),
        "odd": pick.one("odd", (1, "1", None, True, [2])),
        "row": pick.order("row", ("x", "y", "z")),
    }


class Judge(Evaluator):
    metrics: ClassVar = {"y": "", "size": ""}

    def __init__(self, level):
        self.id, self.level = f"judge{level}", level

    def evaluate(self, candidates, context):
        return [self.judged(candidate.value) for candidate in candidates]

    def judged(self, value):
        if value["row"][0] == "z":
            return Outcome.failed("z first,\nwhich is bad")
        metrics = {"y": value["rate"] + self.level, "size": value["depth"]}
        return Outcome({**metrics, "late": 7.0} if self.level == 1 else metrics)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "run"
    problem = Problem(
        "t", Space("t/v1", build), [Stage("a", Judge(0), 0.5), Stage("b", Judge(1))], {"y": "min", "size": "max"}
    )
    with Study(problem, constraints={"size": ">= 2"}, runner="inline", folder=folder, seed=3) as study:
        study.run(trials=80)
        study.frame = study.dataframe()
    found = Run.open(folder)
    pandas.testing.assert_frame_equal(study.frame, found.dataframe())
    return found


def test_the_frame_is_what_was_recorded(run):
    frame, trials = run.dataframe(), list(run.trials())
    assert list(frame["index"]) == list(range(80)) and list(frame["key"]) == [t.design.key for t in trials]
    assert set(frame["state"]) == {"told", "failed", "infeasible"}
    assert set(frame[frame.on_front]["key"]) == {t.design.key for t in run.front()}
    asked = [row.at for row in run.rows() if row.kind == "asked"]
    assert [at.timestamp() for at in frame["asked_at"]] == pytest.approx(asked, abs=1e-5)
    assert (frame["told_at"] >= frame["asked_at"]).all()
    for (_, row), trial in zip(frame.iterrows(), trials, strict=True):
        assert row["seed"] == trial.seed and row["stage"] == trial.stage
        assert row["cost_s"] == trial.total_cost_s
        assert row["state"] == (
            "failed" if trial.score is None else "infeasible" if trial.score.violation > 0 else "told"
        )
        assert row["failure"] == trial.outcome.failure if trial.outcome.failure else pandas.isna(row["failure"])
        assert row["origin"] == trial.design.origin.how
        assert json.loads(row["parents"]) == list(trial.design.origin.parents)
        if trial.stage == "b" and trial.outcome.ok:
            assert (row["metric.y@a"], row["metric.y@b"]) == (
                trial.earlier[0].metrics["y"],
                trial.outcome.metrics["y"],
            )
            assert row["metric.y"] == row["metric.y@b"] and row["metric.late@b"] == 7
            assert row["cost_s"] == row["cost_s@a"] + row["cost_s@b"]
        else:
            assert pandas.isna(row["metric.y@b"]) and pandas.isna(row["metric.late"])
    assert "metric.late@a" not in frame


def test_the_dtypes_of_absent_answers(run):
    frame = run.dataframe()
    dtypes = {name: str(frame[name].dtype) for name in frame if name.startswith("choice.")}
    assert dtypes == {
        "choice.depth": "Int64",
        "choice.extra": "Int64",
        "choice.rate": "float64",
        "choice.half": "float64",
        "choice.name": "string",
        "choice.flag": "boolean",
        "choice.odd": "string",
        "choice.row": "string",
    }
    assert (frame["choice.extra"].isna() == (frame["choice.depth"] == 1)).all()
    assert (frame["choice.half"].isna() == (frame["choice.depth"] < 3)).all()
    for trial, odd, row in zip(run.trials(), frame["choice.odd"], frame["choice.row"], strict=True):
        answers = dict(trial.design.answers)
        assert json.loads(odd) == json.loads(json.dumps(answers["odd"]))
        assert type(json.loads(odd)) is type(json.loads(json.dumps(answers["odd"])))  # 1, "1" and true stay apart
        assert tuple(json.loads(row)) == answers["row"]


def test_parquet_gives_the_frame_back(run, tmp_path):
    pytest.importorskip("pyarrow")
    assert write_parquet(run.history, tmp_path / "t.parquet") == 80
    pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / "t.parquet"), run.dataframe())


def test_csv_holds_the_same_cells(run, tmp_path):
    assert write_csv(run.history, tmp_path / "t.csv") == 80
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    frame = run.dataframe()
    assert list(rows[0]) == list(frame) and len(rows) == 80
    for place, row in enumerate(rows):
        for name, cell in row.items():
            value = frame[name][place]
            if pandas.isna(value):
                assert cell == "", (name, cell)
            elif str(frame[name].dtype) == "boolean":
                assert cell == str(bool(value)).lower()
            elif name.endswith("_at"):
                assert abs((pandas.Timestamp(cell) - value).total_seconds()) < 2e-3
            elif str(frame[name].dtype) == "string":
                assert cell == value
            else:
                assert float(cell) == value and (str(frame[name].dtype) != "Int64" or int(cell) == value)


def test_a_private_study_has_a_frame_too():
    space = Space("s/v1", lambda pick: pick.integer("n", 0, 9))
    with Study(space, lambda n: {"y": n}, objectives={"y": "max"}, runner="inline") as study:
        assert len(study.dataframe()) == 0
        study.run(trials=5)
        frame = study.dataframe()
    assert len(frame) == 5 and (frame["metric.y"] == frame["choice.n"]).all()
    assert not [name for name in frame if "@" in name]


def test_a_table_is_whole_or_not_there(run, tmp_path, monkeypatch):
    target = tmp_path / "t.csv"
    target.write_text("mine")
    with pytest.raises(ConfigError, match=r"t\.csv exists.*--force"):
        write_csv(run.history, target)
    with pytest.raises(ConfigError, match="is a folder"):
        write_csv(run.history, tmp_path)
    with pytest.raises(ConfigError, match="no folder"):
        write_csv(run.history, tmp_path / "nowhere" / "t.csv")

    def broken(self):
        yield from list(told(self))[:5]
        raise OSError("the disk is gone")

    history = type(run.history)
    told = history.told
    monkeypatch.setattr(history, "told", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        write_csv(run.history, target, force=True)
    assert target.read_text() == "mine" and list(tmp_path.iterdir()) == [target]
    monkeypatch.undo()
    write_csv(run.history, target, force=True)
    assert target.read_text().count("\n") > 80 and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_a_missing_package_names_its_extra(run, tmp_path, monkeypatch, package):
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=rf"{package} is not installed.*coevo\[tables\]"):
        write_parquet(run.history, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []
    assert write_csv(run.history, tmp_path / "t.csv") == 80  # needs neither


def test_two_columns_of_one_name_are_refused():
    class Both(Evaluator):
        id, metrics = "both", {"y": "", "y@a": ""}

        def evaluate(self, candidates, context):
            return [Outcome({"y": 1, "y@a": 2}) for _ in candidates]

    space = Space("s/v1", lambda pick: pick.integer("n", 0, 9))
    with Study(
        Problem("p", space, [Stage("a", Both(), 0.5), Stage("b", Both())], {"y": "max"}), runner="inline"
    ) as study:
        study.run(trials=4)
        with pytest.raises(ConfigError, match=r"'metric\.y@a'; rename"):
            study.dataframe()


def test_what_a_driver_adds_while_a_table_is_written_stays_out(tmp_path):
    space = Space("s/v1", lambda pick: pick.integer("n", 0, 99))
    with Study(space, lambda n: {"y": n}, objectives={"y": "max"}, runner="inline", folder=tmp_path / "r") as study:
        study.run(trials=5)
        history = Run.open(tmp_path / "r").history
        study.run(trials=9)
        assert len(list(history.told())) == 5 and len(list(Run.open(tmp_path / "r").history.told())) == 9
