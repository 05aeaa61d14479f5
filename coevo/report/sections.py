"""The page's sections on what was found: the front, the best designs, their exports, the choices, all trials."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from coevo.report.content import Page
from coevo.report.data import Table
from coevo.report.pictures import shown
from coevo.report.words import number
from coevo.search.trial import Trial

FRONT_ROWS = 100


def front(page: Page) -> str:
    """The picture of the designs and the front as a table."""
    table = page.table
    if not table.trials:
        return "<p>No design was told yet. This page shows a run as it was when the page was written.</p>"
    picture = '<div class="controls" id="front-controls"></div><div class="plot" id="front-plot"></div>'
    if not table.front:
        return f"<p>No feasible design yet: see the failures and the constraints below.</p>{picture}"
    points = _points(table)
    repeats = any(len(rows) > 1 for rows in points)
    names = list(table.metrics)
    heads = "".join(f'<th class="num">{escape(name)}{_unit(table.units.get(name, ""))}</th>' for name in names)
    heads += '<th class="num">designs there</th>' if repeats else ""
    rows = "".join(
        f'<tr data-open="{table.trials[row].index}" tabindex="0"><td class="num">{table.trials[row].index}</td>'
        f'<td class="key">{escape(table.trials[row].design.key[:12])}</td>'
        + "".join(f'<td class="num">{number(table.trials[row].outcome.metrics.get(name))}</td>' for name in names)
        + (f'<td class="num">{len(same)}</td>' if repeats else "")
        + "</tr>"
        for row, *same in ((rows[0], *rows) for rows in points[:FRONT_ROWS])
    )
    more = len(points) - FRONT_ROWS
    note = f"<p>{more} more stand in the table of trials.</p>" if more > 0 else ""
    how = (
        "Every design as it was asked, and the best so far."
        if len(table.goals.objectives) == 1
        else "The front is the designs that no other design beats in every objective."
    )
    return (
        f"<p>{how} Point at a design to see it, click it for its answers, drag to zoom, double-click to zoom out.</p>"
        f"{picture}<details{' open' if len(points) <= 12 else ''}><summary>The front as a table</summary>"
        f'<div class="wide"><table><thead><tr><th class="num">#</th><th>key</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}</details>"
    )


def _points(table: Table) -> list[list[int]]:
    """The front's rows by equal objectives, best first: designs at the same point share a line of the table."""
    points: dict[tuple[Any, ...], list[int]] = {}
    for row in table.front:
        metrics = table.trials[row].outcome.metrics
        points.setdefault(tuple(metrics.get(goal.metric) for goal in table.goals.objectives), []).append(row)
    return list(points.values())


def _unit(unit: str) -> str:
    return f" <small>{escape(unit)}</small>" if unit else ""


def drawings(page: Page) -> str:
    """Pictures of the best designs, as the problem draws them."""
    if not page.drawings:
        return f"<p>{escape(page.drawing_note)}</p>" if page.drawing_note and page.table.front else ""
    parts = []
    for drawing in page.drawings:
        trial = page.table.trials[drawing.row]
        wide = " wide" if is_svg(drawing.body) and is_wide(drawing.body) else ""
        if drawing.problem:
            picture = f"<p>This design could not be drawn: {escape(drawing.problem)}</p>"
        elif is_svg(drawing.body):
            encoded = base64.b64encode(drawing.body.encode()).decode()
            name = escape(f"drawing of design {trial.design.key[:12]}")
            picture = f'<img alt="{name}" src="data:image/svg+xml;base64,{encoded}">'
        else:
            picture = f"<pre>{escape(drawing.body)}</pre>"
        parts.append(
            f'<div class="drawing{wide}"><h3>{escape(drawing.caption)}</h3>{picture}'
            f"<p>{design_button(trial)} {escape(objectives_words(page.table, trial))}</p></div>"
        )
    note = f"<p>{escape(page.drawing_note)}</p>" if page.drawing_note else ""
    return f'{note}<div class="grid">{"".join(parts)}</div>'


def exports(page: Page) -> str:
    """What the exports measured anew."""
    if not page.exports:
        return ""
    by_key = {trial.design.key: trial for trial in page.table.trials}
    parts = []
    for exported in page.exports:
        rows = "".join(
            f'<tr><td>{escape(name)}</td><td class="num">{escape(number(value))}</td></tr>'
            for name, value in exported.measured.items()
        )
        trial = by_key.get(exported.key)
        button = design_button(trial) if trial else escape(exported.key[:12])
        parts.append(
            f'<div class="drawing"><h3><code>{escape(exported.folder)}</code> {button}</h3>'
            f"<table><tbody>{rows}</tbody></table>{shown(exported.pictures)}</div>"
        )
    return f'<p>What the export measured anew, after the search.</p><div class="grid">{"".join(parts)}</div>'


def prepared(page: Page) -> str:
    """Pictures of what was made before the first stage."""
    parts = "".join(f'<div class="drawing">{shown([each])}</div>' for each in page.prepared)
    return f'<p>Made once, before the first design was judged.</p><div class="grid">{parts}</div>' if parts else ""


def design_button(trial: Trial) -> str:
    """A button that opens a design."""
    return f'<button type="button" data-open="{trial.index}" class="key">{trial.design.key[:12]}</button>'


def objectives_words(table: Table, trial: Trial) -> str:
    """ "accuracy 0.93, latency_ms 4.1 ms"."""
    return ", ".join(
        f"{goal.metric} {number(trial.outcome.metrics.get(goal.metric))} {table.units.get(goal.metric, '')}".strip()
        for goal in table.goals.objectives
    )


def is_wide(body: str) -> bool:
    """Whether an SVG is so wide that it needs the page's whole width to be read."""
    head = body[: body.find(">", body.lower().find("<svg"))]
    box = re.search(r'viewBox\s*=\s*["\']\s*[-\d.]+[\s,]+[-\d.]+[\s,]+([\d.]+)[\s,]+([\d.]+)', head)
    sides = (
        box.groups()
        if box
        else tuple(
            found[1] for name in ("width", "height") if (found := re.search(rf'\b{name}\s*=\s*["\']([\d.]+)', head))
        )
    )
    return len(sides) == 2 and float(sides[0]) > 700 and float(sides[0]) > 2.2 * float(sides[1])


def is_svg(body: str) -> bool:
    """Whether a drawing is an SVG; else it is text."""
    head = body.lstrip()[:200].lower()
    return head.startswith("<svg") or (head.startswith("<?xml") and "<svg" in body[:2000].lower())


def choices(page: Page) -> str:
    """The parallel coordinates."""
    if not page.table.front or not any(trial.design.answers for trial in page.table.trials):
        return ""
    return (
        "<p>Each line is a design. Drag along an axis to keep a range, click the axis to let it go, drag an axis's "
        "name to move it. A choice that a design was not asked stands at “not asked”. Shown first are the choices "
        "that the objectives follow most.</p>"
        '<div class="controls" id="parallel-controls"></div><div class="wide"><div id="parallel-plot"></div></div>'
        "<details><summary>Pick the choices that are shown</summary>"
        '<div class="picks" id="parallel-picks"></div></details>'
    )


def trials(page: Page) -> str:
    """The table of trials, which the script fills."""
    return '<div id="trials-table"></div>' if page.table.trials else ""


def notes(page: Page) -> str:
    """What the study had to say."""
    if not page.log.notes:
        return ""
    items = "".join(f'<li class="{_level(note)}">{escape(str(note.get("text", "")))}</li>' for note in page.log.notes)
    return f'<ul class="notes">{items}</ul>'


def _level(note: Mapping[str, Any]) -> str:
    return "warning" if note.get("level") == "warning" else "info"
