"""The head of the report: what was searched, how it ended, and where it ran."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from coevo.report.content import Page
from coevo.report.data import DOMINATED, FAILED, FRONT, HELD, INFEASIBLE, Table
from coevo.report.words import answer, budget, duration

FINISHED = {
    "trials": "every trial of the budget was used",
    "seconds": "the time was used",
    "cost": "the evaluation budget was used",
    "exhausted": "every design was tried",
    "interrupted": "interrupted",
}


def header(page: Page) -> str:
    table, log, search, run = page.table, page.log, page.config.get("search", {}), page.config.get("run", {})
    reason = log.finished
    if not table.trials:
        badge = ("none", "nothing measured yet")
    elif reason is None or reason == "interrupted":
        badge = ("open", "interrupted, can be resumed" if reason else "not finished")
    elif not table.front:
        badge = ("none", "nothing feasible")
    else:
        badge = ("done", f"done: {FINISHED.get(reason, reason)}")
    cards = [
        (str(len(table.trials)), "designs"),
        (str(len(table.front)), "on the front"),
        (str(table.count(FRONT) + table.count(DOMINATED)), "feasible"),
        *([(str(table.count(HELD)), "not promoted")] if len(table.stages) > 1 else []),
        (str(table.count(INFEASIBLE)), "break a constraint"),
        (str(table.count(FAILED)), "failed"),
        (duration(log.seconds), "wall time"),
        (duration(sum(trial.total_cost_s for trial in table.trials)), "of evaluations"),
    ]
    goals = ", ".join(f"{goal.direction} {goal.metric}" for goal in table.goals.objectives)
    limits = ", ".join(f"{limit.metric} {limit}" for limit in table.goals.constraints)
    facts = [
        ("Objectives", goals),
        ("Constraints", limits),
        ("Options", ", ".join(f"{name} = {answer(value)}" for name, value in page.config.get("options", {}).items())),
        ("Search", f"{search.get('algorithm', '?')}, seed {search.get('seed', '?')}, budget {budget(search)}"),
        ("Ran on", _ran_on(table, run, page.env)),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts if text)
    figures = "".join(f'<div class="card"><b>{escape(value)}</b><span>{label}</span></div>' for value, label in cards)
    under = f'<p class="under">{escape(page.description)}</p>' if page.description else ""
    return f"""<div class="head">
<h1>{escape(page.title)} <span class="badge {badge[0]}">{escape(badge[1])}</span></h1>{under}
<p class="under"><code>{escape(page.folder)}</code></p>
<div class="cards">{figures}</div>
<dl class="facts">{listed}</dl>
</div>"""


def _ran_on(table: Table, run: Mapping[str, Any], env: Mapping[str, Any]) -> str:
    workers = run.get("workers", 1)
    parts = [f"{workers} {run.get('runner', '')} worker{'s' if workers != 1 else ''}".replace("  ", " ")]
    devices = env.get("devices", {})
    for device in dict.fromkeys(trial.device for trial in table.trials):
        parts.append(device_words(devices.get(device, {})) or device)
    return "; ".join(part for part in parts if part)


def device_words(device: Any) -> str:
    """A device's fingerprint as people say it."""
    if not isinstance(device, Mapping):
        return ""
    cores, memory = device.get("cores"), device.get("memory_gb")
    parts = [device.get("model"), f"{cores} cores" if cores else None, f"{memory:g} GB" if memory else None]
    parts += [device.get("system"), f"Python {device['python']}" if device.get("python") else None]
    return ", ".join(str(part) for part in parts if part)
