"""The report's HTML: one file with everything in it, opened from a disk with no network.

Text from users (keys, answers, reasons, notes, names) is escaped here, or travels in the JSON island and reaches the
page as text alone. Drawings are shown as images, in which no script can run.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from typing import Any

from coevo.report.content import Page
from coevo.report.data import Table, failure_counts, island
from coevo.report.header import header
from coevo.report.words import number
from coevo.search.trial import Trial

# Nothing is fetched, whatever a run folder holds. Plotly compiles its WebGL programs, which takes 'unsafe-eval'.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
FRONT_ROWS = 100


def render(page: Page) -> str:
    """The whole HTML document."""
    sections = [
        ("front", "Front", _front(page)),
        ("designs", "Best designs", _drawings(page)),
        ("exports", "Exported", _exports(page)),
        ("history", "History", _history(page)),
        ("choices", "Choices", _choices(page)),
        ("trials", "Trials", _trials(page)),
        ("failures", "Failures", _failures(page)),
        ("notes", "Notes", _notes(page)),
        ("setup", "Setup", _setup(page)),
    ]
    present = [(name, label, body) for name, label, body in sections if body]
    links = "".join(f'<a href="#{name}">{label}</a>' for name, label, _ in present)
    body = "\n".join(f'<section id="{name}"><h2>{label}</h2>\n{text}</section>' for name, label, text in present)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(page.title)}: coevo report</title>
<style>{_resource("page.css")}</style>
</head>
<body>
{header(page)}
<nav><div>{links}</div></nav>
<main>
{body}
<footer>Written {escape(page.written)} by coevo {escape(page.version)}. This page loads nothing from a network.</footer>
</main>
<dialog id="detail"></dialog>
<script type="application/json" id="data">{json_island(island(page.table))}</script>
<script>{plotly_source()}</script>
<script>{_resource("page.js")}</script>
</body>
</html>
"""


def json_island(data: Any) -> str:
    """JSON that can stand in a <script> element: no character of it can end the element or open a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def plotly_source() -> str:
    """plotly.js as the plotly package brings it."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _resource(name: str) -> str:
    return files("coevo.report").joinpath(name).read_text(encoding="utf-8")


def _front(page: Page) -> str:
    table = page.table
    if not table.front:
        return "<p>No feasible design yet: see the failures and the constraints below.</p>"
    points = _points(table)
    repeats = any(len(rows) > 1 for rows in points)
    names = list(table.metrics)
    heads = "".join(f'<th class="num">{escape(name)}{_unit(table.units.get(name, ""))}</th>' for name in names)
    heads += '<th class="num">designs there</th>' if repeats else ""
    rows = "".join(
        f'<tr data-row data-open="{row}" tabindex="0"><td class="num">{table.trials[row].index}</td>'
        f'<td class="key">{escape(table.trials[row].design.key[:12])}</td>'
        + "".join(f'<td class="num">{number(table.trials[row].outcome.metrics.get(name))}</td>' for name in names)
        + (f'<td class="num">{len(same)}</td>' if repeats else "")
        + "</tr>"
        for row, *same in ((rows[0], *rows) for rows in points[:FRONT_ROWS])
    )
    more = len(points) - FRONT_ROWS
    note = f"<p>{more} more stand in the table of trials.</p>" if more > 0 else ""
    how = (
        "The best designs by the objective."
        if len(table.goals.objectives) == 1
        else "Designs that no other design beats in every objective. Click one to see its answers."
    )
    return (
        f'<p>{how}</p><div class="controls" id="front-controls"></div><div class="plot" id="front-plot"></div>'
        f"<details{' open' if len(points) <= 12 else ''}><summary>The front as a table</summary>"
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


def _drawings(page: Page) -> str:
    if not page.drawings:
        return f"<p>{escape(page.drawing_note)}</p>" if page.drawing_note else ""
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
        metrics = ", ".join(
            f"{goal.metric} {_measured(page.table, trial, goal.metric)}" for goal in page.table.goals.objectives
        )
        parts.append(
            f'<div class="drawing{wide}"><h3>{escape(drawing.caption)}</h3>{picture}'
            f'<p><button type="button" data-open="{drawing.row}" class="key">{trial.design.key[:12]}</button> '
            f"{escape(metrics)}</p></div>"
        )
    note = f"<p>{escape(page.drawing_note)}</p>" if page.drawing_note else ""
    return f'{note}<div class="grid">{"".join(parts)}</div>'


def _exports(page: Page) -> str:
    if not page.exports:
        return ""
    places = {trial.design.key: row for row, trial in enumerate(page.table.trials)}
    parts = []
    for exported in page.exports:
        rows = "".join(
            f'<tr><td>{escape(name)}</td><td class="num">{escape(number(value))}</td></tr>'
            for name, value in exported.measured.items()
        )
        row = places.get(exported.key)
        key = escape(exported.key[:12])
        button = f'<button type="button" data-open="{row}" class="key">{key}</button>' if row is not None else key
        parts.append(
            f'<div class="drawing"><h3><code>{escape(exported.folder)}</code> {button}</h3>'
            f"<table><tbody>{rows}</tbody></table></div>"
        )
    return f'<p>What the export measured anew, after the search.</p><div class="grid">{"".join(parts)}</div>'


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


def _measured(table: Table, trial: Trial, metric: str) -> str:
    return f"{number(trial.outcome.metrics.get(metric))} {table.units.get(metric, '')}".strip()


def is_svg(body: str) -> bool:
    head = body.lstrip()[:200].lower()
    return head.startswith("<svg") or (head.startswith("<?xml") and "<svg" in body[:2000].lower())


def _history(page: Page) -> str:
    if not page.table.front:
        return ""
    return '<div class="grid" id="history-plots"></div>'


def _choices(page: Page) -> str:
    if not page.table.front or not any(trial.design.answers for trial in page.table.trials):
        return ""
    return (
        "<p>Each line is a design. Drag along an axis to keep a range, drag an axis's name to move it. A choice that a "
        "design was not asked stands at “not asked”. Shown first are the choices that the objectives follow most.</p>"
        '<div class="controls" id="parallel-controls"></div><div class="wide"><div id="parallel-plot"></div></div>'
        "<details><summary>Pick the choices that are shown</summary>"
        '<div class="picks" id="parallel-picks"></div></details>'
    )


def _trials(page: Page) -> str:
    if not page.table.trials:
        return ""
    return '<div id="trials-table"></div><noscript><p>The table of trials needs JavaScript.</p></noscript>'


def _failures(page: Page) -> str:
    counts = failure_counts(page.table)
    troubles = [trial for trial in page.table.trials if trial.how]
    if not counts and not troubles:
        return ""
    most = counts[0][1] if counts else 1
    bars = "".join(
        f'<span class="reason">{escape(reason)}</span>'
        f'<span class="bar" style="width:{100 * count / most:.1f}%"></span><span class="count">{count}</span>'
        for reason, count in counts[:25]
    )
    rest = f"<p>and {len(counts) - 25} rarer reasons</p>" if len(counts) > 25 else ""
    text = ""
    if troubles:
        kinds: dict[str, int] = {}
        for trial in troubles:
            kinds[trial.how] = kinds.get(trial.how, 0) + 1
        listed = ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
        text = f"<p>Worker trouble: {escape(listed)}.</p>"
    return f'{text}<div class="bars">{bars}</div>{rest}'


def _notes(page: Page) -> str:
    if not page.notes:
        return ""
    items = "".join(f'<li class="{_level(note)}">{escape(str(note.get("text", "")))}</li>' for note in page.notes)
    return f'<ul class="notes">{items}</ul>'


def _level(note: Mapping[str, Any]) -> str:
    return "warning" if note.get("level") == "warning" else "info"


def _setup(page: Page) -> str:
    evaluators = dict.fromkeys(trial.evaluator for trial in page.table.trials)
    facts = [("Evaluators", ", ".join(evaluators)), *_flat(page.env)]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts if text)
    return (
        "<p>To run the same search again, save this as experiment.toml. Equal outcomes give equal designs, whatever "
        "the number of workers.</p>"
        f"<pre>coevo run experiment.toml</pre><pre>{escape(page.toml)}</pre>"
        f'<details><summary>Where it ran</summary><dl class="facts">{listed}</dl></details>'
    )


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in data.items():
        if isinstance(value, Mapping) and not prefix:
            yield from _flat(value, f"{name} ")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
