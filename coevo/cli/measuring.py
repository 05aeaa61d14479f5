"""`coevo measure`: this device's times, for the cost models that need them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from coevo.cli.looking import options_given
from coevo.cli.output import emit, err, facts
from coevo.errors import ConfigError
from coevo.report.words import number
from coevo.search.registry import load_problem
from coevo.search.tables.files import check_target


def measure_problem(name: str, sets: list[str], target: Path | None, force: bool, as_json: bool) -> None:
    problem = load_problem(name, options_given(sets))
    if problem.measure is None:
        raise ConfigError(f"problem {name!r} has nothing to measure: none of its stages reads a table of this device")
    if target is not None:
        check_target(target.absolute(), force)
    console = err()
    columns = (
        TextColumn("measure"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)

        def progress(done: float, total: float, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        found = dict(problem.measure(target, progress))

    def show(console: Console) -> None:
        console.print(
            facts(*((key.replace("_", " "), _shown(value)) for key, value in found.items() if key != "table"))
        )
        console.print(Text(f"the table is {found['table']}"), soft_wrap=True)

    emit(as_json, {"problem": name, **found}, show)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return number(value) if isinstance(value, float) else str(value)
