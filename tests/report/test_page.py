"""The report's page: what stands in it, and that nothing a user wrote can break out of it."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from coevo import Outcome, Pick, Problem, Space, Stage, Study
from coevo.report import write_report
from coevo.report.island import unpacked
from coevo.report.page import script
from coevo.report.pictures import MOST_BYTES, SIGNATURE
from coevo.search.canonical import stream
from coevo.search.evaluator import FunctionEvaluator
from coevo.search.problem import WorkContext
from coevo.search.run import Run

EVIL = "</script><script>alert('x')</script> & \"quoted\" \u2028"


def build(pick: Pick) -> dict[str, Any]:
    depth = pick.integer("depth", 1, 3)
    return {
        "depth": depth,
        "widths": [pick.one(f"width{i}", (8, 16, 32)) for i in range(depth)],
        "kind": pick.one("kind", ("plain", EVIL)),
        "order": pick.order("order", ("a", "b", "c", "d")),
        "rate": pick.real("rate", 0.001, 0.1, log=True),
    }


def judge(value: dict[str, Any]) -> Outcome:
    size = sum(value["widths"])
    if value["depth"] == 3 and value["order"][0] == "a":
        return Outcome.failed(f"diverged at {size}: {EVIL}")
    return Outcome({"accuracy": 1 - 1 / size - value["rate"], "latency_ms": size + value["depth"], "size": size})


def problem_of(draw: Callable[[Any], str] | None = None, **more: Any) -> Problem:
    evaluator = FunctionEvaluator(judge, {"accuracy": "", "latency_ms": "ms", "size": "kB"})
    space = Space("page/v1", build)
    objectives = {"accuracy": "max", "latency_ms": "min"}
    return Problem("page & <b>bold</b>", space, (Stage("full", evaluator),), objectives, draw=draw, **more)


def run_of(folder: Path, problem: Problem, trials: int = 60, **more: Any) -> Run:
    settings: Mapping[str, Any] = {"search": {"trials": trials}, "units": {"latency_ms": "ms"}}
    with Study(problem, runner="inline", folder=folder, settings=settings, seed=1, **more) as study:
        study.run(trials=trials)
        study._note("warning", f"a note {EVIL}")
    return Run.open(folder)


class Reader(HTMLParser):
    """The page's elements and the text of each section."""

    def __init__(self, page: str):
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._script: dict[str, str | None] | None = None
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs)
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts.append((self._script, data))
        elif not self._hidden:
            self.text += data


def read(path: Path) -> tuple[str, Reader, dict[str, Any]]:
    page = path.read_text(encoding="utf-8")
    reader = Reader(page)
    island = next(text for attributes, text in reader.scripts if attributes.get("id") == "data")
    return page, reader, unpacked(island)


def test_one_file_that_loads_nothing(tmp_path: Path) -> None:
    path = write_report(run_of(tmp_path / "run", problem_of()), problem_of())
    assert path == tmp_path / "run" / "report" / "index.html"
    page, reader, _ = read(path)
    assert len(reader.scripts) == 3
    for tag, attributes in reader.tags:
        assert tag not in ("link", "iframe", "object", "embed", "form", "base"), tag
        assert not (attributes.get("src") or "data:").startswith(("http", "//", "file")), attributes
        assert not (attributes.get("href") or "#").startswith(("http", "//", "javascript"))
    policy = next(
        a["content"] for t, a in reader.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None and policy.startswith("default-src 'none'") and "connect-src" not in policy
    assert "unsafe-eval" not in policy and "://" not in page


def test_what_a_reader_wants_to_know_stands_in_it(tmp_path: Path) -> None:
    problem = problem_of(description="What this is about.")
    run = run_of(tmp_path / "run", problem, constraints={"size": "<= 80"})
    _, reader, data = read(write_report(run, problem))
    text = " ".join(reader.text.split())
    for words in (
        "page & <b>bold</b>",
        "What this is about.",
        "done: every trial of the budget was used",
        "max accuracy, min latency_ms",
        "size <= 80",
        "nsga2, seed 1, budget 60 trials",
        "1 inline worker",
        "coevo run experiment.toml",
        "[search]",
        "population = 100",
        str(run.path),
    ):
        assert words in text, words
    counts = run.status
    states = data["trials"]["state"]
    assert len(states) == 60 and states.count(3) == counts["failed"] and states.count(2) == counts["infeasible"]
    assert states.count(0) == len(run.front())
    for trial in run.front().trials:
        assert trial.design.key[:12] in text


def test_the_island_holds_every_trial_and_every_answer(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", problem_of())
    data = read(write_report(run, problem_of()))[2]
    columns = [column for column in data["answers"]["columns"] if not column.get("derived")]
    for row, trial in enumerate(run.trials()):
        assert data["trials"]["key"][32 * row : 32 * row + 32] == trial.design.key
        answers = {c["name"]: c["values"][c["codes"][row]] for c in columns if c["codes"][row] >= 0}
        assert answers == {name: json.loads(json.dumps(value)) for name, value in trial.design.answers}
        for name, values in data["trials"]["metrics"].items():
            measured = trial.outcome.metrics.get(name)
            assert values[row] == (None if measured is None else pytest.approx(measured, rel=1e-6))
        assert data["reasons"][data["trials"]["reason"][row]] == (trial.outcome.failure or "").strip()


def test_nothing_that_a_user_wrote_can_break_out(tmp_path: Path) -> None:
    problem = problem_of(draw=lambda value: f"{EVIL} text", description=EVIL)
    run = run_of(tmp_path / "run", problem, trials=80)
    page, reader, data = read(write_report(run, problem))
    assert len(reader.scripts) == 3 and "alert" not in reader.scripts[2][1]
    assert "<script>alert" not in page
    assert any(EVIL in str(value) for column in data["answers"]["columns"] for value in column["values"])
    assert any(EVIL.strip() in reason for reason in data["reasons"])  # whole, in the island
    assert f"a note {EVIL}" in reader.text and "<b>bold</b>" in reader.text  # and as text in the page
    assert not any(tag == "b" and not attributes and "bold" in page for tag, attributes in reader.tags if tag == "i")


def test_an_svg_becomes_an_image_in_which_no_script_runs(tmp_path: Path) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><rect width="9" height="9"/></svg>'
    problem = problem_of(draw=lambda value: svg)
    page, reader, _ = read(write_report(run_of(tmp_path / "run", problem), problem))
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert 1 <= len(images) <= 6 and all((a["src"] or "").startswith("data:image/svg+xml;base64,") for a in images)
    assert svg not in page and len(reader.scripts) == 3


def test_a_text_drawing_stands_as_it_is(tmp_path: Path) -> None:
    problem = problem_of(draw=lambda value: "q0 --<H>--\nq1 --(+)--")
    _, reader, _ = read(write_report(run_of(tmp_path / "run", problem), problem))
    assert "q0 --<H>--\nq1 --(+)--" in reader.text


def test_a_drawing_that_fails_costs_nothing_but_itself(tmp_path: Path) -> None:
    def draw(value: Any) -> str:
        raise ValueError("no <ink>")

    problem = problem_of(draw=draw)
    _, reader, _ = read(write_report(run_of(tmp_path / "run", problem), problem))
    assert "could not be drawn: ValueError: no <ink>" in reader.text


def test_pictures_of_preparations_and_exports_are_in_the_page(tmp_path: Path) -> None:
    png = SIGNATURE + b"what a picture holds"

    def prepare(context: WorkContext) -> Mapping[str, Path]:
        for name, content in (("growth_of_it.png", png), ("weights.bin", png), ("torn.png", b"half")):
            (context.folder / name).write_bytes(content)
        return {Path(name).stem: context.folder / name for name in ("growth_of_it.png", "weights.bin", "torn.png")}

    run = run_of(tmp_path / "run", problem_of(prepare=prepare))
    folder = run.path / "export"
    folder.mkdir()
    (folder / "design.json").write_text(json.dumps({"key": next(iter(run.trials())).design.key}))
    (folder / "measurements.json").write_text(json.dumps({"export": {"accuracy": 0.5}}))
    (folder / "odd <b> &.png").write_bytes(png)
    (folder / "huge.png").write_bytes(png + bytes(MOST_BYTES))
    page, reader, _ = read(write_report(run))
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert [each["alt"] for each in images] == ["odd <b> &", "growth of it"]
    for each in images:
        assert base64.b64decode((each["src"] or "").removeprefix("data:image/png;base64,")) == png
    assert "huge.png is over 8 MiB" in reader.text and "torn.png is no PNG file" in reader.text
    assert "weights" not in reader.text and len(page) < MOST_BYTES


def test_without_the_problem_there_are_no_drawings_and_it_says_so(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", problem_of(draw=lambda value: "a circuit"))
    _, reader, data = read(write_report(run, None, "the package toy is not installed"))
    assert "No drawings: the package toy is not installed." in reader.text and "a circuit" not in reader.text
    assert {metric["name"]: metric["unit"] for metric in data["metrics"]}["latency_ms"] == "ms"  # run.toml keeps them


def test_one_objective(tmp_path: Path) -> None:
    problem = problem_of(draw=lambda value: "drawn")
    run = run_of(tmp_path / "run", problem, objectives={"latency_ms": "min"})
    _, reader, data = read(write_report(run, problem))
    assert [series["metric"] for series in data["history"]] == ["latency_ms"]
    assert "Every design as it was asked" in reader.text and "No. 2" in reader.text


def test_a_run_that_found_nothing(tmp_path: Path) -> None:
    problem = problem_of()
    run = run_of(tmp_path / "run", problem, constraints={"size": "<= 1"})
    _, reader, data = read(write_report(run, problem))
    assert "nothing feasible" in reader.text and "No feasible design yet" in reader.text
    assert data["history"] == [] and data["parallel"]["columns"] == []


def test_a_run_that_has_not_begun(tmp_path: Path) -> None:
    problem = problem_of()
    Study(problem, runner="inline", folder=tmp_path / "run").close()
    _, reader, data = read(write_report(Run.open(tmp_path / "run"), problem))
    assert "nothing measured yet" in reader.text and data["trials"]["index"] == []


def test_a_run_that_was_interrupted(tmp_path: Path) -> None:
    problem = problem_of()
    with Study(problem, runner="inline", folder=tmp_path / "run") as study:
        study.listen(lambda event: study.stop() if study.told == 20 else None)
        study.run(trials=60)
    _, reader, _ = read(write_report(Run.open(tmp_path / "run"), problem))
    assert "interrupted, can be resumed" in reader.text


def test_failures_by_reason_count_numbers_as_one(tmp_path: Path) -> None:
    problem = problem_of()
    run = run_of(tmp_path / "run", problem, trials=120)
    _, reader, _ = read(write_report(run, problem))
    assert run.status["failed"] > 1
    assert reader.text.count("diverged at #: ") == 1 and str(run.status["failed"]) in reader.text


def test_the_experiment_in_the_page_gives_the_same_run_again(tmp_path: Path) -> None:
    from coevo.config import parse
    from coevo.report.reproduction import experiment_toml

    run = run_of(tmp_path / "run", problem_of(), constraints={"size": ["<= 80", "soft >= 9"]})
    experiment = parse(experiment_toml(run.config), "experiment.toml")
    assert experiment.objectives == {"accuracy": "max", "latency_ms": "min"} and experiment.search.seed == 1
    assert [str(limit) for limit in experiment.limits] == ["<= 80", "soft >= 9"]
    assert experiment.search.trials == 60 and experiment.search.algorithm_options["population"] == 100


def test_the_script_turns_no_text_into_markup_or_code() -> None:
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch("):
        assert word not in script(), word


def test_a_run_whose_budget_was_given_in_python_can_be_made_again(tmp_path: Path) -> None:
    from coevo.config import parse
    from coevo.report.reproduction import commands, experiment_toml

    with Study(problem_of(), runner="inline", folder=tmp_path / "run") as study:
        study.run(trials=30)
    run = Run.open(tmp_path / "run")
    assert parse(experiment_toml(run.config, 30), "experiment.toml").search.trials == 30
    _, reader, _ = read(write_report(run, problem_of()))
    assert (
        "budget was given in Python" in reader.text and commands(experiment_toml(run.config, 30)).strip() in reader.text
    )


def test_a_run_in_throughput_mode_does_not_promise_the_same_designs(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", problem_of(), deterministic=False)
    _, reader, _ = read(write_report(run, problem_of()))
    assert "throughput mode" in reader.text and "Equal outcomes give equal designs" not in reader.text


def test_where_the_designs_came_from_is_said(tmp_path: Path) -> None:
    problem = problem_of()
    with Study(problem, runner="inline", folder=tmp_path / "run", seed=1) as study:
        study.enqueue(problem.space.sample(stream(3, "enqueued")))
        study.run(trials=60)
    _, reader, data = read(write_report(Run.open(tmp_path / "run"), problem))
    assert data["origins"][data["trials"]["origin"][0]] == "enqueued" and "enqueued" in reader.text
    counts = Counter(data["origins"][code] for code in data["trials"]["origin"])
    assert counts["enqueued"] == 1 and counts["sample"] > 1
