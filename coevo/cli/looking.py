"""`coevo spaces`, `coevo show` and `coevo front`: looking at what there is."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from coevo.cli.output import emit, facts, table
from coevo.cli.tables import answers_table, front_table
from coevo.config import parse_value
from coevo.errors import ConfigError
from coevo.report.words import answer, unit
from coevo.search.canonical import stream
from coevo.search.problem import Problem
from coevo.search.questions import Integer, One, Order, Question, Real, Some
from coevo.search.registry import load_problem, options_of, problem_names
from coevo.search.run import Run
from coevo.search.space import Space
from coevo.search.variation import Draw

SAMPLES = 400
ROWS = 60
HOOKS = ("prepare", "export", "verify", "draw", "measure")


def show_spaces(as_json: bool) -> None:
    names = problem_names()

    def show(console: Console) -> None:
        if not names:
            console.print("no problem is installed; a package offers one by the entry-point group coevo.spaces")
            return
        made = table("problem", "where it comes from")
        for name, home in sorted(names.items()):
            made.add_row(name, Text(str(home)))
        console.print(made)
        console.print("\ncoevo show PROBLEM says more; module:attribute names one that is not installed")

    emit(as_json, {"problems": {name: str(home) for name, home in sorted(names.items())}}, show)


def show_problem(name: str, sets: list[str], as_json: bool) -> None:
    problem = load_problem(name, options_given(sets))
    described = describe(problem, name)
    emit(as_json, described, lambda console: _print_problem(console, problem, described))


def options_given(sets: list[str]) -> dict[str, Any]:
    """The options of `--set OPTION=VALUE`; dots go into tables."""
    options: dict[str, Any] = {}
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {text}: expected OPTION=VALUE, for example --set gates=u3cu3")
        *tables, last = key.strip().removeprefix("options.").split(".")
        node = options
        for table_name in tables:
            node = node.setdefault(table_name, {})
            if not isinstance(node, dict):
                raise ConfigError(f"--set {text}: {table_name!r} is a value already, no table")
        node[last] = parse_value(value, f"--set {text}")
    return options


def describe(problem: Problem, name: str) -> dict[str, Any]:
    """All that `coevo show` says, as plain JSON."""
    space = problem.space
    asked, questions, valid, reasons = _probe(space)
    sample = space.sample(stream(0, "show", space.id))
    count = space.count()
    offered = options_of(name)
    return {
        "problem": name,
        "description": problem.description,
        "space": space.id,
        "options": [
            {**dataclasses.asdict(option), "value": problem.options.get(option.name, option.default)}
            for option in offered
        ],
        "stages": [
            {
                "name": stage.name,
                "evaluator": stage.evaluator.label,
                "metrics": dict(stage.evaluator.metrics),
                "share": stage.share if stage is not problem.stages[-1] else None,
            }
            for stage in problem.stages
        ],
        "objectives": dict(problem.objectives),
        "size": str(count),
        "valid_share": valid / SAMPLES,
        "refused": dict(reasons.most_common(5)),
        "choices": [
            {"name": key, **question_json(questions[key]), "asked_share": asked[key] / SAMPLES} for key in questions
        ],
        "sample": sample.to_json(),
        "offers": [name for name in HOOKS if getattr(problem, name) is not None],
    }


def _probe(space: Space) -> tuple[Counter[str], dict[str, Question], int, Counter[str]]:
    """Draws designs at random, and notes which questions they are asked, how many are valid, and why others are not."""
    asked: Counter[str] = Counter()
    questions: dict[str, Question] = {}
    reasons: Counter[str] = Counter()
    valid = 0
    draw = Draw(stream(0, "probe", space.id))

    def choose(name: str, question: Question) -> Any:
        asked[name] += 1
        questions.setdefault(name, question)
        return draw(name, question)

    for _ in range(SAMPLES):
        grown = space.grow(choose)
        valid += grown.refusal is None
        if grown.refusal is not None:
            reasons[re.sub(r"\d+(\.\d+)?", "#", grown.refusal.reason)] += 1
    return asked, questions, valid, reasons


def question_json(question: Question) -> dict[str, Any]:
    """What a question offers, as plain JSON."""
    match question:
        case One():
            return {"kind": "one", "options": list(question.items.answers)}
        case Integer():
            low, high, step = question.raw
            return {"kind": "integer", "low": low, "high": high, "step": step}
        case Real():
            return {"kind": "real", "low": question.low, "high": question.high, "log": question.log}
        case Order() | Some():
            kind = "order" if isinstance(question, Order) else "some"
            k = question.raw[1]
            return {
                "kind": kind,
                "items": list(question.items.answers),
                "k": k if k is not None else len(question.items.answers),
            }
        case _:
            return {"kind": type(question).__name__.lower()}


def question_words(asked: Mapping[str, Any]) -> str:
    """A question in a line."""
    match asked["kind"]:
        case "one":
            return f"one of {_listed(asked['options'])}"
        case "integer":
            step = f", step {asked['step']}" if asked["step"] != 1 else ""
            return f"integer {asked['low']} to {asked['high']}{step}"
        case "real":
            return f"real {asked['low']:g} to {asked['high']:g}{', logarithmic' if asked['log'] else ''}"
        case "order" if asked["k"] == len(asked["items"]):
            return f"order of {_listed(asked['items'])}"
        case "order":
            return f"order of {asked['k']} of {_listed(asked['items'])}"
        case "some":
            return f"{asked['k']} of {_listed(asked['items'])}"
        case kind:
            return str(kind)


def _listed(values: list[Any], most: int = 8) -> str:
    shown = [answer(value, 30) for value in values[:most]]
    return ", ".join(shown) + (f", ... ({len(values)} in all)" if len(values) > most else "")


def grouped(choices: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(names, question, when asked), where names that differ in numbers alone and ask the same share a row."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for choice in choices:
        shape = re.sub(r"\d+", "#", choice["name"])
        groups.setdefault((shape, question_words(choice)), []).append(choice)
    rows = []
    for (_, words), members in groups.items():
        names = (
            members[0]["name"]
            if len(members) == 1
            else f"{members[0]['name']} ... {members[-1]['name']} ({len(members)})"
        )
        shares = [member["asked_share"] for member in members]
        low, high = min(shares), max(shares)
        when = (
            "always"
            if low == 1
            else f"in {low:.0%} of designs"
            if high - low < 0.005
            else f"in {low:.0%} to {high:.0%}"
        )
        rows.append((names, words, when))
    return rows


def option_words(option: Mapping[str, Any]) -> str:
    """An option in a line: its value, its type, what it is."""
    value = "(to be given)" if option["required"] and option["value"] is None else answer(option["value"], 60)
    parts = [f"{option['name']} = {value}", f"({option['type']})" if option["type"] else "", option["description"]]
    return "  ".join(part for part in parts if part)


def _print_problem(console: Console, problem: Problem, described: dict[str, Any]) -> None:
    console.print(Text(described["problem"], style="bold"))
    if described["description"]:
        console.print(Text(described["description"].strip()))
    refused = "; ".join(f"{reason} ({count})" for reason, count in described["refused"].items())
    metrics = "\n".join(
        f"{stage['name']} ({stage['evaluator']}): "
        + ", ".join(_with_unit(name, text) for name, text in stage["metrics"].items())
        + (f"; the best {stage['share']:.0%} go on" if stage["share"] is not None else "")
        for stage in described["stages"]
    )
    console.print()
    console.print(
        facts(
            ("space", described["space"]),
            ("size", described["size"]),
            (
                "valid",
                f"{described['valid_share']:.0%} of random designs" + (f"; refused: {refused}" if refused else ""),
            ),
            ("objectives", ", ".join(f"{way} {metric}" for metric, way in described["objectives"].items())),
            ("stages" if len(described["stages"]) > 1 else "metrics", metrics),
            ("options", "\n".join(option_words(option) for option in described["options"])),
            ("offers", ", ".join(described["offers"])),
        )
    )
    made = table("choice", "question", "asked")
    rows = grouped(described["choices"])
    for row in rows[:ROWS]:
        made.add_row(*(Text(cell) for cell in row))
    console.print()
    console.print(made)
    if len(rows) > ROWS:
        console.print(f"and {len(rows) - ROWS} more: --json shows all")
    design = described["sample"]
    console.print(Text("\na sample", style="bold"), Text(design["key"][:12], style="dim"))
    console.print(answers_table((pair[0], pair[1]) for pair in design["answers"][:ROWS]))
    _print_drawing(console, problem, design)


def _with_unit(metric: str, measure: str) -> str:
    return f"{metric} [{unit(measure)}]" if unit(measure) else metric


def _print_drawing(console: Console, problem: Problem, design: dict[str, Any]) -> None:
    """The problem's drawing, where it is one for a terminal."""
    from coevo.report.sections import is_svg
    from coevo.search.design import Design

    if problem.draw is None:
        return
    try:
        body = str(problem.draw(problem.space.build(Design.from_json(design))))
    except Exception as error:  # a drawing is a courtesy
        console.print(Text(f"\nit could not be drawn: {error}", style="dim"))
        return
    if not is_svg(body):
        console.print()
        console.print(Text(body), soft_wrap=True)


def show_front(folder: Path, as_json: bool) -> None:
    run = Run.open(folder)
    found = run.front()
    status = run.status
    deepest = sum(trial.stage == run.stages[-1] for trial in run.trials()) if len(run.stages) > 1 else 0

    def show(console: Console) -> None:
        if found.trials:
            console.print(front_table(found, run.config.get("units", {}), width=console.width))
            console.print()
        infeasible = f", {status['infeasible']} infeasible" if status["infeasible"] else ""
        failed = f", {status['failed']} failed" if status["failed"] else ""
        deep = f" ({deepest} of them at stage {run.stages[-1]})" if len(run.stages) > 1 else ""
        console.print(f"{len(found)} on the front of {status['told']} trials{deep}{infeasible}{failed}")

    emit(as_json, {"run": str(folder), "status": status, "front": found.table()}, show)
