"""`coevo compare`: two or more runs beside each other, and what that lets one say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from coevo.cli.output import emit, table
from coevo.report.words import answer, duration, number, unit
from coevo.search.compare import Comparison, compare, verdict
from coevo.search.compare.comparison import FINAL, Group
from coevo.search.compare.sheet import Sheet
from coevo.search.compare.verdict import measure_words

COLUMNS = 4
"""With more runs than this, the table has a column a configuration."""


def show_comparison(folders: Sequence[Path], as_json: bool) -> None:
    made = compare(folders)
    emit(as_json, comparison_json(made), lambda console: _print(console, made))


def comparison_json(made: Comparison) -> dict[str, Any]:
    """All of it as plain JSON; ends of intervals that are infinite are null."""
    labels = [sheet.label for sheet in made.sheets]
    group_of = {i: group.name for group in made.groups for i in group.members}
    return {
        "runs": [
            {
                "run": str(sheet.run.path),
                "label": sheet.label,
                "configuration": group_of[i],
                "seed": sheet.seed,
                "trials": int(sheet.spent["trials"]),
                "failed": sheet.failed,
                "infeasible": sheet.infeasible,
                "imported": sheet.imported,
                "seconds": sheet.spent["seconds"],
                "prepare_s": sheet.prepare_s,
                "cost_s": sheet.spent["cost_s"],
                "finished": sheet.status or None,
                "front": len(sheet.front),
                "best": {goal.metric: sheet.best(goal.metric) for goal in made.goals.objectives},
                "quality": {measure: values[i] for measure, values in made.quality.items()},
            }
            for i, sheet in enumerate(made.sheets)
        ],
        "goals": made.goals.as_dict(),
        "configurations": {group.name: [labels[i] for i in group.members] for group in made.groups},
        "differing": {key: dict(zip(labels, values, strict=True)) for key, values in made.differing.items()},
        "quality_is": quality_name(made),
        "reference": dict(made.reference),
        "ideal": dict(made.ideal),
        "equal": dict(made.equal),
        "pairs": [
            {
                "runs": [labels[i] for i in pair.runs],
                "first_covers_second": pair.covers[0],
                "second_covers_first": pair.covers[1],
                "designs_in_common": pair.designs_in_common,
                "on_both_fronts": pair.on_both_fronts,
            }
            for pair in made.pairs
        ],
        "differences": [
            {
                "configurations": list(found.groups),
                "measure": found.measure,
                "mean": found.interval.mean,
                "low": _finite(found.interval.low),
                "high": _finite(found.interval.high),
                "level": 0.95,
                "method": found.interval.how,
                "higher_is_better": found.higher_is_better,
            }
            for found in made.differences
        ],
        "notes": list(made.notes),
        "verdict": verdict(made),
    }


def quality_name(made: Comparison) -> str:
    """What `quality` is, as a row's name."""
    return f"best {made.goals.objectives[0].metric}" if made.single else "hypervolume"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _print(console: Console, made: Comparison) -> None:
    _print_configurations(console, made)
    _print_table(console, made)
    if made.reference and not made.single:
        units = made.sheets[0].run.config.get("units", {})

        def point(values: Any) -> str:
            spelled = (f"{name} {number(value)} {unit(units.get(name, ''))}".strip() for name, value in values.items())
            return ", ".join(spelled)

        console.print(
            Text(
                f"\nhypervolume: the share of the box from ({point(made.ideal)}), the best on any front, to the "
                f"common reference point ({point(made.reference)}), 10 % of the fronts' extent beyond their worst",
                style="dim",
            ),
            soft_wrap=True,
        )
    if len(made.sheets) <= COLUMNS:
        console.print()
        for pair in made.pairs:
            console.print(Text(_pair_words(made, pair.runs, pair)), soft_wrap=True)
    for note in made.notes:
        console.print(Text.assemble(("note: ", "yellow"), note), soft_wrap=True)
    console.print()
    for sentence in verdict(made):
        console.print(Text(sentence, style="bold"), soft_wrap=True)


def _pair_words(made: Comparison, runs: tuple[int, int], pair: Any) -> str:
    first, second = (made.sheets[i].label for i in runs)
    covers = [f"{share:.0%}" if share is not None else "nothing" for share in pair.covers]
    return (
        f"{first} covers {covers[0]} of {second}'s front, {second} covers {covers[1]} of {first}'s; "
        f"{pair.designs_in_common} designs in common, {pair.on_both_fronts} of them on both fronts"
    )


def _print_configurations(console: Console, made: Comparison) -> None:
    """What differs, a column a configuration; the seeds of each."""
    made_table = table("configuration", *(group.name for group in made.groups))
    made_table.add_row("runs", *(_listed([made.sheets[i].label for i in group.members]) for group in made.groups))
    made_table.add_row("seeds", *(_listed([str(made.sheets[i].seed) for i in group.members]) for group in made.groups))
    for key, values in made.differing.items():
        if key == "search.seed":
            continue
        cells = [values[group.members[0]] for group in made.groups]
        made_table.add_row(Text(key), *(Text("-" if cell is None else answer(cell, 40)) for cell in cells))
    console.print(made_table)
    console.print()


def _listed(words: list[str], most: int = 6) -> Text:
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return Text(", ".join(words[:most]) + more)


def _print_table(console: Console, made: Comparison) -> None:
    """A row a measure; a column a run, or a configuration where there are many runs: then means and extremes."""
    one_each = len(made.sheets) <= COLUMNS
    groups = [Group(sheet.label, (i,)) for i, sheet in enumerate(made.sheets)] if one_each else list(made.groups)
    shown = table("mean (lowest to highest)" if not one_each else "", *(g.name for g in groups), numbers=len(groups))
    units = made.sheets[0].run.config.get("units", {})

    def row(name: str, values: Sequence[float | None], word: Callable[[float], str] = number) -> None:
        shown.add_row(Text(name), *(_cell([values[i] for i in group.members], word) for group in groups))

    def of(read: Callable[[Sheet], float | None]) -> list[float | None]:
        return [read(sheet) for sheet in made.sheets]

    row("trials", of(lambda sheet: sheet.spent["trials"]))
    row("failed", of(lambda sheet: sheet.failed))
    row("infeasible", of(lambda sheet: sheet.infeasible))
    if any(sheet.prepare_s for sheet in made.sheets):
        row("preparation", of(lambda sheet: sheet.prepare_s), duration)
    row("search", of(lambda sheet: sheet.spent["seconds"]), duration)
    row("evaluation, all workers", of(lambda sheet: sheet.spent["cost_s"]), duration)
    row("designs on the front", of(lambda sheet: len(sheet.front)))
    for goal in made.goals.objectives:
        measure = unit(units.get(goal.metric, ""))
        row(
            f"best {goal.metric} ({', '.join(filter(None, (goal.direction, measure)))})",
            of(lambda sheet, metric=goal.metric: sheet.best(metric)),  # type: ignore[misc]
        )
    for measure, values in made.quality.items():
        if made.single and measure == FINAL:
            continue
        row(f"{quality_name(made)} {measure_words(made, measure)}", values)
    console.print(shown)


def _cell(values: Sequence[float | None], word: Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    if min(known) == max(known):
        return word(known[0])
    return f"{word(statistics.fmean(known))} ({word(min(known))} to {word(max(known))})"
