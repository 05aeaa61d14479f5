"""`coevo explain`: one design, where it came from, what was measured, and what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from coevo.cli.output import emit, facts, table
from coevo.cli.tables import answers_table, metrics_table
from coevo.report.words import duration, number, unit
from coevo.search.export import pick_trial
from coevo.search.run import Run
from coevo.search.standing import standing
from coevo.search.trial import Trial
from coevo.search.verify import problem_of

ANCESTORS = 25
TROUBLE = {
    "retried": "its worker was lost or its batch failed; this outcome is from the second attempt",
    "timeout": "it ran into its time limit",
    "lost": "it lost its worker twice",
}


def explain_design(folder: Path, key: str, trust: bool, as_json: bool) -> None:
    run = Run.open(folder)
    trials = {trial.index: trial for trial in run.trials()}
    trial = trials[pick_trial(run, key).index]
    lines = lineage(trial, trials)
    on_front = any(member.index == trial.index for member in run.front().trials)
    data = {
        **trial_json(trial),
        "answers": [[name, value] for name, value in trial.design.answers],
        "on_front": on_front,
        "beaten_by": None if on_front else _beaten_by(trial, run),
        "violation": trial.score.violation if trial.score else None,
        "evaluator": trial.evaluator,
        "device": trial.device,
        "seed": trial.seed,
        "stages": _stages(run, trial, trials),
        "artifacts": {name: str(path) for name, path in trial.outcome.artifacts.items()},
        "logs": str(run.path / "workers") if (run.path / "workers").is_dir() else None,
        "lineage": [{"generation": generation, **trial_json(member)} for generation, member in lines],
    }
    emit(as_json, data, lambda console: _print(console, run, trial, trials, lines, data, trust))


def trial_json(trial: Trial) -> dict[str, Any]:
    origin = trial.design.origin
    return {
        "key": trial.design.key,
        "index": trial.index,
        "how": origin.how if origin else None,
        "parents": list(origin.parents) if origin else [],
        "stage": trial.stage,
        "metrics": dict(trial.outcome.metrics),
        "failure": trial.outcome.failure,
        "trouble": trial.how or None,
        "cached_from": trial.cached_from,
        "cost_s": trial.cost_s,
    }


def _stages(run: Run, trial: Trial, trials: dict[int, Trial]) -> list[dict[str, Any]]:
    """What befell the design at each stage that evaluated it: metrics, cost, and the decision of the gate behind it."""
    in_order = run.config["search"].get("deterministic", True)
    found = []
    for result in trial.reached:
        last = result.stage == run.stages[-1]
        gate = None
        if not last and not trial.imported:
            failed = result.stage == trial.stage and not trial.outcome.ok
            stood = standing(trial.index, result.stage, trials, run.stages, run.goals) if in_order else None
            gate = {
                "decision": "failed" if failed else "ended" if result.stage == trial.stage else "went on",
                "place": stood.place if stood else None,
                "window": stood.window if stood else None,
            }
        found.append({"stage": result.stage, "metrics": dict(result.metrics), "cost_s": result.cost_s, "gate": gate})
    return found


def lineage(trial: Trial, trials: dict[int, Trial]) -> list[tuple[int, Trial]]:
    """Every ancestor once, parents first and roots last, each with how many generations back it first appears."""
    found: dict[int, int] = {}
    level = [trial.index]
    generation = 0
    while level:
        generation += 1
        parents: list[int] = []
        for index in level:
            origin = trials[index].design.origin if index in trials else None
            for parent in origin.parents if origin else ():
                if parent not in found:
                    found[parent] = generation
                    parents.append(parent)
        level = parents
    return [(back, trials[index]) for index, back in found.items() if index in trials]


def _beaten_by(trial: Trial, run: Run) -> list[str]:
    """Members of the front that are no worse in every objective, the first few."""
    from coevo.search.ranking import dominates

    if trial.score is None:
        return []
    return [m.design.key for m in run.front().trials if m.score is not None and dominates(m.score, trial.score)][:5]


def _print(
    console: Console,
    run: Run,
    trial: Trial,
    trials: dict[int, Trial],
    lines: list[tuple[int, Trial]],
    data: dict[str, Any],
    trust: bool,
) -> None:
    console.print(Text.assemble(("design ", "bold"), (trial.design.key, "bold"), f"  #{trial.index}"))
    console.print(
        facts(
            ("state", _state(trial, run, data)),
            ("worker", TROUBLE.get(trial.how, trial.how)),
            ("logs", data["logs"] if trial.outcome.failure or trial.how else None),
            ("cached", f"its outcome is that of #{trial.cached_from}" if trial.cached_from is not None else None),
            ("came from", _came_from(trial)),
            ("judged by", f"{trial.evaluator}, stage {trial.stage}, device {trial.device}, seed {trial.seed}"),
            ("cost", duration(trial.total_cost_s)),
            ("files", "\n".join(f"{name}: {path}" for name, path in data["artifacts"].items())),
        )
    )
    if len(run.stages) > 1 and not trial.imported:
        _print_stages(console, run, trial, data["stages"])
    elif trial.outcome.metrics:
        console.print(Text("\nmetrics", style="bold"))
        console.print(metrics_table(trial, run.config.get("units", {})))
    origin = trial.design.origin
    mother = trials.get(origin.parents[0]) if origin and origin.parents else None
    console.print(Text("\nanswers", style="bold"))
    console.print(answers_table(trial.design.answers, dict(mother.design.answers) if mother else None))
    if lines:
        _print_lineage(console, run, lines)
    _print_drawing(console, run, trial, trust)


def _print_stages(console: Console, run: Run, trial: Trial, stages: list[dict[str, Any]]) -> None:
    """A column a stage: metrics, cost, and what the gate behind it decided."""
    console.print(Text("\nstages", style="bold"))
    units = run.config.get("units", {})
    made = table("", *(entry["stage"] for entry in stages), numbers=len(stages))
    for name in dict.fromkeys(name for entry in stages for name in entry["metrics"]):
        heading = f"{name} ({unit(units[name])})" if unit(units.get(name, "")) else name
        made.add_row(Text(heading), *(number(entry["metrics"].get(name)) for entry in stages))
    made.add_row("cost", *(duration(entry["cost_s"]) for entry in stages))
    gates = [entry["gate"] for entry in stages]
    made.add_row("then", *("" if gate is None else gate["decision"] for gate in gates))
    if any(gate and gate["place"] for gate in gates):
        made.add_row(
            "place in its window",
            *(f"{gate['place']} of {gate['window']}" if gate and gate["place"] else "" for gate in gates),
        )
    console.print(made)
    if not run.config["search"].get("deterministic", True):
        console.print(Text("in throughput mode a window holds the latest arrivals: places are not known", style="dim"))
    elif any(gate and gate["decision"] != "failed" and not gate["place"] for gate in gates):
        console.print(Text("its places are known when every design before it is told", style="dim"))


def _state(trial: Trial, run: Run, data: dict[str, Any]) -> Text:
    if trial.outcome.failure:
        return Text(f"failed: {trial.outcome.failure}", style="red")
    if trial.score is not None and trial.score.violation > 0:
        broken = [
            f"{limit.metric} {number(trial.outcome.metrics[limit.metric])} is not {limit}"
            for limit in run.goals.hard
            if limit.violation(trial.outcome.metrics[limit.metric]) > 0
        ]
        return Text(f"breaks a constraint: {'; '.join(broken)}", style="yellow")
    if data["on_front"]:
        return Text("on the front", style="green")
    if trial.score is not None and trial.score.depth < len(run.stages) - 1:
        if trial.imported:
            return Text(f"its outcome is of stage {trial.stage!r}, not of the last one")
        return Text(f"ended at the gate behind stage {trial.stage!r}: it was not among the best there")
    by = ", ".join(key[:12] for key in data["beaten_by"])
    return Text(f"beaten by {by}" if by else "beaten")


def _came_from(trial: Trial) -> str:
    origin = trial.design.origin
    if origin is None:
        return "given by hand"
    parents = " and ".join(f"#{parent}" for parent in origin.parents)
    return f"{origin.how} of {parents}" if parents else origin.how


def _print_lineage(console: Console, run: Run, lines: list[tuple[int, Trial]]) -> None:
    console.print(Text(f"\nancestors: {len(lines)}, up to {lines[-1][0]} generations back", style="bold"))
    goals = [goal.metric for goal in run.goals.objectives]
    staged = ["stage"] if len(run.stages) > 1 else []  # metrics of different stages do not compare
    made = table("back", "#", "key", "came from", *staged, *goals, numbers=len(goals))
    # The parents and the roots say most; with a long line, what is between them is left out.
    shown = lines if len(lines) <= ANCESTORS else [*lines[: ANCESTORS - 5], *lines[-5:]]
    for place, (back, member) in enumerate(shown):
        if len(lines) > ANCESTORS and place == ANCESTORS - 5:
            made.add_row(
                "...", "", "", f"{len(lines) - ANCESTORS} more (--json shows all)", *[""] * (len(staged) + len(goals))
            )
        values = [member.stage] * len(staged)
        values += [number(member.outcome.metrics.get(name)) for name in goals]
        made.add_row(str(back), str(member.index), member.design.key[:12], _came_from(member), *values)
    console.print(made)


def _print_drawing(console: Console, run: Run, trial: Trial, trust: bool) -> None:
    from coevo.report.sections import is_svg

    problem, why = problem_of(str(run.config["problem"]), dict(run.config.get("options", {})), trust)
    if problem is None:
        console.print(Text(f"\nnot drawn: {why}", style="dim"))
        return
    if problem.draw is None:
        return
    try:
        body = str(problem.draw(problem.space.build(trial.design)))
    except Exception as error:  # a drawing is a courtesy
        console.print(Text(f"\nit could not be drawn: {error}", style="dim"))
        return
    if not is_svg(body):
        console.print()
        console.print(Text(body), soft_wrap=True)
