"""The page's sections on how the search went: history, lineage, importance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from coevo.report.content import Line, Page
from coevo.report.data import FRONT
from coevo.report.importance import SAMPLE, SHUFFLES, Importance
from coevo.report.lineage import Change, Step
from coevo.report.reproduction import block
from coevo.report.sections import design_button
from coevo.report.words import brief, duration, number

SHOWN_STEPS = 8
SHOWN_CHANGES = 5
SHOWN_CHOICES = 12


def history(page: Page) -> str:
    """The curves, and where random search's band comes from or how to get one."""
    if not page.history:
        return ""
    verdicts = "".join(
        f"<li><b>{escape(str(series['label']))}</b> {escape(str(series['verdict']))}</li>"
        for series in page.history
        if series["verdict"]
    )
    listed = f'<ul class="verdicts">{verdicts}</ul>' if verdicts else ""
    return (
        f'{listed}<div class="controls" id="history-controls"></div><div class="grid" id="history-plots"></div>'
        + _control_words(page)
    )


def _control_words(page: Page) -> str:
    control = page.control
    if control is None:
        if page.config.get("search", {}).get("algorithm") == "random":
            return ""
        return (
            "<p>No random search of the same problem is known, so there is nothing to compare with. The report finds "
            "one that lies beside this run, or is told of it: <code>coevo report RUN --control RANDOM_RUN</code>.</p>"
            f"<details><summary>The command that makes one</summary>{block(page.control_commands)}</details>"
        )
    folders = ", ".join(f"<code>{escape(folder)}</code>" for folder in control.folders)
    workers = "; ".join(sorted({f"{count} worker{'s' if count != 1 else ''}" for count in control.workers}))
    return (
        f"<p>The band is random search: {len(control.trials)} trials of {folders}. Random trials are exchangeable, so "
        "their outcomes in all orders say how good the best of any n is: the line is the mean, the band holds 95 % of "
        f"the orders. Beyond {len(control.trials) // 2} trials, half of the outcomes, its width is a lower bound and "
        f"drawn paler. Over seconds it stands at its own pace of {duration(control.pace_s)} a trial ({workers}).</p>"
    )


def lineage(page: Page) -> str:
    """The ancestors of the best designs, and how each step changed them."""
    lines = [line for line in page.lines if line.steps]
    if not lines:
        return ""
    many = len(page.table.goals.objectives) > 1
    parts = "".join(_line(page, line, place == 0) for place, line in enumerate(lines))
    return (
        "<p>Each line goes from a best design back through the parent that it shares most answers with, to a design "
        "that has none. An answer that came from the other parent names it; the others were drawn anew.</p>"
        f"{_origins(page, many)}{parts}"
    )


def _origins(page: Page, several: bool) -> str:
    counts: dict[str, Counter[str]] = {}
    for trial, state in zip(page.table.trials, page.table.states, strict=True):
        origin = trial.design.origin
        own = counts.setdefault(origin.how if origin else "given by hand", Counter())
        own["all"] += 1
        own["front"] += state == FRONT
    rows = "".join(
        f'<tr><td>{escape(how)}</td><td class="num">{own["all"]}</td><td class="num">{own["front"]}</td></tr>'
        for how, own in sorted(counts.items(), key=lambda item: -item[1]["all"])
    )
    best = "on the front" if several else "the best"
    return (
        '<div class="wide"><table class="tight"><thead><tr><th>designs came from</th><th class="num">all</th>'
        f'<th class="num">{best}</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _line(page: Page, line: Line, opened: bool) -> str:
    first, root = line.steps[0], line.steps[-1]
    back = len(line.steps) - 1
    title = (
        f"{escape(line.caption)}: #{first.trial.index}, "
        + (f"{back} step{'s' if back != 1 else ''} back to #{root.trial.index} ({escape(root.how)})" if back else "")
        + ("" if back else escape(first.how))
    )
    goals = [goal.metric for goal in page.table.goals.objectives]
    heads = "".join(f'<th class="num">{escape(name)}</th>' for name in goals)
    steps = list(line.steps)
    head = f"<thead><tr><th>design</th><th>by</th><th>what changed</th>{heads}</tr></thead>"
    if len(steps) > 2 * SHOWN_STEPS:
        middle = steps[SHOWN_STEPS:-3]
        hidden = (
            f'</tbody><tbody><tr class="more"><td colspan="{3 + len(goals)}"><button type="button" data-unfold>'
            f"{len(middle)} more steps</button></td></tr></tbody>"
            f"<tbody hidden>{_rows(middle, goals)}</tbody><tbody>"
        )
        body = _rows(steps[:SHOWN_STEPS], goals) + hidden + _rows(steps[-3:], goals)
    else:
        body = _rows(steps, goals)
    return (
        f"<details{' open' if opened else ''}><summary>{title}</summary>"
        f'<div class="wide"><table class="lineage">{head}<tbody>{body}</tbody></table></div></details>'
    )


def _rows(steps: Sequence[Step], goals: Sequence[str]) -> str:
    return "".join(
        f'<tr><td>{design_button(step.trial)} #{step.trial.index}</td><td>{_came(step)}</td><td class="text">'
        f"{_changes(step)}</td>"
        + "".join(
            f'<td class="num" data-name="{escape(name)}">{number(step.trial.outcome.metrics.get(name))}</td>'
            for name in goals
        )
        + "</tr>"
        for step in steps
    )


def _came(step: Step) -> str:
    parents = " and ".join(f"#{parent}" for parent in step.parents)
    return escape(f"{step.how} of {parents}" if parents else step.how)


def _changes(step: Step) -> str:
    if step.parent is None:
        return f'<span class="soft">{len(step.trial.design.answers)} answers, no parent</span>'
    if not step.changes:
        return '<span class="soft">nothing</span>'
    shown = "".join(_change(change) for change in step.changes[:SHOWN_CHANGES])
    more = len(step.changes) - SHOWN_CHANGES
    rest = f' <span class="soft">and {more} more</span>' if more > 0 else ""
    return f"{shown}{rest}"


def _change(change: Change) -> str:
    before = brief(change.before) if change.asked_before else "not asked"
    after = brief(change.after) if change.asked_after else "not asked"
    giver = f' <span class="soft">#{change.other}</span>' if change.other is not None else ""
    return f'<span class="chip"><b>{escape(change.name)}</b> <s>{escape(before)}</s> → {escape(after)}{giver}</span> '


def importance(page: Page) -> str:
    """Bars a choice, for each objective."""
    found = page.importances
    if not page.table.trials:
        return ""
    if found.problem:
        return f"<p>Not reckoned: {escape(found.problem)}.</p>"
    several = len(page.table.stages) > 1
    stage = f" at stage {escape(found.stage)}" if several else ""
    thinned = f", every {math.ceil(found.of / SAMPLE)}. of {found.of}" if found.designs < found.of else ""
    blocks = "".join(f"<div><h3>{escape(metric)}</h3>{_bars(choices)}</div>" for metric, choices in found.found.items())
    return (
        "<p>PED-ANOVA (Watanabe et al., IJCAI 2023): how much the answers of the best tenth differ from those of all "
        f"{found.designs} designs measured{stage}{thinned}. Shares of the sum; marginal effects, over the designs that "
        "this search tried, which are no uniform sample unless it was a random one. A choice that is not always asked "
        "has “not asked” as an answer of its own. Numbers with many values count in 8 bins; an order counts by the "
        "places of its items, a subset by what is in it, and each by the strongest of these, which is named. The mark "
        f"is what chance reaches in 1 of 20 cases ({SHUFFLES} shuffles of the outcomes); what stays below it is "
        "paler.</p>"
        f'<div class="grid">{blocks}</div>'
    )


def _bars(choices: Sequence[Importance]) -> str:
    if not choices:
        return "<p>Every design measured the same: nothing to tell apart.</p>"
    most = max(choices[0].share, 1e-12)
    shown = _bar_rows(choices[:SHOWN_CHOICES], most)
    rest = choices[SHOWN_CHOICES:]
    more = (
        f'<details><summary>{len(rest)} more</summary><div class="shares">{_bar_rows(rest, most)}</div></details>'
        if rest
        else ""
    )
    return f'<div class="shares">{shown}</div>{more}'


def _bar_rows(choices: Sequence[Importance], most: float) -> str:
    rows = []
    for each in choices:
        part = f' <span class="soft">{escape(each.part)}</span>' if each.part else ""
        asked = f' <span class="soft">asked in {each.asked:.0%}</span>' if each.asked < 1 else ""
        weak = " weak" if each.share <= each.chance else ""
        rows.append(
            f'<span class="name">{escape(each.name)}{part}{asked}</span>'
            f'<span class="track"><span class="bar{weak}" style="width:{100 * each.share / most:.1f}%"></span>'
            f'<i style="left:{min(100 * each.chance / most, 100):.1f}%"></i></span>'
            f'<span class="count">{100 * each.share:.1f} %</span>'
        )
    return "".join(rows)
