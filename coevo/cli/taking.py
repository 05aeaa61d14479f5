"""`coevo report` and `coevo verify`: a run as a page, and whether it is still whole."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from coevo.cli.output import emit, err
from coevo.search import store
from coevo.search.export import DESIGN, SUMS
from coevo.search.run import Run
from coevo.search.verify import problem_of, verify_export, verify_run


def make_report(folder: Path, control: list[Path], trust: bool, as_json: bool) -> None:
    from coevo.report import write_report

    run = Run.open(folder)
    problem, why = problem_of(str(run.config["problem"]), dict(run.config.get("options", {})), trust)
    if why:
        err().print(Text(f"no drawings: {why}", style="yellow"))
    path = write_report(run, problem, why, control)
    emit(
        as_json,
        {"run": str(folder), "report": str(path)},
        lambda console: console.print(Text(str(path)), soft_wrap=True),
    )


def verify_folder(path: Path, trust: bool, as_json: bool) -> None:
    exported = ((path / DESIGN).is_file() or (path / SUMS).is_file()) and not (path / store.FILE).is_file()
    verdict = verify_export(path, trust) if exported else verify_run(path, trust)

    def show(console: Console) -> None:
        for wrong in verdict.problems:
            console.print(Text.assemble(("wrong: ", "bold red"), wrong), soft_wrap=True)
        for note in verdict.notes:
            console.print(Text.assemble(("note: ", "yellow"), note), soft_wrap=True)
        console.print(Text("checked: " + "; ".join(verdict.checked), style="dim"), soft_wrap=True)
        if verdict.ok:
            console.print(Text("all is as it was written", style="green"))

    data = {
        "path": str(path),
        "ok": verdict.ok,
        "problems": verdict.problems,
        "notes": verdict.notes,
        "checked": verdict.checked,
    }
    emit(as_json, data, show)
    if not verdict.ok:
        raise typer.Exit(1)
