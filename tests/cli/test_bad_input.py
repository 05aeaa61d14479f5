"""A user's mistakes: one clear message, exit code 2, no traceback, and nothing written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from coevo.search.registry import load_problem
from coevo.search.study import Study

Coevo = Callable[..., Result]


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, (result.exit_code, result.stderr)
    for word in words:
        assert word in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""
    assert not Path("runs").exists() and not Path("here").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('problem = "toy_problems:problm"', ("toy.toml:1: ", "'problm'", "Did you mean 'problem'?")),
        ('problem = "quantumnos"', ("toy.toml:1: ", "unknown problem 'quantumnos'")),
        ('problem = "no_such_module:problem"', ("toy.toml:1: ", "no module 'no_such_module'", "PYTHONPATH")),
        ("problem = 3", ("toy.toml:1: ", "problem: expected a text, got 3")),
    ],
)
def test_an_unknown_problem(coevo: Coevo, experiment: Path, change: str, words: tuple[str, ...]) -> None:
    lines = experiment.read_text().splitlines()
    experiment.write_text("\n".join([change, *lines[1:]]))
    refused(coevo("run", experiment, "--out", "here"), *words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('note = "hello"', 'nota = "hello"', ("toy.toml:4: ", "unknown option 'nota'", "Did you mean 'note'?")),
        (
            "population = 10",
            "popullation = 10",
            ("toy.toml:7: ", "'popullation'", "Did you mean 'population'?", "'nsga2'"),
        ),
        ("population = 10", "worker = 10", ("toy.toml:7: ", "unknown key 'worker'")),
        ("population = 10", 'algorithm = "nsag2"', ("toy.toml:7: ", "'nsag2'", "Did you mean 'nsga2'?")),
        (
            "population = 10",
            'population = "10"',
            ("toy.toml:7: search.population: expected an integer", 'the text "10"'),
        ),
        ("population = 10", "population = 1", ("toy.toml:7: ", "population", "at least 2", "got 1")),
        ("trials = 40", "trials = 0", ("toy.toml:8: search.trials: expected at least 1, got 0",)),
        ("trials = 40", "trials = 4.5", ("toy.toml:8: search.trials: expected an integer, got 4.5",)),
        ("trials = 40", "", ("[search] needs a budget", "trials = 200")),
        ('runner = "inline"', 'runner = "rey"', ("toy.toml:11: ", "unknown runner 'rey'", "local")),
        ('runner = "inline"', "workers = true", ("toy.toml:11: run.workers: expected an integer, got true",)),
        ('runner = "inline"', 'durabilty = "power"', ("toy.toml:11: ", "Did you mean 'durability'?")),
        ('runner = "inline"', 'export = "all"', ("toy.toml:11: run.export: expected 'best' or 'none'", "all")),
        ("[run]", "[runn]", ("toy.toml:10: ", "unknown key 'runn'", "Did you mean 'run'?")),
        (
            "[search]",
            '[objectives]\naccurcy = "max"\n[search]',
            ("toy.toml:7: ", "'accurcy'", "Did you mean 'accuracy'?"),
        ),
        ("[search]", '[objectives]\naccuracy = "most"\n[search]', ("toy.toml:7: ", "expected 'max' or 'min'", "most")),
        ("[search]", '[constraints]\nlatency = "<= 3"\n[search]', ("toy.toml:7: ", "Did you mean 'latency_ms'?")),
        ("[search]", '[constraints]\nlatency_ms = "< 3"\n[search]', ("toy.toml:7: ", "'<= NUMBER'", "'< 3'")),
        ("[search]", "[constraints]\nlatency_ms = 3\n[search]", ("toy.toml:7: ", "'<= NUMBER'", "got 3")),
        ("population = 10", "population = = 10", ("toy.toml:7: not valid TOML", "population = = 10")),
        ("population = 10", 'population = 10\nalgorithm = "nsga2', ("toy.toml:8: not valid TOML",)),
        ("trials = 40", "trials = 40\ntrials = 50", ("toy.toml:9: not valid TOML",)),
    ],
)
def test_a_wrong_line_of_the_file(coevo: Coevo, experiment: Path, old: str, new: str, words: tuple[str, ...]) -> None:
    text = experiment.read_text()
    assert old in text
    experiment.write_text(text.replace(old, new))
    refused(coevo("run", experiment, "--out", "here"), *words)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("search.trials", ("section.key=value",)),
        ("serch.trials=3", ("unknown section 'serch'", "Did you mean 'search'?")),
        ("search.trials=many", ("--set search.trials", "expected an integer", 'the text "many"')),
        ("search.trials=[1", ("--set search.trials=[1",)),
        ("options.nota=3", ("--set options.nota", "'nota'", "Did you mean 'note'?")),
        ("problem.name=3", ("'problem'", "no table")),
    ],
)
def test_a_wrong_override(coevo: Coevo, experiment: Path, override: str, words: tuple[str, ...]) -> None:
    refused(coevo("run", experiment, "--set", override, "--out", "here"), *words)


def test_a_file_that_is_not_there_names_its_neighbour(coevo: Coevo, experiment: Path) -> None:
    refused(coevo("run", "toi.toml"), "no file 'toi.toml'", "Did you mean 'toy.toml'?")
    refused(coevo("run", experiment.parent), "is a folder")


def test_a_ladder_whose_stages_do_not_fit(coevo: Coevo, experiment: Path) -> None:
    """Before anything is paid for, and with what to do."""
    head = "[search]\ntrials = 4\n"
    experiment.write_text(f'problem = "ladder_problems:lacking"\n{head}')
    said = (
        "toy.toml:1: stage 'proxy'",
        "does not measure 'accuracy'",
        "judge0@1 offers latency_ms",
        "Every stage must",
    )
    refused(coevo("run", experiment, "--out", "here"), *said)
    experiment.write_text(
        f'problem = "ladder_problems:lacking"\n{head}[objectives]\nlatency_ms = "min"\naccuracy = "max"\n'
    )
    refused(coevo("run", experiment, "--out", "here"), "toy.toml:6: stage 'proxy'", "'accuracy'")
    experiment.write_text(f'problem = "ladder_problems:lacking"\n{head}[constraints]\naccuracy = ">= 0.5"\n')
    refused(coevo("run", experiment, "--out", "here"), "toy.toml:5: stage 'proxy'", "'accuracy'")
    for share in ("1.5", "0.0", "-0.1"):
        experiment.write_text(f'problem = "ladder_problems:problem"\n[options]\nshare = {share}\n{head}')
        refused(coevo("run", experiment, "--out", "here"), "stage 'proxy': share must lie in (0, 1]", f"got {share}")


def test_a_missing_extra_is_named(coevo: Coevo, experiment: Path) -> None:
    experiment.write_text('problem = "toy_problems:needs_extra"\n[search]\ntrials = 4\n')
    refused(coevo("run", experiment), "qiskit is not installed", "pip install 'coevo[quantum]'")


def test_no_run_folder(coevo: Coevo, tmp_path: Path) -> None:
    for command in (
        ("front",),
        ("resume",),
        ("report",),
        ("verify",),
        ("explain", "abcd"),
        ("export", "best", "-o", "out"),
        ("export", "--csv", "out.csv"),
        ("watch",),
        ("compare", "elsewhere"),
    ):
        verb, *rest = command
        refused(coevo(verb, "nowhere", *rest), "nowhere")
        (tmp_path / "empty").mkdir(exist_ok=True)
        refused(coevo(verb, "empty", *rest), "empty")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_folder_that_holds_something_else(coevo: Coevo, experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    refused(coevo("run", experiment, "--out", "mine"), "mine is not empty", "a new folder")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_run_folder_from_a_newer_coevo(coevo: Coevo, finished: Path) -> None:
    with sqlite3.connect(finished / "study.sqlite") as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    for verb in ("front", "resume", "verify", "report"):
        result = coevo(verb, finished)
        assert result.exit_code == 2 and "newer coevo" in result.stderr and "pip install -U coevo" in result.stderr


def test_a_run_folder_that_another_process_drives(coevo: Coevo, finished: Path) -> None:
    with Study(
        load_problem("toy_problems:problem", {"note": "hello"}),
        algorithm_options={"population": 10},
        runner="inline",
        folder=finished,
    ):
        result = coevo("resume", finished)
        assert result.exit_code == 2
        assert f"process {os.getpid()}" in result.stderr and "is being driven by" in result.stderr
        assert coevo("front", finished).exit_code == 0  # looking needs no lock


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(coevo: Coevo, experiment: Path, finished: Path) -> None:
    for path in (*finished.rglob("*"), finished):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        result = coevo("resume", finished)
        assert result.exit_code == 2 and "cannot be written" in result.stderr and "--out" in result.stderr
        assert coevo("front", finished).exit_code == 0
    finally:
        for path in (finished, *finished.rglob("*")):
            path.chmod(0o755)


def test_a_place_where_no_folder_can_be_made(coevo: Coevo, experiment: Path) -> None:
    result = coevo("run", experiment, "--out", "/proc/here")
    assert result.exit_code == 2 and "/proc/here" in result.stderr and "Traceback" not in result.stderr


def test_an_unknown_key_of_a_design(coevo: Coevo, finished: Path) -> None:
    result = coevo("explain", finished, "ffffffffffff")
    assert result.exit_code == 2 and "'ffffffffffff'" in result.stderr
    assert coevo("explain", finished, "ab").exit_code == 2


def test_an_unknown_word(coevo: Coevo) -> None:
    result = coevo("serch")
    assert result.exit_code == 2 and "serch" in result.stderr
