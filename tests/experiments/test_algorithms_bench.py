"""What the benchmark of the algorithms measures with is right, and the documentation says what it found."""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "experiments" / "bench"))

import _test_functions as functions  # noqa: E402
import algorithms  # noqa: E402

from coevo.search import Space  # noqa: E402
from coevo.search.algorithms import ALGORITHMS  # noqa: E402
from coevo.search.canonical import stream  # noqa: E402


@pytest.mark.parametrize("name", sorted(algorithms.CMA))
def test_the_functions_have_their_minimum_at_the_origin(name: str) -> None:
    function = algorithms.CMA[name][0]
    rng = random.Random(name)
    assert function([0.0] * 10) == pytest.approx(0.0, abs=1e-12)
    for _ in range(200):
        assert function([rng.uniform(-5, 5) for _ in range(10)]) > 1e-3


def test_a_shift_moves_the_minimum_and_nothing_else() -> None:
    moved = functions.shifted(functions.sphere, 3, 1)
    rng = random.Random("shift sphere 1")
    place = [rng.uniform(-3.0, 3.0) for _ in range(3)]
    assert moved(place) == 0.0 and moved([place[0] + 2.0, *place[1:]]) == pytest.approx(4.0)
    assert functions.shifted(functions.sphere, 3, 2)(place) > 0.0


@pytest.mark.parametrize("objectives", [2, 3, 5])
def test_the_dtlz_fronts(objectives: int) -> None:
    rng = random.Random(objectives)
    for _ in range(50):
        x = [rng.random() for _ in range(objectives - 1)] + [0.5] * 6
        assert sum(functions.dtlz1(x, objectives)) == pytest.approx(0.5)
        for function in (functions.dtlz2, functions.dtlz3):
            assert math.hypot(*function(x, objectives)) == pytest.approx(1.0)
        behind = [*x[:-1], 0.8]
        assert sum(functions.dtlz1(behind, objectives)) > 0.5 and math.hypot(*functions.dtlz2(behind, objectives)) > 1.0


@pytest.mark.parametrize("name", ["dtlz1", "dtlz2", "dtlz3"])
def test_the_dtlz_problems_equal_pymoos(name: str) -> None:
    problems = pytest.importorskip("pymoo.problems")
    theirs = problems.get_problem(name, n_var=7, n_obj=3)
    rng = random.Random(name)
    for _ in range(20):
        x = [rng.random() for _ in range(7)]
        expected = theirs.evaluate(algorithms.np.array([x]))[0]
        assert getattr(functions, name)(x) == pytest.approx(expected.tolist())


def test_the_interval_of_a_shift_holds_the_truth() -> None:
    hits = 0
    for seed in range(200):
        rng = random.Random(seed)
        ours, theirs = ([rng.gauss(mean, 1.0) for _ in range(10)] for mean in (0.7, 0.0))
        shift, low, high = algorithms.shift_interval(ours, theirs, level=0.9)
        assert low <= shift <= high
        hits += low <= 0.7 <= high
    assert 165 <= hits <= 197
    assert algorithms.shift_interval([1.0], [2.0]) == (-1.0, -math.inf, math.inf)


@pytest.mark.parametrize("name", sorted(algorithms.KINDS))
def test_the_kinds_of_problems_are_sound(name: str) -> None:
    kind = algorithms.KINDS[name]
    space = Space(f"bench/{name}/v1", kind.build)
    found = [kind.judge(space.build(space.sample(stream(seed)))) for seed in range(40)]
    assert found == [kind.judge(space.build(space.sample(stream(seed)))) for seed in range(40)]
    assert all(set(kind.objectives) <= set(metrics) for metrics in found)
    assert all(math.isfinite(value) for metrics in found for value in metrics.values())
    assert set(algorithms.contenders(name)) <= set(ALGORITHMS)


def test_the_documentation_shows_the_recorded_tables() -> None:
    recorded = ROOT / "experiments" / "results" / "algorithms.json"
    text = (ROOT / "docs" / "algorithms.md").read_text(encoding="utf-8")
    assert recorded.relative_to(ROOT).as_posix() in text
    for table in algorithms.tables(json.loads(recorded.read_text(encoding="utf-8"))).split("\n\n"):
        assert table in text, f"print it anew: experiments/bench/algorithms.py --tables {recorded.name}"


def test_every_algorithm_and_each_of_its_options_is_documented() -> None:
    import inspect

    text = (ROOT / "docs" / "algorithms.md").read_text(encoding="utf-8")
    for name, kind in ALGORITHMS.items():
        section = text.partition(f"\n### `{name}`\n")[2].partition("\n### ")[0]
        assert section, f"docs/algorithms.md lacks a section on {name}"
        for option in inspect.signature(kind).parameters:
            assert f"`{option}`" in section, f"docs/algorithms.md, {name}: the option {option} is missing"
