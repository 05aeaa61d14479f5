"""Taking designs home, and finding out whether what was written is still what was written."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from coevo.errors import CoevoError, CorruptRun, InputError
from coevo.search.export import export_design, listed_files, write_export
from coevo.search.registry import load_problem
from coevo.search.run import Run
from coevo.search.verify import verify_export, verify_run

Coevo = Callable[..., Result]


def test_an_export_holds_the_design_its_numbers_and_their_provenance(coevo: Coevo, finished: Path) -> None:
    run = Run.open(finished)
    trial = run.front().trials[-1]
    result = coevo("export", finished, trial.design.key[:8], "-o", "home/mine")
    assert result.exit_code == 0, result.stderr
    folder = Path("home/mine")
    design = json.loads((folder / "design.json").read_text())
    assert design["key"] == trial.design.key and design["space"] == "toy/v1"
    assert design["problem"] == "toy_problems:problem" and design["options"]["note"] == "hello"
    assert design["answers"] == json.loads(json.dumps(trial.design.answers))
    numbers = json.loads((folder / "measurements.json").read_text())
    assert numbers["search"]["latency_ms"] == {"value": trial.outcome.metrics["latency_ms"], "unit": "ms"}
    assert numbers["export"]["accuracy_int8"] == pytest.approx(trial.outcome.metrics["accuracy"] - 0.01)
    assert numbers["export"]["not_measured"] is None  # JSON has no NaN
    provenance = numbers["provenance"]
    assert provenance["run"]["search"]["seed"] == 0 and provenance["trial"]["seed"] == trial.seed
    assert provenance["evaluator"] == "toy-judge@1" and provenance["searched_with"]["packages"]["numpy"]
    assert provenance["device"]["kind"] == "cpu"
    model = json.loads((folder / "parts" / "model.json").read_text())
    assert model["seed"] == 0  # the export read what prepare had made
    assert trial.design.key in (folder / "README.txt").read_text()
    assert not list(Path("home").glob(".*"))


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_sha256sum_reads_the_digests(coevo: Coevo, finished: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=finished / "export", check=True)
    listed = {line.split("  ")[1] for line in (finished / "export" / "SHA256SUMS").read_text().splitlines()}
    assert listed == set(listed_files(finished / "export")) - {"SHA256SUMS"}


def test_the_same_design_exports_to_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_design(Run.open(finished), "best", tmp_path / name)
    assert (tmp_path / "one" / "SHA256SUMS").read_text() == (tmp_path / "two" / "SHA256SUMS").read_text()


def test_an_export_overwrites_nothing(coevo: Coevo, finished: Path) -> None:
    Path("full").mkdir()
    Path("full/note.txt").write_text("mine")
    Path("file").write_text("mine")
    for target in ("full", "file"):
        result = coevo("export", finished, "best", "-o", target)
        assert result.exit_code == 2 and target in result.stderr
    Path("empty").mkdir()
    assert coevo("export", finished, "best", "-o", "empty").exit_code == 0


def test_half_an_export_leaves_nothing(tmp_path: Path) -> None:
    problem = load_problem("toy_problems:half_export")
    design = problem.space.design({"depth": 1, "width0": 8, "order": ["a", "b", "c"], "rate": 0.01})
    with pytest.raises(RuntimeError, match="out of luck"):
        write_export(problem, design, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_an_export_without_a_run(tmp_path: Path) -> None:
    problem = load_problem("toy_problems:problem")
    design = problem.space.design({"depth": 1, "width0": 8, "order": ["a", "b", "c"], "rate": 0.01})
    net = tmp_path / "net.json"
    net.write_text('{"seed": 5}')
    write_export(problem, design, tmp_path / "out", artifacts={"net": net}, measured={"accuracy": 0.5})
    assert verify_export(tmp_path / "out", trust=True).ok


def test_what_cannot_be_exported_is_said(finished: Path, tmp_path: Path) -> None:
    plain = load_problem("toy_problems:plain")
    with pytest.raises(InputError, match="offers no export"):
        export_design(Run.open(finished), "best", tmp_path / "out", problem=plain)
    failed = next((trial for trial in Run.open(finished).trials() if trial.outcome.failure), None)
    if failed is not None:
        with pytest.raises(InputError, match="failed"):
            export_design(Run.open(finished), failed, tmp_path / "out")


def test_a_prepared_file_that_was_altered_is_never_exported(coevo: Coevo, finished: Path) -> None:
    (finished / "prepared" / "net.json").write_text('{"seed": 666}')
    with pytest.raises(CorruptRun, match="altered"):
        export_design(Run.open(finished), "best", "out")
    result = coevo("export", finished, "best", "-o", "out")
    assert result.exit_code == 1 and "'net'" in result.stderr and not Path("out").exists()
    assert any("'net'" in wrong for wrong in verify_run(finished).problems)


def test_a_problem_may_not_write_coevos_own_files(finished: Path, tmp_path: Path) -> None:
    problem = load_problem("toy_problems:half_export")

    def export(design: object, context: object) -> dict[str, float]:
        (context.folder / "design.json").write_text("{}")  # type: ignore[attr-defined]
        return {}

    object.__setattr__(problem, "export", export)
    with pytest.raises(CoevoError, match=r"wrote design\.json"):
        export_design(Run.open(finished), "best", tmp_path / "out", problem=problem)
    assert not (tmp_path / "out").exists()


# ---- verify


def test_verify_finds_a_whole_export_whole(coevo: Coevo, finished: Path) -> None:
    result = coevo("verify", finished / "export", "--trust")
    assert result.exit_code == 0, result.stdout
    assert "all is as it was written" in result.stdout and "the check of problem 'toy'" in result.stdout


@pytest.mark.parametrize(
    ("name", "harm", "word"),
    [
        ("altered", lambda folder: (folder / "parts" / "model.json").write_text("{}"), "parts/model.json was altered"),
        ("missing", lambda folder: (folder / "parts" / "model.json").unlink(), "parts/model.json is missing"),
        ("extra", lambda folder: (folder / "virus.sh").write_text("x"), "virus.sh is extra"),
        ("link", lambda folder: (folder / "passwd").symlink_to("/etc/passwd"), "passwd is no plain file"),
        ("sums", lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS cannot be checked"),
        (
            "outside",
            lambda folder: (folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../../etc/passwd\n"),
            "no line of a digest and a file inside the folder",
        ),
    ],
)
def test_verify_finds_what_was_done_to_an_export(
    coevo: Coevo, finished: Path, name: str, harm: Callable[[Path], object], word: str
) -> None:
    harm(finished / "export")
    result = coevo("verify", finished / "export", "--trust")
    assert result.exit_code == 1 and word in result.stdout
    found = json.loads(coevo("verify", finished, "--json").stdout)
    assert found["ok"] is False and any(word in wrong for wrong in found["problems"])


def test_verify_recomputes_the_key_even_where_the_digests_were_made_to_fit(finished: Path) -> None:
    from coevo.search.folder import sha256

    folder = finished / "export"
    design = json.loads((folder / "design.json").read_text())
    design["answers"][0][1] = 1 if design["answers"][0][1] != 1 else 2
    (folder / "design.json").write_text(json.dumps(design))
    names = [name for name in listed_files(folder) if name != "SHA256SUMS"]
    (folder / "SHA256SUMS").write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names))
    assert any("it was altered" in wrong for wrong in verify_export(folder).problems)


def test_a_folder_from_elsewhere_runs_no_code_unasked(coevo: Coevo, finished: Path) -> None:
    """A folder may name any function of this machine as its problem; only --trust has it called."""
    from coevo.search.folder import sha256

    folder = finished / "export"
    design = json.loads((folder / "design.json").read_text())
    design |= {"problem": "pathlib:Path.touch", "options": {"self": "owned"}}
    (folder / "design.json").write_text(json.dumps(design))
    sums = "".join(f"{sha256(folder / name)}  {name}\n" for name in listed_files(folder) if name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text(sums)
    result = coevo("verify", folder)
    assert result.exit_code == 0 and "--trust" in result.stdout and not Path("owned").exists()
    assert coevo("report", finished).exit_code == 0


def test_a_report_beside_a_control(coevo: Coevo, finished: Path) -> None:
    result = coevo("report", finished, "--control", finished)
    assert result.exit_code == 2 and "no control of" in result.stderr and "its algorithm is 'nsga2'" in result.stderr
    toml = Path("random.toml")
    toml.write_text(
        'problem = "toy_problems:problem"\n[options]\nnote = "hello"\n[search]\nalgorithm = "random"\ntrials = 30\n'
        '[run]\nrunner = "inline"\nexport = "none"\n'
    )
    assert coevo("run", toml, "--out", "elsewhere/random").exit_code == 0
    result = coevo("report", finished, "--control", "elsewhere/random", "--trust", "--json")
    assert result.exit_code == 0, result.stderr
    page = Path(json.loads(result.stdout)["report"]).read_text(encoding="utf-8")
    assert "The band is random search: 30 trials of" in page and "elsewhere/random" in page


def test_verify_a_whole_run(coevo: Coevo, finished: Path) -> None:
    result = coevo("verify", finished, "--trust")
    assert result.exit_code == 0, result.stdout
    assert "40 designs, rebuilt by space toy/v1" in result.stdout and "export: " in result.stdout


def test_verify_finds_an_answer_that_was_changed_in_the_store(coevo: Coevo, finished: Path) -> None:
    with sqlite3.connect(finished / "study.sqlite") as database:
        database.execute(
            """UPDATE event SET content = replace(content, '["order",["a"', '["order",["c"') WHERE kind = 'asked'"""
        )
        changed = database.execute("SELECT changes()").fetchone()[0]
    database.close()
    assert changed
    verdict = verify_run(finished, trust=True)
    assert any("is on record" in wrong for wrong in verdict.problems)
    assert coevo("verify", finished).exit_code == 1


def test_verify_finds_a_damaged_database(coevo: Coevo, finished: Path) -> None:
    path = finished / "study.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:4600] = b"\xff" * 504
    path.write_bytes(content)
    result = coevo("verify", finished)
    assert result.exit_code == 1 and "Traceback" not in result.stderr


def test_verify_says_when_the_space_is_another_one(finished: Path) -> None:
    other = load_problem("toy_problems:small")
    verdict = verify_run(finished, problem=other)
    assert any("belongs to space" in wrong for wrong in verdict.problems)
    assert verdict.problems[-1].startswith("... and") or len(verdict.problems) <= 21
