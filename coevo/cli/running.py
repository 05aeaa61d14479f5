"""`coevo run` and `coevo resume`: prepare, search, report, export, and how each of them may end."""

from __future__ import annotations

import contextlib
import json
import secrets
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from coevo.cli.checking import check_budget, check_runner, open_problem
from coevo.cli.guard import DONE, FAILED, INTERRUPTED, NOTHING_FEASIBLE, complain
from coevo.cli.interrupt import interruptible
from coevo.cli.output import emit, err, facts, out
from coevo.cli.progress import View, stages_table, view_for
from coevo.cli.tables import front_table, same_points
from coevo.cli.tally import Tally
from coevo.config import Experiment, from_run, load
from coevo.errors import CoevoError, RunFolderError
from coevo.report import write_report
from coevo.report.words import duration, number
from coevo.search.export import export_design
from coevo.search.problem import Problem
from coevo.search.run import Run
from coevo.search.study import Study

ROWS = 20


def run_file(file: Path, overrides: list[str], folder: Path | None, as_json: bool) -> None:
    """A new run, in a folder that did not exist or was empty."""
    experiment = load(file, overrides)
    problem = _checked(experiment)
    folder = folder if folder is not None else fresh_folder(file)
    if folder.is_dir() and any(folder.iterdir()):
        resumable = (folder / "study.sqlite").exists()
        remedy = f"`coevo resume {shlex.quote(str(folder))}` goes on with it" if resumable else "give a new folder"
        raise RunFolderError(f"{folder} is not empty, and a run never overwrites anything; {remedy}")
    _carry_out(experiment, problem, folder, as_json)


def resume_run(folder: Path, overrides: list[str], as_json: bool) -> None:
    """The same flow again, on a folder that holds a run; what is recorded is not paid for twice."""
    experiment = from_run(Run.open(folder).config, folder, overrides)
    _carry_out(experiment, _checked(experiment), folder, as_json)


def fresh_folder(file: Path) -> Path:
    """runs/<date>-<name of the file>-<4 hex>, not in use yet."""
    while True:
        folder = Path("runs") / f"{time.strftime('%Y-%m-%d')}-{file.stem}-{secrets.token_hex(2)}"
        if not folder.exists():
            return folder


def _checked(experiment: Experiment) -> Problem:
    """The problem, once all that the file says is known to be right."""
    check_budget(experiment)
    check_runner(experiment)
    return open_problem(experiment)


def _carry_out(experiment: Experiment, problem: Problem, folder: Path, as_json: bool) -> None:
    console = err()
    result: dict[str, Any] = {"run": str(folder)}
    with interruptible() as signals:
        try:
            with contextlib.closing(_open_study(experiment, problem, folder)) as study:
                code = _flow(study, experiment, console, result, as_json)
        except BaseException:
            # Whatever the signal broke off, the store is whole: each of its rows was committed as one.
            if not signals or not (folder / "study.sqlite").exists():
                raise
            _say_interrupted(console, folder)
            code, result = INTERRUPTED, {**result, "resume": _resume_command(folder)}
    if as_json:
        emit(True, {**result, "exit_code": code}, lambda _: None)
    raise typer.Exit(code)


def _open_study(experiment: Experiment, problem: Problem, folder: Path) -> Study:
    search, run = experiment.search, experiment.run
    return Study(
        problem,
        objectives=experiment.objectives or None,
        constraints=experiment.limits,
        algorithm=search.algorithm,
        algorithm_options=search.algorithm_options,
        seed=search.seed,
        lag=search.lag,
        deterministic=search.deterministic,
        warm_start=search.warm_start,
        enqueue=search.enqueue,
        runner=run.runner,
        workers=run.workers,
        folder=folder,
        durability=run.durability,
        settings={
            "search": search.budget,
            "run": {"durability": run.durability, "export": run.export},
            "units": {name: unit for stage in problem.stages for name, unit in stage.evaluator.metrics.items() if unit},
        },
    )


def _flow(study: Study, experiment: Experiment, console: Console, result: dict[str, Any], as_json: bool) -> int:
    """Prepare, search, report, export; fills `result`, prints what was found, and returns the exit code."""
    began = time.monotonic()
    folder, problem = Path(result["run"]), study.problem
    run = Run.open(folder)
    metrics = study.stages[-1].evaluator.metrics
    tally = Tally(study.goals, experiment.search.budget, metrics, stages=[stage.name for stage in study.stages])
    tally.catch_up(study.trials(), run.status["seconds"])
    if problem.prepare is None or run.prepared:
        tally.skip("prepare")
    exports = experiment.run.export == "best" and problem.export is not None
    if not exports:
        tally.skip("export")
    console.print(Text(f"run folder: {folder}", style="dim"), soft_wrap=True)
    exported, failure = None, None
    with view_for(tally, console) as view:
        study.listen(view.take)
        front = study.run(**experiment.search.budget)
        report_began = time.monotonic()
        report = write_report(run, problem)
        report_s = time.monotonic() - report_began
        if exports and front.trials:
            try:
                exported = _export_best(run, problem, folder, view)
                report_began = time.monotonic()
                report = write_report(run, problem)  # again, with what the export measured
                report_s += time.monotonic() - report_began
            except Exception as error:  # whatever the problem's own code raises: the search is not lost with it
                failure = error
    spent = {name: phase.seconds for name, phase in tally.phases.items()}
    seconds = {**spent, "report": report_s, "all": time.monotonic() - began}
    result |= {
        "status": run.status,
        **tally.rungs.as_json(),
        "front": front.table(),
        "report": str(report),
        "export": str(exported) if exported else None,
        "measured_at_export": _measured_at(exported) if exported else {},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
    if not as_json:
        _print_end(out(), study, tally, result)
    if not front.trials:
        _say_nothing_feasible(console, study)
        return NOTHING_FEASIBLE
    if failure is not None:
        again = f"coevo export {shlex.quote(result['run'])} best -o {shlex.quote(result['run'] + '/export')}"
        what = f"{type(failure).__name__}: {failure}"
        told = CoevoError(f"the export failed: {what}\nThe search is whole; to export again: {again}")
        told.__cause__ = failure
        complain(told)
        return FAILED
    return DONE


def _export_best(run: Run, problem: Problem, folder: Path, view: View) -> Path:
    """The best design by the first objective, in RUN/export. One that an earlier session exported stays as it is; a
    better design that a resumed search found gets a folder beside it."""
    view.tally.begin("export")
    best = run.front().best()
    target = folder / "export"
    if target.exists() and exported_key(target) != best.design.key:
        target = folder / f"export-{best.design.key[:8]}"
    if exported_key(target) != best.design.key:
        export_design(run, best, target, problem=problem, progress=view.progress)
    view.tally.end("export")
    return target


def exported_key(folder: Path) -> str | None:
    """The key of the design that `folder` holds, or None where it holds none."""
    try:
        found = json.loads((folder / "design.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found.get("key") if isinstance(found, dict) else None


def _measured_at(exported: Path) -> dict[str, Any]:
    found = json.loads((exported / "measurements.json").read_text(encoding="utf-8"))
    return dict(found.get("export", {}))


def _print_end(console: Console, study: Study, tally: Tally, result: dict[str, Any]) -> None:
    front = study.front()
    if front.trials:
        console.print(front_table(front, study.stages[-1].evaluator.metrics, ROWS, console.width))
        more = len(same_points(front)) - ROWS
        if more > 0:
            console.print(f"and {more} more: coevo front {shlex.quote(result['run'])}")
        console.print()
    if tally.rungs.several:
        console.print(stages_table(tally.rungs))
        console.print()
    seconds = result["seconds"]
    spent = ", ".join(f"{name} {duration(value)}" for name, value in seconds.items() if value and name != "all")
    console.print(
        facts(
            ("run", result["run"]),
            ("report", result["report"]),
            ("export", result["export"]),
            ("measured", ", ".join(f"{name} {number(value)}" for name, value in result["measured_at_export"].items())),
            ("time", f"{duration(seconds['all'])} ({spent})"),
        )
    )


def _say_nothing_feasible(console: Console, study: Study) -> None:
    """Why a search that used its budget has nothing to show."""
    console.print(Text(f"no feasible design among {study.told} trials.", style="bold red"))
    reasons = Counter(trial.outcome.failure for trial in study.trials() if trial.outcome.failure)
    for reason, count in reasons.most_common(3):
        console.print(Text(f"  {count} x {str(reason).splitlines()[0][:200]}"))
    if study.infeasible:
        console.print(Text(f"  {study.infeasible} x a constraint is broken; loosen it, or search longer"))


def _say_interrupted(console: Console, folder: Path) -> None:
    with contextlib.suppress(Exception):
        told = Run.open(folder).status["told"]
        console.print(Text(f"interrupted; {told} trials are kept.", style="bold yellow"))
    console.print(Text(f"go on with: {_resume_command(folder)}"), soft_wrap=True)


def _resume_command(folder: Path) -> str:
    return f"coevo resume {shlex.quote(str(folder))}"
