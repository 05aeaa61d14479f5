"""The report in a real browser: it opens without a complaint, and pointing, filtering, zooming and themes work.

A headless Chromium is driven over the DevTools protocol (experiments/bench/_browser.py). Without one the tests are
skipped; `.ci/run` installs it where it may.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "experiments" / "bench"
sys.path.insert(0, str(BENCH))

import _browser  # noqa: E402
import _report_run  # noqa: E402

from coevo import Study  # noqa: E402
from coevo.report import island as report_island  # noqa: E402
from coevo.report import write_report  # noqa: E402
from coevo.report.data import FAILED, FRONT, STATES, tabulate  # noqa: E402
from coevo.search.run import Run  # noqa: E402
from coevo.search.trial import Trial  # noqa: E402

pytestmark = pytest.mark.skipif(
    _browser.chromium() is None,
    reason="no Chromium: apt-get install chromium, or name the program in $CHROMIUM",
)
READY = "document.documentElement?.dataset.ready"
NAMES = ("small", "one", "three", "nothing", "empty", "open", "large", "thinned")
LARGE = 4_000  # more than the picture draws with outlines


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Run folders with their pages written."""
    home = tmp_path_factory.mktemp("runs")
    make = _report_run.make_run
    make(home / "small" / "run", 300)
    make(home / "small" / "random", 200, algorithm="random", seed=1)
    make(home / "one" / "run", 120, objectives=1)
    make(home / "three" / "run", 200, objectives=3, stages=1, constraints={})
    make(home / "three" / "random", 100, objectives=3, stages=1, algorithm="random", constraints={})
    make(home / "nothing" / "run", 80, constraints={"memory_mb": "<= 0.1", "latency_ms": "soft <= 3"})
    make(home / "large" / "run", LARGE, stages=1, algorithm="random")
    with Study(_report_run.problem(), folder=home / "empty" / "run", runner="inline"):
        pass
    with Study(_report_run.problem(), folder=home / "open" / "run", runner="inline") as study:
        study.listen(lambda event: study.stop() if study.told == 60 else None)
        study.run(trials=200)
    found = {name: Run.open(home / name / "run") for name in NAMES if name != "thinned"}
    for run in found.values():
        write_report(run)
    make(home / "thinned" / "run", 900, stages=1, algorithm="random")
    found["thinned"] = Run.open(home / "thinned" / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_island, "ROWS", 600)
        patch.setattr(report_island, "ANSWER_CELLS", 6_000)
        write_report(found["thinned"])
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[_browser.Browser]:
    with _browser.Browser() as one:
        yield one


@pytest.fixture
def show(browser: _browser.Browser, runs: dict[str, Run]) -> Iterator[Callable[..., _browser.Browser]]:
    """Opens a run's page at a width; what the console says is checked at the end."""

    def shown(name: str, width: int = 1280, scheme: str = "light") -> _browser.Browser:
        browser.resize(width, 900)
        browser.prefer(scheme)
        browser.open(runs[name].path / "report" / "index.html", READY)
        return browser

    yield shown
    assert browser.console == []


def shown_by_trials(run: Run) -> tuple[list[Trial], tuple[int, ...]]:
    table = tabulate(run.trials(), run.front().trials, run.goals, {}, run.stages)
    return list(table.trials), table.states


def drawn(browser: _browser.Browser) -> list[int]:
    found: list[int] = browser.ask("document.getElementById('front-plot').drawn()")
    return found


def filtered(browser: _browser.Browser, text: str) -> None:
    """Types into the filter as a reader does, and waits for its answer."""
    browser.ask("{ const box = document.getElementById('filter-text'); box.value = ''; box.focus(); }")
    browser.ask("window.__before = document.getElementById('filter-count').textContent + Math.random()")
    browser.type(text)
    browser.ask("new Promise((done) => setTimeout(done, 300))")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (420, "dark")])
@pytest.mark.parametrize("name", NAMES)
def test_every_page_opens_and_fits(show: Callable[..., _browser.Browser], name: str, width: int, scheme: str) -> None:
    page = show(name, width, scheme)
    for place in range(0, page.ask("document.documentElement.scrollHeight"), 800):
        page.ask(f"window.scrollTo(0, {place})")
    page.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.ask("document.documentElement.scrollWidth") <= width
    # Nothing but a box that scrolls by itself may be wider than the window.
    wide = page.ask(
        f"[...document.querySelectorAll('main *, .head *')].filter((node) => !node.closest('.wide, pre') && "
        f"node.getBoundingClientRect().right > {width} + 1).map((node) => node.outerHTML.slice(0, 90))"
    )
    assert wide == []
    paper = page.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 29)")
    if name != "empty":
        for canvas in range(page.ask("document.querySelectorAll('canvas').length")):
            assert page.ask(
                f"(() => {{ const c = document.querySelectorAll('canvas')[{canvas}]; "
                "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; "
                "return d.some((value) => value > 0); })()"
            ), f"canvas {canvas} is empty"


LONELY = """(() => {
  const plot = document.getElementById("front-plot"), box = plot.getBoundingClientRect();
  const all = plot.drawn().map((index) => [index, ...plot.where(index)]);
  const gap = ([i, x, y]) => all.reduce((g, [j, u, v]) => (i === j ? g : Math.min(g, Math.hypot(x - u, y - v))), 1e9);
  return all
    .filter(([, x, y]) => x > box.left + 60 && x < box.right - 20 && y > box.top + 12 && y < box.bottom - 50)
    .filter((_, at) => at % Math.ceil(all.length / 400) === 0)
    .map((one) => [gap(one), ...one]).sort((a, b) => b[0] - a[0]).slice(0, 5);
})()"""


@pytest.mark.parametrize("name", ["small", "large", "three", "one"])
def test_pointing_at_a_design_shows_that_design(
    show: Callable[..., _browser.Browser], runs: dict[str, Run], name: str
) -> None:
    page = show(name)
    page.ask("document.getElementById('front-plot').scrollIntoView({ block: 'center', behavior: 'instant' })")
    lonely = page.ask(LONELY)
    trials = {trial.index: trial for trial in runs[name].trials()}
    assert len(lonely) == 5
    for _, index, x, y in lonely:
        page.point(x, y)
        page.wait(f"document.getElementById('tip').textContent.startsWith('#{index} ')")
        text = page.ask("document.getElementById('tip').textContent")
        trial = trials[index]
        assert text.startswith(f"#{index} {trial.design.key[:12]}")
        for metric in (goal.metric for goal in runs[name].goals.objectives):
            assert f"{metric} = {float(f'{trial.outcome.metrics[metric]:.5g}'):g}"[:14] in text
    page.point(5, 5)
    page.wait("document.getElementById('tip').hidden")


FILTERS: dict[str, Callable[[Trial, str], bool]] = {
    "depth=3": lambda trial, state: dict(trial.design.answers)["depth"] == 3,
    "bits=8 accuracy>0.8": lambda trial, state: (
        dict(trial.design.answers)["bits"] == 8 and trial.outcome.metrics.get("accuracy", 0) > 0.8
    ),
    "latency_ms<=3": lambda trial, state: trial.outcome.metrics.get("latency_ms", 9e9) <= 3,
    "block2.kind=attention block2.heads>=4": lambda trial, state: (
        dict(trial.design.answers).get("block2.kind") == "attention" and dict(trial.design.answers)["block2.heads"] >= 4
    ),
    "state=front": lambda trial, state: state == "front",
    "state!=front depth=2": lambda trial, state: state != "front" and dict(trial.design.answers)["depth"] == 2,
    "diverged": lambda trial, state: "diverged" in (trial.outcome.failure or ""),
    "#17": lambda trial, state: trial.index == 17,
    "no-such-thing": lambda trial, state: False,
}


@pytest.mark.parametrize("name", ["small", "large"])
def test_the_filter_leaves_exactly_what_fits(
    show: Callable[..., _browser.Browser], runs: dict[str, Run], name: str
) -> None:
    page = show(name)
    trials, states = shown_by_trials(runs[name])
    visible = [state not in ("not promoted", "failed") for state in STATES]
    tests = dict(FILTERS)
    key = trials[5].design.key[:7]
    tests[key] = lambda trial, state: key in trial.design.key
    for text, fits in tests.items():
        filtered(page, text)
        expected = [trial.index for trial, state in zip(trials, states, strict=True) if fits(trial, STATES[state])]
        rows = page.ask(
            "[...document.querySelectorAll('#trials-table tbody tr')].map((row) => Number(row.dataset.open))"
        )
        assert rows == expected[:25], text
        position = page.ask("document.getElementById('trials-position').textContent").replace(",", "")
        assert position.endswith(f" of {len(expected)}") or (not expected and position == "no design fits the filter")
        wanted = [index for index in expected if visible[states[index]]]
        assert drawn(page) == wanted, text
    page.ask("[...document.querySelectorAll('#filter button')].find((one) => one.textContent === 'clear').click()")
    assert len(drawn(page)) == sum(visible[state] for state in states)


def test_the_filter_by_state(show: Callable[..., _browser.Browser], runs: dict[str, Run]) -> None:
    page = show("small")
    _, states = shown_by_trials(runs["small"])
    for state in (FRONT, FAILED):
        page.ask(
            f"{{ const box = document.getElementById('filter-state'); box.value = '{state}'; "
            "box.dispatchEvent(new Event('change')); }"
        )
        expected = [index for index, own in enumerate(states) if own == state]
        rows = page.ask(
            "[...document.querySelectorAll('#trials-table tbody tr')].map((row) => Number(row.dataset.open))"
        )
        assert rows == expected[:25]
        assert drawn(page) == ([] if state == FAILED else expected)


def test_a_thinned_page_says_what_it_left_out(show: Callable[..., _browser.Browser], runs: dict[str, Run]) -> None:
    page = show("thinned")
    assert "in this page, of 900 designs" in page.ask("document.getElementById('filter-count').textContent")
    assert {trial.index for trial in runs["thinned"].front().trials} <= set(drawn(page))
    filtered(page, "depth=3")
    found, by_index = drawn(page), {trial.index: trial for trial in runs["thinned"].trials()}
    assert found and all(dict(by_index[index].design.answers)["depth"] == 3 for index in found)
    assert "are searched" in page.ask("document.getElementById('filter-count').textContent")


def test_a_click_opens_the_design_and_its_parents(show: Callable[..., _browser.Browser], runs: dict[str, Run]) -> None:
    page = show("small")
    trials = {trial.index: trial for trial in runs["small"].trials()}
    child = next(t for t in reversed(trials.values()) if t.design.origin and len(t.design.origin.parents) == 2)
    filtered(page, f"#{child.index}")
    page.ask("document.getElementById('trials-table').scrollIntoView({ block: 'center', behavior: 'instant' })")
    x, y = page.ask(
        "(() => { const box = document.querySelector('#trials-table tbody tr').getBoundingClientRect(); "
        "return [box.left + 40, box.top + box.height / 2]; })()"
    )
    page.click(x, y)
    page.wait("document.getElementById('detail').open")
    text = page.ask("document.getElementById('detail').textContent")
    assert child.design.key in text
    for name, value in child.design.answers:
        assert name in text and (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))) in text
    assert child.design.origin is not None
    parent = child.design.origin.parents[0]
    page.ask(f"document.querySelector('#detail [data-open=\"{parent}\"]').click()")
    page.wait(f"document.getElementById('detail').textContent.includes('{trials[parent].design.key}')")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Escape", code="Escape", windowsVirtualKeyCode=27)
    page.wait("!document.getElementById('detail').open")


def test_dragging_zooms_and_a_double_click_goes_back(show: Callable[..., _browser.Browser]) -> None:
    page = show("small")
    page.ask("document.getElementById('front-plot').scrollIntoView({ block: 'center', behavior: 'instant' })")
    index = drawn(page)[0]
    where = f"document.getElementById('front-plot').where({index})"
    before = page.ask(where)
    left, top = page.ask(
        "(() => { const box = document.getElementById('front-plot').getBoundingClientRect(); "
        "return [box.left, box.top]; })()"
    )
    page.point(left + 200, top + 80)
    page.call("Input.dispatchMouseEvent", type="mousePressed", x=left + 200, y=top + 80, button="left", clickCount=1)
    for step in (0.3, 0.7, 1.0):
        page.call(
            "Input.dispatchMouseEvent",
            type="mouseMoved",
            x=left + 200 + 400 * step,
            y=top + 80 + 200 * step,
            button="left",
            buttons=1,
        )
    page.call("Input.dispatchMouseEvent", type="mouseReleased", x=left + 600, y=top + 280, button="left", clickCount=1)
    assert page.ask(where) != before
    page.ask("document.querySelector('#front-plot canvas').dispatchEvent(new MouseEvent('dblclick'))")
    assert page.ask(where) == before
    assert not page.ask("document.getElementById('detail').open")


def test_a_range_on_an_axis_keeps_the_designs_in_it(
    show: Callable[..., _browser.Browser], runs: dict[str, Run]
) -> None:
    page = show("small")
    page.ask("document.getElementById('parallel-plot').scrollIntoView({ block: 'center', behavior: 'instant' })")
    front = runs["small"].front().trials
    count = "document.getElementById('parallel-count').textContent"
    assert page.ask(count) == f"{len(front)} of {len(front)} designs"
    x, top = page.ask(
        "(() => { const box = document.querySelector('#parallel-plot canvas').getBoundingClientRect(); "
        "return [box.left + 62, box.top]; })()"
    )
    page.point(x, top + 90)
    page.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=top + 80, button="left", clickCount=1)
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=top + 86, button="left", buttons=1)
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=top + 100, button="left", buttons=1)
    page.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=top + 100, button="left", clickCount=1)
    depths = [dict(trial.design.answers)["depth"] for trial in front]
    deepest = depths.count(max(depths))
    assert deepest < len(front) and page.ask(count) == f"{deepest} of {len(front)} designs"
    page.ask("[...document.querySelectorAll('#parallel-controls button')][1].click()")
    assert page.ask(count) == f"{len(front)} of {len(front)} designs"


def test_the_theme_follows_the_reader_and_the_button(show: Callable[..., _browser.Browser]) -> None:
    page = show("small", scheme="light")
    theme = "document.documentElement.dataset.theme"
    assert page.ask(theme) == "light"
    page.ask("document.getElementById('theme').click()")
    assert page.ask(theme) == "dark"
    page.ask("document.getElementById('theme').click()")
    page.prefer("dark")
    page.wait(f"{theme} === 'dark'")


def test_the_history_over_seconds_and_designs(show: Callable[..., _browser.Browser], runs: dict[str, Run]) -> None:
    page = show("small")
    labels = "[...document.querySelectorAll('#history-plots canvas')].map((one) => one.getAttribute('aria-label'))"
    assert page.ask(labels)[0] == "hypervolume over designs"
    page.ask("[...document.querySelectorAll('#history-controls button')][1].click()")
    assert page.ask(labels)[0] == "hypervolume over seconds"
    page.ask("document.querySelector('#history-plots').scrollIntoView({ block: 'center', behavior: 'instant' })")
    page.ask("[...document.querySelectorAll('#history-controls button')][0].click()")
    x, y = page.ask(
        "(() => { const box = document.querySelector('#history-plots canvas').getBoundingClientRect(); "
        "return [box.left + box.width / 2, box.top + box.height / 2]; })()"
    )
    page.point(x, y)
    page.wait("!document.getElementById('tip').hidden")
    text = page.ask("document.getElementById('tip').textContent")
    assert text.startswith("after ") and "this run 0." in text and "random search 0." in text


def test_a_script_in_a_run_folder_does_not_run(
    browser: _browser.Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = '<img src=x onerror="window.broken=1"></script><script>window.broken=1</script>'
    monkeypatch.setattr(_report_run, "OBJECTIVES", {"accuracy": "max", "latency_ms": "min"})
    _report_run.make_run(tmp_path / "run", 60, stages=1)
    folder = tmp_path / evil.replace("/", "_")
    (tmp_path / "run").rename(folder)
    page = write_report(Run.open(folder), None, evil)
    (tmp_path / "page.html").write_bytes(page.read_bytes())
    browser.open(tmp_path / "page.html", READY)
    assert browser.ask("window.broken === undefined") and browser.console == []
    assert evil[:20] in browser.ask("document.body.textContent")


def test_values_that_a_user_wrote_reach_the_page_as_text(browser: _browser.Browser, tmp_path: Path) -> None:
    from coevo import Outcome, Pick, Problem, Space, Stage
    from coevo.search.evaluator import FunctionEvaluator

    evil = "<img src=x onerror='window.broken=1'>"

    def build(pick: Pick) -> Any:
        return pick.one(f"kind {evil}", ("plain", evil)), pick.integer("size", 1, 40)

    def judge(value: Any) -> Outcome:
        return Outcome.failed(evil) if value[1] > 35 else Outcome({"a": float(value[1])})

    problem = Problem(
        "evil", Space("evil/v1", build), (Stage("full", FunctionEvaluator(judge, {"a": evil})),), {"a": "max"}
    )
    with Study(problem, runner="inline", folder=tmp_path / "run") as study:
        study.run(trials=70)
    browser.open(write_report(Run.open(tmp_path / "run"), problem), READY)
    browser.ask("document.querySelector('#trials-table tbody tr').click()")
    browser.wait("document.getElementById('detail').open")
    assert evil in browser.ask("document.getElementById('detail').textContent")
    browser.ask("new Promise((done) => setTimeout(done, 100))")
    assert browser.ask("window.broken === undefined") and browser.console == []
