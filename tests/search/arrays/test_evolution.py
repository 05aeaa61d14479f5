"""Evolution over arrays: bit by bit what the slow reference does, alone or beside others; its bounds and its errors."""

import importlib.util
import math
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from coevo.errors import ConfigError, EvaluatorError
from coevo.search.arrays import Choices, Integers, Orders, Reals, Settings, evolve, operators

_spec = importlib.util.spec_from_file_location("reference", Path(__file__).with_name("reference.py"))
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
Reference = _module.Reference

TARGET = np.array([3, 0, 7])


def mixed(high=9):
    return [
        Integers("tile", [-1, 0, 2], high, shape=(3,)),
        Reals("rate", 0.001, 10.0, log=True),
        Choices("kind", [[4, 1], [2, 3]], shape=(2, 2)),
        Orders("loops", 4, shape=(2,)),
        Reals("share", [0.0, -2.0], 1.0, shape=(2,)),
        Orders("single", 1),
        Orders("ring", 6),
    ]


def mixed_fitness(columns):
    """Whole numbers and powers of two alone, so that sums are equal in any order: what is tested is the search."""
    tile = np.abs(columns["tile"] - TARGET).sum(-1) + (columns["kind"] != 1).sum((-1, -2))
    rate = np.floor(columns["rate"] * 8) / 8 + np.floor(columns["share"] * 8).sum(-1) / 8
    ring = (columns["ring"][..., 0] - columns["ring"][..., -1]) + columns["loops"][..., 0, 1] * columns["single"][
        ..., 0
    ]
    return tile + rate + ring, columns["tile"].sum(-1) - 9.0 + columns["loops"][..., 1, 0]


def mixed_reference(seed, settings, high=9):
    high = np.broadcast_to(high, 3)
    whole = [(low, top - low + 1, True) for low, top in zip([-1, 0, 2], high.tolist(), strict=True)]
    whole += [(0, options, False) for options in (4, 1, 2, 3)]
    reals = [(0.001, 10.0, True), (0.0, 1.0, False), (-2.0, 1.0, False)]

    def fitness(numbers, reals, items):
        columns = {
            "tile": np.array([[numbers[:3]]]),
            "kind": np.array([[numbers[3:]]]).reshape(1, 1, 2, 2),
            "rate": np.array([[reals[0]]]),
            "share": np.array([[reals[1:]]]),
            "loops": np.array([[items[0]]]),
            "single": np.array([[items[1][0]]]),
            "ring": np.array([[items[2][0]]]),
        }
        cost, violation = mixed_fitness(columns)
        return float(cost[0, 0]), float(violation[0, 0])

    return Reference(whole, reals, [(2, 4), (1, 1), (1, 6)], fitness, seed, settings)


def same(found, problem, reference, evaluations):
    members, history = reference.run(evaluations)
    assert found.costs[problem].tolist() == [cost for _, cost, _ in members]
    assert found.violations[problem].tolist() == [violation for _, _, violation in members]
    assert found.history[:, problem].tolist() == history
    for place, (genome, _, _) in enumerate(members):
        numbers, reals, items = reference.value(genome)
        columns = {name: column[problem, place].ravel().tolist() for name, column in found.columns.items()}
        assert columns["tile"] + columns["kind"] == numbers
        assert columns["rate"] + columns["share"] == reals
        assert [columns["loops"], columns["single"], columns["ring"]] == [list(chain(*group)) for group in items]


@pytest.mark.parametrize(
    ("settings", "evaluations"),
    [
        (Settings(population=12), 12 * 12 + 5),
        (Settings(population=12, distinct=False), 150),
        (Settings(population=7, tournament=1, crossover=0.0, eta=0.0), 90),
        (Settings(population=7, tournament=5, crossover=1.0, mutation=1.0), 90),
        (Settings(population=9, mutation=0.0), 60),
        (Settings(population=1), 40),
        (Settings(population=50), 20),
        (Settings(), 1),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2**62 + 1])
def test_the_arrays_do_what_the_slow_loops_do(settings, evaluations, seed):
    found = evolve(mixed(), mixed_fitness, seeds=[seed], evaluations=evaluations, settings=settings)
    assert found.evaluations == evaluations
    same(found, 0, mixed_reference(seed, settings), evaluations)


def test_a_problem_evolves_alike_whatever_it_is_evolved_beside():
    highs = np.array([[9, 9, 9], [2, 5, 4], [-1, 0, 2], [30, 1, 90]])
    seeds, settings = [5, 6, 7, 5], Settings(population=10)
    found = evolve(mixed(highs), mixed_fitness, seeds=seeds, evaluations=107, settings=settings)
    for problem, (seed, high) in enumerate(zip(seeds, highs, strict=True)):
        alone = evolve(mixed(high), mixed_fitness, seeds=[seed], evaluations=107, settings=settings)
        assert all((alone.columns[name][0] == found.columns[name][problem]).all() for name in alone.columns)
        assert (alone.history[:, 0] == found.history[:, problem]).all()
        assert alone.as_json() == found.as_json(problem)
        same(found, problem, mixed_reference(seed, settings, high), 107)


@pytest.mark.parametrize(
    "groups",
    [
        [Integers("x", 0, 5, shape=(4,))],
        [Choices("x", 6, shape=(4,))],
        [Reals("x", 0.0, 5.0, shape=(4,))],
        [Orders("x", 4)],
    ],
    ids=["integers", "choices", "reals", "orders"],
)
def test_one_kind_of_column_is_enough(groups):
    def fitness(columns):
        return np.abs(columns["x"] - [3.0, 1.0, 0.0, 2.0]).sum(-1)

    found = evolve(groups, fitness, seeds=range(3), evaluations=2000, settings=Settings(population=20))
    assert (found.costs[:, 0] < 0.2).all() and (found.violations == 0).all()
    assert found.best["x"].shape == (3, 4)
    assert (np.diff(found.history, axis=0) <= 0).all() and (found.history[-1] == found.costs[:, 0]).all()
    assert (np.diff(found.costs, axis=1) >= 0).all()


def test_every_genome_lies_within_its_bounds():
    seen = []

    def fitness(columns):
        seen.append({name: column.copy() for name, column in columns.items()})
        return -columns["tile"].sum(-1) - columns["rate"]

    evolve(mixed(), fitness, seeds=[1, 2], evaluations=600, settings=Settings(population=20, mutation=0.5, eta=1.0))
    assert sum(columns["rate"].shape[1] for columns in seen) == 600
    for columns in seen:
        assert columns["tile"].dtype == columns["ring"].dtype == columns["kind"].dtype == np.int64
        assert (columns["tile"] >= [-1, 0, 2]).all() and (columns["tile"] <= 9).all()
        assert (columns["kind"] >= 0).all() and (columns["kind"] < [[4, 1], [2, 3]]).all()
        assert (columns["rate"] >= 0.001).all() and (columns["rate"] <= 10.0).all()
        assert (columns["share"] >= [0.0, -2.0]).all() and (columns["share"] <= 1.0).all()
        for name in ("loops", "single", "ring"):
            assert (np.sort(columns[name], axis=-1) == np.arange(columns[name].shape[-1])).all()


def test_no_copy_survives_beside_something_new():
    groups = [Choices("x", 3, shape=(2,))]
    found = evolve(groups, lambda c: c["x"].sum(-1), seeds=[0], evaluations=400, settings=Settings(population=12))
    values = {tuple(row) for row in found.columns["x"][0, :9].tolist()}
    assert len(values) == 9, "all nine genomes come before any copy"
    loose = evolve(
        groups, lambda c: c["x"].sum(-1), seeds=[0], evaluations=400, settings=Settings(population=12, distinct=False)
    )
    assert (loose.costs == 0).all()


def test_violations_come_before_costs():
    groups = [Integers("x", 0, 100)]
    found = evolve(groups, lambda c: (c["x"], 40 - c["x"]), seeds=[0], evaluations=2000)
    assert found.best["x"].tolist() == [40] and found.violations[0, 0] == 0
    never = evolve(groups, lambda c: (c["x"], c["x"] + 1), seeds=[0], evaluations=500)
    assert never.best["x"].tolist() == [0] and never.violations[0, 0] == 1 and np.isinf(never.history).all()


def test_an_infinite_cost_ranks_last_and_nan_is_refused():
    groups = [Integers("x", 0, 50)]
    found = evolve(groups, lambda c: np.where(c["x"] < 20, np.inf, c["x"]), seeds=[0], evaluations=1000)
    assert found.best["x"].tolist() == [20]
    lost = evolve(groups, lambda c: np.full(c["x"].shape, np.inf), seeds=[0], evaluations=100)
    assert lost.as_json()["cost"] is None and lost.as_json()["violation"] == 0.0
    with pytest.raises(EvaluatorError, match="NaN among the costs, first for candidate 0 of problem 1"):
        evolve(groups, lambda c: np.array([[1.0] * 64, [math.nan] * 64]), seeds=[0, 1], evaluations=64)
    with pytest.raises(EvaluatorError, match="NaN among the violations"):
        evolve(groups, lambda c: (c["x"], c["x"] * math.nan), seeds=[0], evaluations=64)


@pytest.mark.parametrize(
    ("fitness", "said"),
    [
        (lambda c: c["x"][0], r"costs of shape \(8,\); expected \(problems, candidates\) = \(1, 8\)"),
        (lambda c: 1.0, r"costs of shape \(\)"),
        (lambda c: None, "costs of shape|gave NoneType"),
        (lambda c: (c["x"], [0.0]), r"violations of shape \(1,\)"),
        (lambda c: {"cost": 1}, "gave dict"),
    ],
)
def test_a_fitness_of_another_shape_is_refused(fitness, said):
    with pytest.raises(EvaluatorError, match=said):
        evolve([Integers("x", 0, 9)], fitness, seeds=[0], evaluations=20, settings=Settings(population=8))


def test_violations_of_some_generations_only_are_refused():
    calls = []

    def fitness(columns):
        calls.append(1)
        return columns["x"] if len(calls) > 1 else (columns["x"], columns["x"])

    with pytest.raises(EvaluatorError, match="violations for one generation and none for another"):
        evolve([Integers("x", 0, 9)], fitness, seeds=[0], evaluations=200)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([], "needs groups of columns with distinct names"),
        ([Integers("x", 0, 1), Reals("x", 0, 1)], "distinct names, got"),
        ([Integers("x", 3, 2)], r"Integers\('x'\): high must not be below low, got 3..2"),
        ([Integers("x", 0, 1.5)], "high must be whole numbers"),
        ([Integers("x", 0, [1, 2, 3])], r"broadcast to \(problems, \*shape\) = \(2,\), got \[1, 2, 3\]"),
        ([Integers("x", 0, "many")], "high must be numbers"),
        ([Choices("x", 0)], "at least 1 option is needed, got 0"),
        ([Choices("x", [2, 0], shape=(2,))], "at least 1 option"),
        ([Reals("x", 0.0, 1.0, log=True)], "a logarithmic scale needs low above 0"),
        ([Reals("x", 0.0, math.inf)], "high must be finite"),
        ([Reals("x", 1.0, 0.0)], "high must not be below low"),
        ([Orders("x", 0)], "length must be at least 1, got 0"),
    ],
)
def test_wrong_columns_are_refused(groups, said):
    with pytest.raises(ConfigError, match=said):
        evolve(groups, lambda c: c["x"], seeds=[0, 1], evaluations=8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evaluations": 0}, "evaluations: expected a whole number of at least 1, got 0"),
        ({"evaluations": 2.5}, "evaluations: expected"),
        ({"seeds": []}, "seeds: expected one for each problem"),
    ],
)
def test_wrong_budgets_are_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        evolve([Integers("x", 0, 9)], lambda c: c["x"], **{"seeds": [0], "evaluations": 8, **change})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"population": 0}, "population: expected a whole number of at least 1"),
        ({"tournament": 1.5}, "tournament: expected"),
        ({"crossover": 1.1}, "crossover is a probability"),
        ({"mutation": -0.1}, "mutation is a probability"),
        ({"eta": math.nan}, "eta must not be negative"),
    ],
)
def test_wrong_settings_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        Settings(**options)


def test_the_example_of_the_guide_runs():
    guide = Path(__file__).parents[3] / "docs" / "nested.md"
    example = next(block for block in guide.read_text().split("```")[1::2] if "import numpy" in block)
    code = example.removeprefix("python\n") + "print(found.best['tile'].shape, (found.violations[:, 0] == 0).all())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=guide.parents[1], capture_output=True, text=True, check=True)
    assert ran.stdout == "(2, 3) True\n"


def test_the_result_of_a_problem_is_json():
    found = evolve(mixed(), mixed_fitness, seeds=[3, 4], evaluations=100)
    entry = found.as_json(1)
    assert set(entry) == {"best", "cost", "violation", "evaluations"} and entry["evaluations"] == 100
    assert np.shape(entry["best"]["loops"]) == (2, 4) and np.shape(entry["best"]["kind"]) == (2, 2)
    assert type(entry["cost"]) is float and type(entry["best"]["rate"]) is float


def test_every_item_stands_where_one_of_the_parents_has_it():
    rng = np.random.default_rng(0)
    both = np.ones((2, 300), dtype=bool)
    for length in (1, 2, 3, 7, 8, 20):
        mother, father = (operators.sort_orders(rng.random((2, 300, 3, length)))[1] for _ in range(2))
        child = operators.crossed_orders(mother, father, rng.random(mother.shape), both)
        assert (np.sort(child, axis=-1) == np.arange(length)).all()
        assert ((child == mother) | (child == father)).all()
        assert length < 3 or ((child != mother).any() and (child != father).any())
        assert (operators.crossed_orders(mother, father, rng.random(mother.shape), ~both) == mother).all()
