"""The report's HTML: one file with everything in it, opened from a disk with no network.

Text from users (keys, answers, reasons, notes, names) is escaped where it is written, or travels in the deflated island
and reaches the page as text alone. Drawings are shown as images, in which no script can run.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files

from coevo.report import insight, reproduction, sections, spending
from coevo.report.content import Page
from coevo.report.header import header
from coevo.report.island import island, packed

# Nothing is fetched and no text becomes code, whatever a run folder holds.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
# Before the first picture, so that no reader sees a white page turn dark.
THEME = (
    'document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";'
)
SCRIPTS = ("base", "filter", "chart", "front", "history", "parallel", "table", "detail", "start")


def render(page: Page) -> str:
    """The whole HTML document."""
    made = [
        ("front", "Front", sections.front(page)),
        ("history", "History", insight.history(page)),
        ("designs", "Best designs", sections.drawings(page)),
        ("exports", "Exported", sections.exports(page)),
        ("prepared", "Prepared", sections.prepared(page)),
        ("lineage", "Lineage", insight.lineage(page)),
        ("importance", "Importance", insight.importance(page)),
        ("choices", "Choices", sections.choices(page)),
        ("cost", "Cost", spending.cost(page)),
        ("failures", "Failures", spending.failures(page)),
        ("trials", "Trials", sections.trials(page)),
        ("notes", "Notes", sections.notes(page)),
        ("reproduce", "Reproduce", reproduction.section(page)),
    ]
    present = [(name, label, body) for name, label, body in made if body]
    links = "".join(f'<a href="#{name}">{label}</a>' for name, label, _ in present)
    body = "\n".join(f'<section id="{name}"><h2>{label}</h2>\n{text}</section>' for name, label, text in present)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(page.title)}: coevo report</title>
<script>{THEME}</script>
<style>{_resource("page.css")}</style>
</head>
<body>
{header(page)}
<nav><div class="links">{links}<button type="button" id="theme" aria-label="light or dark">◐</button></div>
<div class="filter" id="filter"></div></nav>
<main>
{body}
<noscript><p>The pictures, the filter and the table of trials need JavaScript.</p></noscript>
<footer>Written {escape(page.written)} by coevo {escape(page.version)}. This page loads nothing from a network.</footer>
</main>
<dialog id="detail"></dialog>
<div id="tip" role="status" hidden></div>
<script type="application/octet-stream" id="data">{packed(island(page.table, page.history))}</script>
<script>{script()}</script>
</body>
</html>
"""


def script() -> str:
    """The page's behaviour: the parts in `script/`, in one function of their own."""
    parts = "\n".join(_resource(f"script/{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _resource(name: str) -> str:
    return files("coevo.report").joinpath(name).read_text(encoding="utf-8")
