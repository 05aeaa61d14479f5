"""The algorithms: never a design twice, exhaustion, constraint domination, and that evolution beats chance."""

import itertools
import random

import numpy as np
import pytest

from coevo import Space, Study, Violation
from coevo.errors import ConfigError, InfeasibleSpace, InputError, UnknownName
from coevo.search import ALGORITHMS, NSGA2, ranking
from coevo.search.objectives import Score

BITS = Space("bits/v1", lambda pick: [pick.one(f"b{i}", (0, 1)) for i in range(24)])


def trap(bits):
    """Ones count, but only in pairs: neither random search nor greed does well."""
    return {"score": float(sum(a and b for a, b in zip(bits[::2], bits[1::2], strict=True)))}


def two_goals(bits):
    return {"ones": sum(bits), "changes": sum(a != b for a, b in itertools.pairwise(bits))}


def search(space, evaluate, objectives, trials, **options):
    study = Study(space, evaluate, objectives=objectives, runner="inline", **options)
    front = study.run(trials=trials)
    return study, front


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_no_design_is_asked_twice_and_a_small_space_is_used_up(name):
    space = Space(
        "small/v1",
        lambda pick: [pick.integer(f"i{k}", 0, 3) for k in range(3)],
        lambda row: "odd" if sum(row) % 2 else None,
    )
    objectives = {"sum": "max", "first": "min"} if name == "nsga3" else {"sum": "max"}
    study, _ = search(space, lambda row: {"sum": sum(row), "first": row[0]}, objectives, 1000, algorithm=name)
    keys = [trial.design.key for trial in study.trials()]
    assert len(keys) == len(set(keys)) == 32
    assert study.asked == 32


@pytest.mark.parametrize("name", ["nsga2", "regularized_evolution"])
def test_evolution_beats_random_search_on_every_seed(name):
    for seed in range(3):
        best = {}
        for algorithm in (name, "random"):
            options = (
                {"population": 30}
                if algorithm == "nsga2"
                else {"population": 30, "sample": 10}
                if algorithm != "random"
                else {}
            )
            _, front = search(
                BITS, trap, {"score": "max"}, 600, algorithm=algorithm, algorithm_options=options, seed=seed
            )
            best[algorithm] = front.best().outcome.metrics["score"]
        assert best[name] > best["random"]


def test_exhaustive_search_finds_the_true_front():
    space = Space("bits8/v1", lambda pick: [pick.one(f"b{i}", (0, 1)) for i in range(8)])
    study, front = search(space, two_goals, {"ones": "max", "changes": "min"}, 1000, algorithm="exhaustive")
    assert study.told == 256
    assert sorted((t.outcome.metrics["ones"], t.outcome.metrics["changes"]) for t in front) == [(8, 0)]


def test_exhaustive_search_refuses_real_numbers():
    with pytest.raises(InputError, match=r"'x' has no end of values.*use 'nsga2' or 'random'"):
        Study(Space("r/v1", lambda pick: pick.real("x", 0, 1)), objectives={"a": "min"}, algorithm="exhaustive")


def test_hard_constraints_hold_on_the_front_and_violators_lead_to_them():
    study, front = search(
        BITS,
        two_goals,
        {"ones": "max", "changes": "max"},
        600,
        constraints={"ones": "<= 6", "changes": ">= 11"},
        algorithm_options={"population": 40},
    )
    assert len(front) >= 1
    for trial in front:
        assert trial.outcome.metrics["ones"] <= 6 and trial.outcome.metrics["changes"] >= 11
    assert 0 < study.infeasible < 600


def test_soft_constraints_may_be_broken_and_pull_all_the_same():
    hard = search(BITS, two_goals, {"ones": "max"}, 300, constraints={"ones": "<= 6"})[1]
    soft = search(BITS, two_goals, {"ones": "max"}, 300, constraints={"ones": "soft <= 6"})[1]
    free = search(BITS, two_goals, {"ones": "max"}, 300)[1]
    assert len(free) >= 1 and {t.outcome.metrics["ones"] for t in hard} == {6}
    ones = {t.outcome.metrics["ones"] for t in soft}
    assert min(ones) <= 6 < max(ones), "the front trades the objective against the violation"


def test_regularized_evolution_forgets_the_old():
    study, _ = search(
        BITS,
        trap,
        {"score": "max"},
        200,
        algorithm="regularized_evolution",
        algorithm_options={"population": 20, "sample": 5},
        lag=0,
    )
    assert [trial.index for trial in study.algorithm.members] == list(range(179, 199))


def test_a_space_with_nothing_valid_ends_the_study():
    space = Space("none/v1", lambda pick: pick.integer("a", 0, 9), lambda value: "never")
    with pytest.raises(InfeasibleSpace, match="2000 x never"):
        search(space, lambda v: {"a": 1}, {"a": "max"}, 10)


def test_rare_valid_designs_are_found_by_climbing_and_evolved():
    space = Space(
        "rare/v1",
        lambda pick: [pick.integer(f"i{k}", 0, 20) for k in range(8)],
        lambda row: None if sum(row) == 13 else Violation("off", abs(sum(row) - 13)),
    )
    study, front = search(
        space, lambda row: {"first": row[0]}, {"first": "max"}, 150, algorithm_options={"population": 20}
    )
    assert study.told == 150 and front.best().outcome.metrics["first"] >= 9


@pytest.mark.parametrize(
    ("algorithm", "options", "error", "message"),
    [
        ("nsag2", {}, UnknownName, "unknown algorithm 'nsag2'. Did you mean 'nsga2'"),
        (
            "nsga2",
            {"populaton": 3},
            UnknownName,
            "unknown option 'populaton' in algorithm 'nsga2'. Did you mean 'population'",
        ),
        ("nsga2", {"population": 1}, ConfigError, "population: expected a whole number of at least 2, got 1"),
        ("nsga2", {"mutation": 2.0}, ConfigError, "mutation is a probability"),
        ("nsga2", {"real_crossover": "sbxx"}, UnknownName, "Did you mean 'sbx'"),
        (
            "regularized_evolution",
            {"population": 5, "sample": 9},
            ConfigError,
            "must not be larger than the population",
        ),
        ("random", {"population": 5}, UnknownName, "unknown option 'population' in algorithm 'random'"),
    ],
)
def test_wrong_settings_are_refused(algorithm, options, error, message):
    with pytest.raises(error, match=message):
        Study(BITS, trap, objectives={"score": "max"}, algorithm=algorithm, algorithm_options=options)


def test_an_algorithm_serves_one_study():
    algorithm = NSGA2()
    Study(BITS, trap, objectives={"score": "max"}, algorithm=algorithm)
    with pytest.raises(ConfigError, match="already serves a study"):
        Study(BITS, trap, objectives={"score": "max"}, algorithm=algorithm)


# Ranking, each fast path against the definition


def plain_ranks(scores):
    left, rank, level = dict(enumerate(scores)), {}, 0
    while left:
        front = [i for i, a in left.items() if not any(ranking.dominates(b, a) for b in left.values())]
        for i in front:
            rank[i] = level
            del left[i]
        level += 1
    return [rank[i] for i in range(len(scores))]


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
@pytest.mark.parametrize("constrained", [False, True])
def test_ranks_equal_the_definition(columns, constrained):
    rng = np.random.default_rng(columns)
    for n in (1, 2, 3, 17, 60):
        for grain in (3, 1000):  # many ties, hardly any
            costs = rng.integers(0, grain, (n, columns)).astype(float)
            violations = rng.integers(0, 3, n).astype(float) if constrained else np.zeros(n)
            scores = [Score(v, tuple(c)) for c, v in zip(costs.tolist(), violations.tolist(), strict=True)]
            assert ranking.ranks(costs, violations).tolist() == plain_ranks(scores)


def plain_crowding(costs):
    n, m = costs.shape
    distance = np.zeros(n)
    for column in range(m):
        order = np.argsort(costs[:, column], kind="stable")
        span = costs[order[-1], column] - costs[order[0], column]
        for place, i in enumerate(order):
            if place in (0, n - 1):
                distance[i] = np.inf
            elif span > 0:
                distance[i] += (costs[order[place + 1], column] - costs[order[place - 1], column]) / span
    return distance


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_crowding_of_all_fronts_at_once_equals_one_front_at_a_time(columns):
    rng = np.random.default_rng(columns)
    for n in (0, 1, 2, 3, 40):
        costs = rng.normal(size=(n, columns))
        rank = ranking.ranks(costs, np.zeros(n))
        together = ranking.crowding(costs, rank)
        for level in set(rank.tolist()):
            front = rank == level
            assert np.allclose(together[front], plain_crowding(costs[front]))


def test_survivors_keep_whole_fronts_and_then_the_least_crowded():
    costs = np.array([[0, 4], [1, 3], [1.1, 2.9], [4, 0], [5, 5], [6, 6.0]])
    kept, crowding = ranking.survivors([Score(0.0, tuple(row)) for row in costs.tolist()], 3)
    assert kept in ([0, 2, 3], [0, 1, 3])
    assert crowding[0] == crowding[2] == np.inf > crowding[1] > 0


def test_survivors_of_two_costs_are_those_of_the_general_rule():
    rng = random.Random(5)
    for n in range(1, 60):
        grain = 5 if n % 2 else 10**6
        scores = [Score(0.0, (rng.randrange(grain), rng.randrange(grain))) for _ in range(n)]
        for keep in {1, n // 2 + 1, n}:
            kept, crowding = ranking.survivors(scores, keep)
            costs, violations = ranking.matrices(scores)
            rank = ranking.ranks(costs, violations)
            assert sorted(rank[kept].tolist()) == sorted(rank.tolist())[:keep]
            if grain > 100:
                distance = ranking.crowding(costs, rank)
                general = np.lexsort((-distance, rank))[:keep]  # the ends of a front tie, and either may be kept
                assert np.allclose(distance[kept], crowding)
                assert np.allclose(sorted(crowding), sorted(distance[general]))


def test_survivors_of_one_cost_are_exactly_those_of_the_general_rule():
    rng = random.Random(6)
    for n in range(1, 60):
        scores = [Score(0.0, (float(rng.randrange(8 if n % 2 else 10**6)),)) for _ in range(n)]
        costs, violations = ranking.matrices(scores)
        rank = ranking.ranks(costs, violations)
        distance = ranking.crowding(costs, rank)
        for keep in {1, n // 2 + 1, n}:
            general = np.sort(np.lexsort((-distance, rank))[:keep])
            assert ranking.survivors(scores, keep) == (general.tolist(), distance[general].tolist())


def test_hypervolume_equals_counting_points():
    rng = random.Random(0)
    for m in (1, 2, 3, 4):
        points = [[rng.randrange(6) for _ in range(m)] for _ in range(12)]
        inside = sum(
            any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points)
            for cell in np.ndindex(*[7] * m)
        )
        assert ranking.hypervolume(points, [7] * m) == inside
    assert ranking.hypervolume([[8, 8]], [7, 7]) == 0
    assert ranking.hypervolume(np.zeros((0, 2)), [7, 7]) == 0


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_the_archive_keeps_exactly_the_front(columns):
    rng = random.Random(columns)
    objectives = {f"m{i}": "min" if i % 2 else "max" for i in range(columns)}
    space = Space("many/v1", lambda pick: pick.integer("a", 0, 10**6))
    study = Study(space, objectives=objectives, runner="inline", lag=0, algorithm="random")
    rows = []
    for _ in range(200):
        asked = study.ask()
        metrics = {name: rng.randrange(12) for name in objectives}
        rows.append(study.tell(asked.index, metrics))
    expected = [t.index for t in rows if not any(ranking.dominates(o.score, t.score) for o in rows)]
    assert sorted(t.index for t in study.front()) == expected
