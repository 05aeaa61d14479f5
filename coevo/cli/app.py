"""The subcommands and their help. Each imports what it needs when it runs, so that `coevo --help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coevo.cli.guard import Guard

EPILOG = """Exit codes: 0 done; 1 failed, or verify found something wrong; 2 bad input (nothing was written);
3 the budget ended and no design is feasible; 4 interrupted, `coevo resume` goes on. COEVO_DEBUG=1 shows tracebacks."""

app = typer.Typer(
    name="coevo",
    cls=Guard,
    help="Search networks, quantum circuits and the hardware under them with one evolutionary loop.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key; may be repeated. Values are TOML, or plain words."
    ),
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Import the code that the folder itself names (module:attribute)."),
]


def _version(wanted: bool) -> None:
    if wanted:
        from coevo import __version__

        typer.echo(f"coevo {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog=EPILOG)
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The experiment.")],
    runner: Annotated[
        str | None, typer.Option(help="Who runs the evaluations: local (processes), inline, ray or ray:ADDRESS.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many at once.")] = None,
    sets: Sets = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run folder; runs/<date>-<name>-<4 hex> otherwise.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run an experiment.

    Prepares, searches, writes the report and exports the best design.
    """
    from coevo.cli.running import run_file

    run_file(file, _with(sets, runner, workers), out, as_json)


@app.command(epilog=EPILOG)
def resume(
    run: RunArgument,
    runner: Annotated[str | None, typer.Option(help="Go on with another runner.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Go on with another number of workers.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another budget (search.trials=2000) or another key of [run]."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a run.

    An interrupted one continues where it was; a finished one under a larger budget.
    """
    from coevo.cli.running import resume_run

    resume_run(run, _with(sets, runner, workers), as_json)


@app.command()
def spaces(as_json: AsJson = False) -> None:
    """List the problems that are installed."""
    from coevo.cli.looking import show_spaces

    show_spaces(as_json)


@app.command()
def show(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="A name of `coevo spaces`, or module:attribute.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="An option of the problem; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Describe a problem.

    Its options, metrics and choices, its size, how many random designs are valid, and a sample.
    """
    from coevo.cli.looking import show_problem

    show_problem(problem, sets or [], as_json)


@app.command()
def measure(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="A name of `coevo spaces`, or module:attribute.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="An option of the problem; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Write the table here, not to this device's own place."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE where it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure this device for a problem's cost model.

    Fills the table that predicts latency without running a design. It holds for this device and these versions alone.
    """
    from coevo.cli.measuring import measure_problem

    measure_problem(problem, sets or [], out, force, as_json)


@app.command()
def watch(run: RunArgument, as_json: AsJson = False) -> None:
    """Watch a search that another process drives.

    Ends with it; Ctrl-C stops the watching alone. With --json, says where it is and ends.
    """
    from coevo.cli.watching import watch_run

    watch_run(run, as_json)


@app.command()
def front(run: RunArgument, as_json: AsJson = False) -> None:
    """Print the front of a run, finished or not."""
    from coevo.cli.looking import show_front

    show_front(run, as_json)


@app.command()
def explain(
    run: RunArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A design's key or its beginning, or 'best'.")],
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Explain one design of a run.

    Its answers, metrics and ancestors, why it failed, and what befell its worker.
    """
    from coevo.cli.explaining import explain_design

    explain_design(run, key, trust, as_json)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Two run folders or more.")],
    as_json: AsJson = False,
) -> None:
    """Compare runs of one problem.

    What differs in their configurations, what each found and spent, hypervolume at equal trials and seconds, coverage,
    and a verdict; with several seeds of each configuration, differences with 95 % intervals.
    """
    from coevo.cli.comparing import show_comparison

    show_comparison(runs, as_json)


@app.command()
def report(
    run: RunArgument,
    control: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN", help="A random search of the same problem to compare with; those beside the run by default."
        ),
    ] = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Write a run's report as one HTML file."""
    from coevo.cli.taking import make_report

    make_report(run, control or [], trust, as_json)


@app.command()
def export(
    run: RunArgument,
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="A design's key or its beginning, or 'best'; with -o.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write that design here.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="All trials, a line each.")] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="The same as Parquet (extra tables).")
    ] = None,
    optuna: Annotated[
        Path | None,
        typer.Option(metavar="FILE.log", help="An Optuna journal, which optuna-dashboard opens (extra optuna)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a table that is there.")] = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Write a design out, ready to be used, or all trials as a table.

    A design: KEY with -o. A table: one of --csv, --parquet and --optuna.
    """
    from coevo.cli.exporting import export as carry_out

    tables = {name: file for name, file in (("csv", csv), ("parquet", parquet), ("optuna", optuna)) if file is not None}
    carry_out(run, key, out, tables, force, trust, as_json)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(metavar="RUN|DIR", help="A run folder or an exported design.")],
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Check a run folder or an exported design.

    Exit code 1 where something is wrong.
    """
    from coevo.cli.taking import verify_folder

    verify_folder(path, trust, as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what coevo finds on this machine.

    Devices, extras, SQLite, the file system of the current folder, exposure.
    """
    from coevo.cli.doctor import examine

    examine(as_json)


def _with(sets: list[str] | None, runner: str | None, workers: int | None) -> list[str]:
    """The options that have a name of their own are overrides like any other."""
    named = [("runner", runner), ("workers", workers)]
    return [*(sets or []), *(f"run.{name}={value}" for name, value in named if value is not None)]
