"""`coevo export`: one design ready to be used, or the whole run as a table for other tools."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from coevo import __version__
from coevo.cli.output import emit, err, facts
from coevo.errors import ConfigError
from coevo.report.words import number
from coevo.search.export import export_design, pick_trial
from coevo.search.run import Run
from coevo.search.tables import write_csv, write_parquet
from coevo.search.tables.files import check_target
from coevo.search.tables.optuna import write_optuna
from coevo.search.verify import problem_of

ENDINGS = {"csv": (".csv",), "parquet": (".parquet",), "optuna": (".log", ".journal")}


def export(
    folder: Path, key: str | None, target: Path | None, tables: dict[str, Path], force: bool, trust: bool, as_json: bool
) -> None:
    """Settles which of the two was meant. `tables` is {format: file} of those that were given."""
    ways = ["-o DIR"] * (target is not None) + [f"--{name} FILE" for name in tables]
    if len(ways) != 1:
        came = " and ".join(ways) or "neither"
        raise ConfigError(
            f"export: expected KEY with -o DIR for one design, or one of --csv, --parquet and --optuna for all trials; "
            f"got {came}"
        )
    if target is not None:
        if key is None:
            raise ConfigError("export: -o DIR takes one design; give its KEY too, or 'best'")
        if force:
            raise ConfigError("export: --force is for tables; the export of a design never overwrites anything")
        export_key(folder, key, target, as_json)
        return
    if key is not None:
        raise ConfigError(f"export: {ways[0]} takes the whole run; leave {key!r} away, or give -o DIR for that design")
    kind, file = next(iter(tables.items()))
    if file.suffix.lower() not in ENDINGS[kind]:
        expected = " or ".join(ENDINGS[kind])
        raise ConfigError(f"--{kind} {file}: expected a file that ends in {expected}")
    export_table(folder, kind, file, force, trust, as_json)


def export_key(folder: Path, key: str, target: Path, as_json: bool) -> None:
    run = Run.open(folder)
    trial = pick_trial(run, key)
    console = err()
    columns = (TextColumn("export"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)

        def progress(done: float, total: float, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        measurements = export_design(run, trial, target, progress=progress)

    def show(console: Console) -> None:
        console.print(Text(f"design {trial.design.key} is in {target}"), soft_wrap=True)
        console.print(facts(*((name, number(value)) for name, value in measurements["export"].items())))
        console.print(f"check it with: coevo verify {target}", soft_wrap=True)

    emit(as_json, {"export": str(target), "key": trial.design.key, "measurements": measurements}, show)


def export_table(folder: Path, kind: str, file: Path, force: bool, trust: bool, as_json: bool) -> None:
    run = Run.open(folder)
    check_target(file.absolute(), force)
    data: dict[str, Any] = {"run": str(folder), "format": kind, "file": str(file), "notes": []}
    if kind == "optuna":
        data |= _optuna(run, file, force, trust)
    else:
        write: Callable[..., int] = write_csv if kind == "csv" else write_parquet
        data["trials"] = write(run.history, file, force)
    data["bytes"] = file.stat().st_size

    def show(console: Console) -> None:
        under_way = f" and {data['open']} under way" if data.get("open") else ""
        size = f"{data['bytes'] / 1e6:.3g} MB"
        console.print(Text(f"{data['trials']} trials{under_way} are in {file} ({size})"), soft_wrap=True)
        if kind == "optuna":
            console.print(Text(f"study {data['study']!r}; to look at it: optuna-dashboard {shlex.quote(str(file))}"))
        for note in data["notes"]:
            console.print(Text.assemble(("note: ", "yellow"), note), soft_wrap=True)

    emit(as_json, data, show)


def _optuna(run: Run, file: Path, force: bool, trust: bool) -> dict[str, Any]:
    name = str(run.config.get("problem", ""))
    problem, why = problem_of(name, dict(run.config.get("options", {})), trust)
    study = run.path.name
    about = {"coevo:problem": name, "coevo:search": run.config["search"], "coevo:version": __version__}
    space = problem.space if problem is not None else None
    written = write_optuna(run.history, file, study, space, about, force, why)
    return {"study": study, "trials": written.trials, "open": written.open, "notes": written.notes}
