"""The experiment file: what it says, what overrides do to it, and where a message finds a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coevo.config import from_run, line_of, load, parse, parse_override, parse_value
from coevo.errors import ConfigError, UnknownName

WHOLE = """\
# an experiment
problem = "toy"

[options]
gates = "u3cu3"     # which gates
sizes = [
    1,
    2,
]
text = \"\"\"
trials = 3
\"\"\"

[objectives]
accuracy = "max"

[constraints]
latency_ms = "<= 30"
size = [">= 1", "soft <= 9"]

[search]
algorithm = "nsga2"
population = 40
trials = 1200
seconds = 60
seed = 3
lag = 31

[run]
workers = 2
"""


def test_a_whole_experiment() -> None:
    experiment = parse(WHOLE, "e.toml")
    assert experiment.problem == "toy" and experiment.options["sizes"] == [1, 2]
    assert experiment.search.budget == {"trials": 1200, "seconds": 60.0}
    assert experiment.search.algorithm_options == {"population": 40}
    assert (experiment.search.seed, experiment.search.lag, experiment.run.workers) == (3, 31, 2)
    assert (experiment.run.runner, experiment.run.durability, experiment.run.export) == ("local", "normal", "best")
    assert [str(limit) for limit in experiment.limits] == ["<= 30", ">= 1", "soft <= 9"]


def test_a_file_with_windows_line_ends_and_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_bytes(WHOLE.replace("\n", "\r\n").encode())
    assert load(path).search.trials == 1200
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read"):
        load(path)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("problem",), 2),
        (("options",), 4),
        (("options", "gates"), 5),
        (("options", "sizes"), 6),
        (("options", "text"), 10),
        (("search", "trials"), 24),
        (("run", "workers"), 30),
        (("run", "absent"), None),
        (("problem", "deeper"), None),
    ],
)
def test_the_line_of_a_key(path: tuple[str, ...], line: int | None) -> None:
    assert line_of(WHOLE, path) == line


def test_the_line_of_a_dotted_or_quoted_key() -> None:
    assert line_of('a = 1\nrun.workers = 2\n"b c" = 3\n', ("run", "workers")) == 2
    assert line_of('a = 1\nrun.workers = 2\n"b c" = 3\n', ("b c",)) == 3
    assert line_of('x = {run = 1}\n[[list]]\ny = 1\n[z]\n"a.b" = 2', ("z", "a.b")) == 5


def test_overrides_win_and_are_named_in_messages() -> None:
    experiment = parse(WHOLE, "e.toml", ["search.trials=7", "options.gates=zzsx", "run.workers=3", "problem=other"])
    assert (experiment.search.trials, experiment.options["gates"], experiment.run.workers) == (7, "zzsx", 3)
    assert experiment.problem == "other" and experiment.options["sizes"] == [1, 2]
    assert experiment.where("search", "trials") == "--set search.trials"
    assert experiment.where("search", "seed") == "e.toml:26"
    assert experiment.where("search", "absent") == "e.toml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-2.5", -2.5),
        ("true", True),
        ("u3cu3", "u3cu3"),
        ("two words", "two words"),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ("{a = 1}", {"a": 1}),
        ("<= 30", "<= 30"),
        ("", ""),
        ("1e-3", 0.001),
        ("a=b", "a=b"),
        ("1\nother = 2", "1\nother = 2"),
        ("1 # note", 1),
    ],
)
def test_the_value_of_an_override(text: str, value: object) -> None:
    assert parse_override(f"options.x={text}") == (("options", "x"), value)


@given(st.text(max_size=40))
def test_any_text_is_a_value_or_a_clear_error(text: str) -> None:
    try:
        value = parse_value(text, "--set x")
    except ConfigError as error:
        assert str(error).startswith("--set x") and text.strip()[0] in "[{\"'"
    else:
        assert value is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'problem' is missing"),
        ('problem = "toy"\nsearch = 3', "e.toml:2: search: expected a table, got 3"),
        ('problem = "toy"\n[search]\nseed = -1', "e.toml:3: search.seed: expected at least 0, got -1"),
        ('problem = "toy"\n[search]\nseconds = 0', "e.toml:3: search.seconds: expected more than 0, got 0"),
        ('problem = "toy"\n[search]\nseconds = inf', "e.toml:3: search.seconds: "),
        ('problem = "toy"\n[search]\nseconds = "1"', 'e.toml:3: search.seconds: expected a number, got the text "1"'),
        ('problem = "toy"\n[options]\n[options]', "e.toml:3: not valid TOML"),
        ('problem = "toy"\ntrials = 3', "'trials' belongs to [search]"),
        ('problem = "toy"\n[run]\nseed = 3', "'seed' belongs to [search]"),
        ('problem = "toy"\n[constraints]\nx = [1, "<= 2"]', "e.toml:3: constraints.x: expected '<= NUMBER'"),
    ],
)
def test_what_the_file_alone_can_tell(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "e.toml")
    assert said in str(caught.value)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('problem = 1\n[search]\ntrials = "x"\n[run]\nworkrs = 2\n', "e.toml")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == ["e.toml:1", "e.toml:3", "e.toml:5"]
    assert "Did you mean 'workers'?" in lines[2]


def test_an_unknown_section_of_an_override() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'search'"):
        parse(WHOLE, "e.toml", ["serch.trials=3"])


def test_a_frozen_configuration_reads_back(tmp_path: Path) -> None:
    config = {
        "problem": "toy",
        "options": {"a": 1},
        "objectives": {"accuracy": "max"},
        "constraints": {"size": ["<= 9"]},
        "search": {"algorithm": "nsga2", "population": 40, "refresh": 4, "seed": 0, "lag": 15, "trials": 9},
        "run": {"workers": 2, "runner": "local", "of_a_later_version": 1},
        "recorded": {"space": "toy/v1"},
        "units": {"size": "kB"},
    }
    experiment = from_run(config, tmp_path)
    assert experiment.search.algorithm_options == {"population": 40, "refresh": 4} and experiment.search.trials == 9
    changed = from_run(config, tmp_path, ["search.trials=20", "search.seconds=5", "run.workers=1"])
    assert changed.search.budget == {"trials": 20, "seconds": 5.0} and changed.run.workers == 1
    for override in ("search.seed=1", "search.population=3", "options.a=2", "objectives.accuracy=min"):
        with pytest.raises(ConfigError, match="makes another run"):
            from_run(config, tmp_path, [override])
