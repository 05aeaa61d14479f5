"""`coevo export` of a whole run: CSV, Parquet and an Optuna journal, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from coevo.search.run import Run

Coevo = Callable[..., Result]


def lines(path: Path | str) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv(coevo: Coevo, finished: Path) -> None:
    result = coevo("export", finished, "--csv", "trials.csv")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("40 trials are in trials.csv (")
    assert [row["key"] for row in lines("trials.csv")] == [trial.design.key for trial in Run.open(finished).trials()]
    found = json.loads(coevo("export", finished, "--csv", "trials.csv", "--force", "--json").stdout)
    assert found == {
        "run": str(finished),
        "format": "csv",
        "file": "trials.csv",
        "notes": [],
        "trials": 40,
        "bytes": Path("trials.csv").stat().st_size,
    }


def test_parquet(coevo: Coevo, finished: Path) -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    assert coevo("export", finished, "--parquet", "trials.parquet").exit_code == 0
    pandas.testing.assert_frame_equal(pandas.read_parquet("trials.parquet"), Run.open(finished).dataframe())


def test_optuna_asks_to_be_trusted_with_code_that_the_folder_names(coevo: Coevo, finished: Path) -> None:
    optuna = pytest.importorskip("optuna")
    result = coevo("export", finished, "--optuna", "study.log")
    assert result.exit_code == 0, result.stderr
    assert "note: the parameters' ranges are those of the answers seen" in result.stdout and "--trust" in result.stdout
    assert "study 'finished'; to look at it: optuna-dashboard study.log" in result.stdout
    found = json.loads(coevo("export", finished, "--optuna", "study.log", "--trust", "--force", "--json").stdout)
    assert found["notes"] == [] and found["study"] == "finished" and found["trials"] == 40
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("study.log"))
    study = optuna.load_study(study_name="finished", storage=storage)
    assert {trial.number for trial in study.best_trials} == {trial.index for trial in Run.open(finished).front()}
    assert study.trials[0].distributions["rate"] == optuna.distributions.FloatDistribution(0.001, 0.1, log=True)
    assert study.user_attrs["coevo:search"]["algorithm"] == "nsga2"


def test_a_ladder(coevo: Coevo, ladder: Path) -> None:
    optuna = pytest.importorskip("optuna")
    assert coevo("export", ladder, "--csv", "trials.csv").exit_code == 0
    rows = lines("trials.csv")
    for stage in ("proxy", "short", "full"):
        reached = [row for row in rows if row[f"cost_s@{stage}"]]
        assert 0 < len(reached) <= 120
    assert {row["stage"] for row in rows if row["on_front"] == "true"} == {"full"}
    assert coevo("export", ladder, "--optuna", "study.log", "--trust").exit_code == 0
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("study.log"))
    study = optuna.load_study(study_name=ladder.name, storage=storage)
    assert {trial.state.name for trial in study.trials} >= {"COMPLETE", "PRUNED"}
    assert {trial.number for trial in study.best_trials} == {trial.index for trial in Run.open(ladder).front()}


def files() -> set[Path]:
    """What is there; SQLite's own files beside a database that was looked at come and go."""
    return {path for path in Path().rglob("*") if "sqlite-" not in path.name}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), ("expected KEY with -o DIR", "--csv, --parquet and --optuna", "got neither")),
        (("best",), ("expected KEY with -o DIR", "got neither")),
        (("-o", "out"), ("-o DIR takes one design", "'best'")),
        (("best", "--csv", "a.csv"), ("--csv FILE takes the whole run", "leave 'best' away")),
        (("--csv", "a.csv", "--optuna", "a.log"), ("got --csv FILE and --optuna FILE",)),
        (("best", "-o", "out", "--csv", "a.csv"), ("got -o DIR and --csv FILE",)),
        (("best", "-o", "out", "--force"), ("--force is for tables", "never overwrites")),
        (("--csv", "a.txt"), ("--csv a.txt: expected a file that ends in .csv",)),
        (("--parquet", "a.csv"), ("expected a file that ends in .parquet",)),
        (("--optuna", "a.db"), ("expected a file that ends in .log or .journal",)),
        (("--csv", "nowhere/a.csv"), ("nowhere is no folder",)),
        (("--csv", "mine.csv"), ("mine.csv exists", "--force")),
        (("--optuna", "folder.log"), ("folder.log is a folder",)),
    ],
)
def test_what_is_refused(coevo: Coevo, finished: Path, words: tuple[str, ...], said: tuple[str, ...]) -> None:
    Path("mine.csv").write_text("mine")
    Path("folder.log").mkdir()
    before = files()
    result = coevo("export", finished, *words)
    assert result.exit_code == 2 and result.stdout == "" and "Traceback" not in result.stderr
    for word in said:
        assert word in result.stderr, result.stderr
    assert files() == before and Path("mine.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("package", "flag"), [("pandas", "--parquet"), ("pyarrow", "--parquet"), ("optuna", "--optuna")]
)
def test_a_missing_extra_is_named(
    coevo: Coevo, finished: Path, monkeypatch: pytest.MonkeyPatch, package: str, flag: str
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, package, None)
    extra = "optuna" if package == "optuna" else "tables"
    file = "a.log" if package == "optuna" else "a.parquet"
    result = coevo("export", finished, flag, file)
    assert result.exit_code == 2 and f"{package} is not installed" in result.stderr
    assert f"coevo[{extra}]" in result.stderr and not list(Path().glob("*a.*"))
