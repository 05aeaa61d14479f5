"""From a run folder to RUN/report/index.html."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from coevo.report.clock import read_log
from coevo.report.content import Drawing, Exported, Line, Page, Picture
from coevo.report.control import control_of
from coevo.report.data import DOMINATED, FRONT, Table, tabulate
from coevo.report.history import histories
from coevo.report.importance import importances_of
from coevo.report.lineage import line_of
from coevo.report.page import render
from coevo.report.pictures import PNG, picture_of, pictures_in
from coevo.report.reproduction import control_commands, experiment_toml
from coevo.report.stages import stage_costs
from coevo.report.words import unit
from coevo.search.agreement import agreements
from coevo.search.folder import write_durably
from coevo.search.front import Archive
from coevo.search.objectives import Goals
from coevo.search.preparation import FOLDER
from coevo.search.problem import Problem
from coevo.search.run import Run

DRAWN = 6


def write_report(run: Run, problem: Problem | None = None, note: str = "", control: Sequence[Path | str] = ()) -> Path:
    """Writes the report and returns its path. Without the problem there are no drawings and no units, and `note` says
    why. `control` are folders of random searches of the same problem; where none is given, those beside the run are
    taken. InputError where a given one is no such search."""
    path = run.path / "report" / "index.html"
    text = render(page_of(run, problem, note, control))
    path.parent.mkdir(exist_ok=True)
    write_durably(path, text)
    return path


def page_of(run: Run, problem: Problem | None = None, note: str = "", control: Sequence[Path | str] = ()) -> Page:
    """Everything that the page shows."""
    from coevo import __version__

    found, log = control_of(run, control), read_log(run.rows())
    units = dict(run.config.get("units", {}))
    if problem is not None:
        units |= {name: unit for stage in problem.stages for name, unit in stage.evaluator.metrics.items()}
    units = {name: unit(text) for name, text in units.items()}
    trials = list(run.trials())
    archive = Archive(len(run.stages) - 1)
    for trial in trials:
        archive.add(trial)
    table = tabulate(trials, archive.trials, run.goals, units, run.stages)
    drawings, drawing_note = _drawings(table, problem)
    by_index = {trial.index: trial for trial in trials}
    return Page(
        title=str(run.config["problem"]),
        table=table,
        config=run.config,
        env=run.env,
        log=log,
        toml=experiment_toml(run.config, len(trials)),
        control_commands=control_commands(run.config, run.path, len(trials)),
        folder=str(run.path),
        written=time.strftime("%Y-%m-%d %H:%M"),
        version=__version__,
        importances=importances_of(table),
        history=histories(table, log.told_s, found),
        control=found,
        description=problem.description if problem else "",
        drawings=drawings,
        exports=exports_of(run),
        prepared=prepared_pictures(run),
        drawing_note=drawing_note if problem else f"No drawings: {note or 'the problem was not loaded'}.",
        lines=[Line(caption, line_of(table.trials[row], by_index)) for row, caption in best_rows(table, run.goals)],
        costs=stage_costs(table),
        agreements=agreements(trials, run.stages, run.goals) if len(run.stages) > 1 else [],
        loaded=problem is not None or not note,
    )


def exports_of(run: Run) -> list[Exported]:
    """The designs exported into the run folder, with what their exports measured."""
    found = []
    for path in sorted(run.path.glob("export*/measurements.json")):
        try:
            key = json.loads((path.parent / "design.json").read_text(encoding="utf-8"))["key"]
            measured = json.loads(path.read_text(encoding="utf-8"))["export"]
            found.append(Exported(path.parent.name, str(key), dict(measured), pictures_in(path.parent)))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # `coevo verify` says what is wrong with it
    return found


def prepared_pictures(run: Run) -> list[Picture]:
    """The pictures among what the problem prepared."""
    artifacts = run.prepared.get("artifacts", {})
    paths = {name: run.path / FOLDER / entry["path"] for name, entry in artifacts.items()}
    return [picture_of(path, name) for name, path in sorted(paths.items()) if path.suffix == PNG]


def best_rows(table: Table, goals: Goals) -> list[tuple[int, str]]:
    """A few designs of the front that are worth a picture, with what each is: the best by each objective and the one
    nearest to all of the best values; with one objective, the best few."""
    rows = list(table.front)
    if not rows:
        return []
    if len(goals.objectives) == 1:
        feasible = [row for row, state in enumerate(table.states) if state in (FRONT, DOMINATED)]
        ordered = sorted(feasible, key=lambda row: _costs(table, row, goals))
        return [(row, f"{'Best' if place == 0 else f'No. {place + 1}'}") for place, row in enumerate(ordered[:3])]
    costs = {row: _costs(table, row, goals) for row in rows}
    chosen: dict[int, list[str]] = {}
    for place, goal in enumerate(goals.objectives):
        best = min(rows, key=lambda row: (costs[row][place], costs[row]))
        chosen.setdefault(best, []).append(f"best {goal.metric}")
    lows = [min(cost[place] for cost in costs.values()) for place in range(len(goals.objectives))]
    spans = [max(cost[place] for cost in costs.values()) - low for place, low in enumerate(lows)]

    def distance(row: int) -> float:
        return sum(
            ((cost - low) / span) ** 2 for cost, low, span in zip(costs[row], lows, spans, strict=True) if span > 0
        )

    chosen.setdefault(min(rows, key=distance), []).append("compromise: nearest to the best of all objectives")
    return [(row, "; ".join(words).capitalize()) for row, words in list(chosen.items())[:DRAWN]]


def _costs(table: Table, row: int, goals: Goals) -> tuple[float, ...]:
    metrics = table.trials[row].outcome.metrics
    return tuple(
        -metrics[goal.metric] if goal.direction == "max" else metrics[goal.metric] for goal in goals.objectives
    )


def _drawings(table: Table, problem: Problem | None) -> tuple[list[Drawing], str]:
    if problem is None or problem.draw is None:
        return [], ""
    drawings = []
    for row, caption in best_rows(table, table.goals):
        try:
            body = str(problem.draw(problem.space.build(table.trials[row].design)))
            drawings.append(Drawing(row, caption, body))
        except Exception as error:  # a drawing is a courtesy: a failure of somebody's code must not cost the report
            drawings.append(Drawing(row, caption, problem=f"{type(error).__name__}: {error}"))
    return drawings, ""
