"""The run folder: durable, locked, refused where it should be, and readable beside a driver."""

import json
import os
import sqlite3
import subprocess
import sys

import pytest

from coevo import Space, Study
from coevo.errors import ConfigError, CorruptRun, RunFolderError
from coevo.search import folder as folders
from coevo.search import store
from coevo.search.run import Run

LINE = Space("line/v1", lambda pick: pick.integer("x", 0, 999))


def study(path, **options):
    return Study(LINE, lambda x: {"y": x}, objectives={"y": "max"}, folder=path, **({"runner": "inline"} | options))


@pytest.fixture
def finished(tmp_path):
    with study(tmp_path / "run") as done:
        done.run(trials=30)
    return tmp_path / "run"


def test_a_run_folder_holds_what_the_design_says(finished):
    assert sorted(path.name for path in finished.iterdir()) == ["driver.lock", "env.json", "run.toml", "study.sqlite"]
    run = Run.open(finished)
    status = run.status
    assert status["asked"] == status["told"] == 30 and status["finished"] == "trials"
    assert run.find(next(run.trials()).design.key[:8]).index == 0
    assert [trial.index for trial in run.trials()] == list(range(30))


def test_resuming_goes_on_where_it_stopped(finished):
    with study(finished) as again:
        assert again.told == 30 and len(again.front()) >= 1
        again.run(trials=60)
        keys = [trial.design.key for trial in again.trials()]
    whole = study(None)
    whole.run(trials=60)
    assert keys == [trial.design.key for trial in whole.trials()]


def test_the_trials_read_back_are_the_trials_told(tmp_path):
    with Study(
        LINE, lambda x: {"y": x} if x % 3 else {}, objectives={"y": "max"}, folder=tmp_path / "r", runner="inline"
    ) as one:
        told = []
        one.listen(lambda event: told.append(event.trial) if type(event).__name__ == "Told" else None)
        one.run(trials=40)
    back = list(Run.open(tmp_path / "r").trials())
    assert [
        (t.index, t.design, t.design.origin, t.outcome.metrics, t.outcome.failure, t.score, t.seed) for t in back
    ] == [(t.index, t.design, t.design.origin, t.outcome.metrics, t.outcome.failure, t.score, t.seed) for t in told]


def test_another_study_in_the_same_folder_is_refused(finished):
    with pytest.raises(ConfigError, match=r"holds another study: search.seed was 0, now 1"):
        study(finished, seed=1)
    with pytest.raises(ConfigError, match=r"search.population was 100, now 50"):
        study(finished, algorithm_options={"population": 50})
    with pytest.raises(ConfigError, match=r"objectives.y was 'max', now 'min'"):
        Study(LINE, lambda x: {"y": x}, objectives={"y": "min"}, folder=finished, runner="inline")
    study(finished).close()


def test_workers_and_budgets_may_change_at_a_resume(finished):
    with study(finished, runner="local", workers=2, settings={"search": {"trials": 99}}) as again:
        again.run(trials=35)
        assert again.told == 35


def test_a_second_driver_is_refused_with_the_first_ones_host_and_process(finished):
    first = study(finished)
    with pytest.raises(RunFolderError, match=rf"is being driven by process {os.getpid()} on host "):
        study(finished)
    first.close()
    study(finished).close()


def test_a_second_driver_in_another_process_is_refused(finished):
    with study(finished):
        script = (
            "import sys\nfrom coevo import Space, Study\nfrom coevo.errors import RunFolderError\n"
            "try:\n    Study(Space('line/v1', lambda pick: pick.integer('x', 0, 999)), lambda x: {'y': x}, "
            "objectives={'y': 'max'}, folder=sys.argv[1], runner='inline')\n"
            "except RunFolderError as problem:\n    print('refused:', problem)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(finished)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
    assert f"driven by process {os.getpid()}" in done.stdout


def test_reading_beside_a_driver(finished):
    with study(finished) as driver:
        driver.tell(driver.ask().index, {"y": 3})
        assert Run.open(finished).status["told"] == 31
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store.open_for_reading(finished / store.FILE).execute("DELETE FROM event")


def test_no_run_at_all(tmp_path):
    with pytest.raises(RunFolderError, match="does not exist; expected a run folder"):
        Run.open(tmp_path / "nothing")
    with pytest.raises(RunFolderError, match=r"is no run folder: it holds no study.sqlite"):
        Run.open(tmp_path)
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"is not empty and no run folder \(it holds letters.txt\)"):
        study(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letters.txt"]
    with pytest.raises(RunFolderError, match="is a file"):
        study(tmp_path / "letters.txt")


def test_a_run_from_a_newer_version(finished):
    with sqlite3.connect(finished / store.FILE) as database:
        database.execute("PRAGMA user_version=99")
    for opening in (lambda: Run.open(finished), lambda: study(finished)):
        with pytest.raises(
            RunFolderError, match=r"written by a newer coevo \(format 99; this one reads up to 1\). Update"
        ):
            opening()


def test_a_damaged_store_is_named(finished):
    path = finished / store.FILE
    path.write_bytes(b"not a database at all, but long enough to be read as one" * 100)
    with pytest.raises(CorruptRun, match=r"study.sqlite is damaged"):
        Run.open(finished)


def test_a_damaged_row_is_named(finished):
    with sqlite3.connect(finished / store.FILE) as database:
        database.execute("UPDATE event SET content='{\"metrics\":' WHERE sequence=20 OR kind='told' AND trial=7")
    with pytest.raises(CorruptRun, match=r"event \d+ cannot be read"):
        list(Run.open(finished).trials())


@pytest.mark.skipif(
    os.geteuid() == 0, reason="root may write everywhere; test_cli covers the message with a full device"
)
def test_a_read_only_folder(finished):
    finished.chmod(0o500)
    try:
        with pytest.raises(RunFolderError, match="cannot be written"):
            study(finished)
    finally:
        finished.chmod(0o700)


def test_a_read_only_database_is_explained(finished, monkeypatch):
    def refuse(*arguments, **options):
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(store.sqlite3, "connect", refuse)
    with pytest.raises(RunFolderError, match=r"cannot be written.*give a folder that you may write"):
        study(finished)


def test_a_full_disk_is_explained_and_what_was_told_is_safe(tmp_path):
    with study(tmp_path / "run") as driver:
        driver.run(trials=20)
        pages = driver._folder.store._database.execute("PRAGMA page_count").fetchone()[0]
        driver._folder.store._database.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own way to a full disk
        with pytest.raises(RunFolderError, match=r"the disk is full.*What was told is safe"):
            driver.run(trials=5000)
        driver._folder.store._pending.clear()
    with study(tmp_path / "run") as again:
        assert again.told >= 20
        again.run(trials=again.told + 5)


def test_power_durability_and_network_file_systems(tmp_path, monkeypatch):
    with study(tmp_path / "power", durability="power") as driver:
        database = driver._folder.store._database
        assert database.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert database.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        driver.run(trials=5)
    monkeypatch.setattr(store, "file_system", lambda folder: "nfs4")
    with study(tmp_path / "nfs") as driver:
        assert driver._folder.store._database.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
        driver.run(trials=5)
    assert any("on a network file system (nfs4)" in note["text"] for note in Run.open(tmp_path / "nfs").notes())


def test_a_changed_environment_is_noted(finished):
    environment = json.loads((finished / folders.ENVIRONMENT).read_text())
    environment["packages"]["numpy"] = "1.0.0"
    (finished / folders.ENVIRONMENT).write_text(json.dumps(environment))
    with study(finished) as again:
        again.run(trials=31)
    assert any("numpy was 1.0.0, is" in note["text"] for note in Run.open(finished).notes())
