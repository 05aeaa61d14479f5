"""NSGA-III: reference directions, normalisation and niching against hand-computed cases and plain references."""

import math
import random

import numpy as np
import pytest

from coevo import Space, Study
from coevo.errors import ConfigError
from coevo.search import events
from coevo.search.algorithms import directions, niching
from coevo.search.canonical import stream
from coevo.search.objectives import Score

SPHERE = Space("sphere/v1", lambda pick: [pick.real(f"x{i}", 0, 1) for i in range(7)])
OBJECTIVES = {"a": "min", "b": "min", "c": "min"}


def dtlz2(x):
    g = 1.0 + sum((v - 0.5) ** 2 for v in x[2:])
    a, b = x[0] * math.pi / 2, x[1] * math.pi / 2
    return {"a": g * math.cos(a) * math.cos(b), "b": g * math.cos(a) * math.sin(b), "c": g * math.sin(a)}


def study(space=SPHERE, evaluate=dtlz2, trials=None, population=28, options=(), **more):
    defaults = {"objectives": OBJECTIVES, "algorithm": "nsga3", "runner": "inline", "seed": 2}
    options = {"population": population, **dict(options)}
    made = Study(space, evaluate, **(defaults | {"algorithm_options": options} | more))
    if trials:
        made.run(trials=trials)
    return made


def keys(done):
    return [(trial.index, trial.design.key) for trial in done.trials()]


# Directions


def test_das_dennis_by_hand():
    assert directions.das_dennis(2, 2).tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert directions.das_dennis(3, 2).tolist() == [
        [0, 0, 1],
        [0, 0.5, 0.5],
        [0, 1, 0],
        [0.5, 0, 0.5],
        [0.5, 0.5, 0],
        [1, 0, 0],
    ]
    assert directions.das_dennis(3, 1).tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(("objectives", "partitions"), [(2, 99), (3, 12), (4, 6), (5, 6), (8, 3)])
def test_das_dennis_has_every_point_once(objectives, partitions):
    points = directions.das_dennis(objectives, partitions)
    assert len(points) == directions.count(objectives, partitions) == math.comb(objectives + partitions - 1, partitions)
    assert np.allclose(points.sum(axis=1), 1.0) and (points >= 0).all()
    assert len(np.unique((points * partitions).round().astype(int), axis=0)) == len(points)
    assert np.allclose(points * partitions, (points * partitions).round())


@pytest.mark.parametrize(("objectives", "partitions"), [(2, 5), (3, 12), (5, 6)])
def test_das_dennis_equals_pymoo(objectives, partitions):
    reference = pytest.importorskip("pymoo.util.ref_dirs")
    theirs = reference.get_reference_directions("das-dennis", objectives, n_partitions=partitions)
    assert np.allclose(np.sort(directions.das_dennis(objectives, partitions), axis=0), np.sort(theirs, axis=0))


def test_the_papers_numbers_of_directions():
    """Deb and Jain 2014, table I: 91, 210, 156, 275 and 135 directions for 3, 5, 8, 10 and 15 objectives."""
    for objectives, most, layers, size in (
        (3, 92, (12, 0), 91),
        (5, 212, (6, 0), 210),
        (8, 156, (3, 2), 156),
        (10, 276, (3, 2), 275),
        (15, 136, (2, 1), 135),
    ):
        assert directions.partitions_for(objectives, most) == layers
        points = directions.layers(objectives, *layers)
        assert len(points) == size and np.allclose(points.sum(axis=1), 1.0)


def test_the_inner_layer_lies_inside():
    points = directions.layers(8, 3, 2)
    inner = points[directions.count(8, 3) :]
    assert len(inner) == 36 and (inner > 0).all() and inner.max() <= 0.5 + 1 / 16


# Normalisation


def test_extreme_points_and_intercepts_by_hand():
    """The plane through (4, 0, 0), (0, 2, 0) and (0, 0, 1), moved by the ideal point (1, 1, 1)."""
    costs = np.array([[5, 1, 1], [1, 3, 1], [1, 1, 2], [2, 2, 1.2]], dtype=float)
    ideal = costs.min(axis=0)
    extremes = niching.extreme_points(costs, ideal)
    assert extremes.tolist() == [[5, 1, 1], [1, 3, 1], [1, 1, 2]]
    assert niching.nadir(extremes, ideal, costs.max(axis=0), costs.max(axis=0)) == pytest.approx([5, 3, 2])


def test_the_plane_may_cut_the_axes_behind_the_points():
    extremes = np.array([[3, 1, 0], [0, 3, 1], [1, 0, 3]], dtype=float)
    worst = np.full(3, 10.0)
    assert niching.nadir(extremes, np.zeros(3), np.full(3, 3.0), worst) == pytest.approx([4, 4, 4])
    assert niching.nadir(extremes, np.zeros(3), np.full(3, 3.0), np.full(3, 3.5)) == pytest.approx([3.5, 3.5, 3.5])


def test_without_a_plane_the_worst_of_the_front_stands_in():
    twice = np.array([[3, 0, 0], [3, 0, 0], [0, 0, 2]], dtype=float)
    assert niching.nadir(twice, np.zeros(3), np.array([3.0, 4, 2]), np.full(3, 9.0)).tolist() == [3, 4, 2]
    flat = niching.nadir(twice, np.zeros(3), np.array([3.0, 0, 2]), np.array([3.0, 5, 2]))
    assert flat.tolist() == [3, 5, 2], "a front without width takes the worst of all"
    assert niching.nadir(np.zeros((3, 3)), np.zeros(3), np.zeros(3), np.zeros(3)).tolist() == [1, 1, 1]


def test_a_better_class_begins_anew():
    normalise = niching.Normaliser(2)
    normalise.update((0, False), np.array([[-9.0, 5], [5, -9]]), np.array([[-9.0, 5], [5, -9]]))
    normalise.update((0, True), np.array([[0.0, 2], [2, 0]]), np.array([[0.0, 2], [2, 0]]))
    assert normalise.ideal.tolist() == [0, 0] and normalise.nadir == pytest.approx([2, 2])
    normalise.update((0, True), np.array([[1.0, 1]]), np.array([[1.0, 1]]))
    assert normalise.ideal.tolist() == [0, 0] and normalise.nadir == pytest.approx([1, 1]), "never beyond the worst"


# Niching


def plain_distance(point, direction):
    along = sum(p * d for p, d in zip(point, direction, strict=True)) / sum(d * d for d in direction)
    return math.dist(point, [along * d for d in direction])


def test_association_is_by_distance_to_the_line():
    rng = np.random.default_rng(0)
    lines = directions.das_dennis(3, 6)
    points = rng.random((50, 3)) * 3
    nearest, distance = niching.associate(points, lines / np.linalg.norm(lines, axis=1, keepdims=True))
    for point, chosen, far in zip(points, nearest, distance, strict=True):
        plain = [plain_distance(point, line) for line in lines]
        assert far == pytest.approx(min(plain), abs=1e-7) and plain[chosen] == pytest.approx(min(plain), abs=1e-7)


def test_empty_niches_are_filled_first_by_their_nearest():
    niche = np.array([0, 0, 1, 1, 2])
    distance = np.array([0.3, 0.1, 0.2, 0.4, 0.9])
    taken = np.array([0, 0, 1])
    for seed in range(20):
        assert set(niching.fill(niche, distance, taken, 2, stream(seed))) == {1, 2}
        assert set(niching.fill(niche, distance, taken, 5, stream(seed))) == {0, 1, 2, 3, 4}
        three = niching.fill(niche, distance, taken, 3, stream(seed))
        assert set(three[:2]) == {1, 2} and three[2] in (0, 3, 4), "then whoever has one so far"
    assert taken.tolist() == [0, 0, 1], "what it is given stays as it was"


def plain_fill(niche, distance, taken, wanted):
    """Algorithm 4 of the paper, where neither ties nor chance decide: how many of each direction are taken."""
    taken, left = dict(enumerate(taken)), list(range(len(niche)))
    for _ in range(wanted):
        fewest = min(taken[niche[place]] for place in left)
        direction = min(niche[place] for place in left if taken[niche[place]] == fewest)
        place = min((place for place in left if niche[place] == direction), key=lambda place: distance[place])
        left.remove(place)
        taken[direction] += 1
    return sorted(taken.values())


def test_niches_are_filled_evenly():
    rng = random.Random(3)
    for seed in range(40):
        n = rng.randint(2, 30)
        niche = np.array([rng.randrange(6) for _ in range(n)])
        distance = np.array([rng.random() for _ in range(n)])
        taken = np.array([rng.randrange(3) for _ in range(6)])
        wanted = rng.randint(1, n)
        chosen = niching.fill(niche, distance, taken, wanted, stream(seed))
        assert len(set(chosen)) == wanted
        after = taken + np.bincount(niche[chosen], minlength=6)
        assert sorted(after.tolist()) == plain_fill(niche.tolist(), distance.tolist(), taken.tolist(), wanted)


def test_survivors_take_whole_fronts_and_then_spread():
    lines = directions.das_dennis(2, 2)
    unit = lines / np.linalg.norm(lines, axis=1, keepdims=True)
    crowd = [(0.0, 1.0), (1.0, 0.0), (0.5, 0.45), (0.02, 0.97), (0.03, 0.96), (0.9, 0.9)]
    scores = [Score(0.0, costs) for costs in crowd]
    for seed in range(10):
        assert niching.survivors(scores, 3, unit, niching.Normaliser(2), stream(seed)) == [0, 1, 2]
        assert 5 not in niching.survivors(scores, 5, unit, niching.Normaliser(2), stream(seed))


def test_the_feasible_and_the_deeper_come_first():
    lines = directions.das_dennis(2, 3)
    scores = [Score(2.0, (0.0, 0.0)), Score(0.0, (5.0, 5.0)), Score(1.0, (0.0, 0.0)), Score(0.0, (9.0, 9.0), depth=1)]
    keep = [niching.survivors(scores, n, lines, niching.Normaliser(2), stream(0)) for n in (1, 2, 3)]
    assert keep == [[3], [1, 3], [1, 2, 3]]


# The search


def test_the_front_is_spread_over_the_directions():
    with study(trials=3000, lag=0) as done:
        costs = np.array([trial.score.costs for trial in done.algorithm.members])
        lines = done.algorithm.directions
    assert len(lines) == 28 == len(costs)
    assert np.linalg.norm(costs, axis=1) == pytest.approx(np.ones(28), abs=0.05)
    nearest, _ = niching.associate(costs, lines)
    assert len(set(nearest.tolist())) >= 24


def test_workers_completion_and_resuming_change_nothing(tmp_path):
    with study(trials=150) as one:
        expected = keys(one)
    for workers in (2, 4):
        with study(trials=150, runner="local", workers=workers) as several:
            assert keys(several) == expected
    with study(folder=tmp_path / "run") as part:
        part.listen(lambda event: part.stop() if isinstance(event, events.Told) and event.trial.index == 71 else None)
        part.run(trials=150)
        assert part.told < 150
    with study(folder=tmp_path / "run", trials=150) as resumed:
        assert keys(resumed) == expected


def test_throughput_mode_tells_in_any_order():
    with study(trials=150, deterministic=False, runner="local", workers=3) as done:
        assert done.told == 150 and len(done.algorithm.members) == 28


def test_constraints_hold_on_the_front():
    with study(trials=600, constraints={"a": "<= 0.3"}) as done:
        assert len(done.front()) > 5 and all(trial.outcome.metrics["a"] <= 0.3 for trial in done.front())
        assert 0 < done.infeasible < 500


def test_a_soft_constraint_is_one_more_objective():
    with study(trials=80, constraints={"a": "soft <= 0.3"}, population=40) as done:
        assert done.algorithm.directions.shape[1] == 4 and done.told == 80


def test_discrete_and_failing_spaces_are_searched():
    space = Space("m/v1", lambda p: (p.integer("a", 0, 9), p.one("b", tuple("xyz")), p.order("c", range(3))))

    def evaluate(value):
        if value[0] == 7:
            raise ValueError("seven")
        return {"a": value[0], "b": -value[0] + "xyz".index(value[1]), "c": value[2][0]}

    with study(space, evaluate, trials=1000) as done:
        assert done.asked == 180 and done.failed == 18


@pytest.mark.parametrize(
    ("objectives", "options", "message"),
    [
        ({"a": "min"}, {}, "spreads over several objectives, and there is one; take 'regularized_evolution'"),
        (OBJECTIVES, {"population": 2}, "3 objectives have 3 reference directions at least, got 2"),
        (OBJECTIVES, {"partitions": 12}, "12 and 0 partitions with 3 objectives make 91 reference directions"),
        (OBJECTIVES, {"inner_partitions": 2}, "expected together with partitions"),
        (OBJECTIVES, {"partitions": 0}, "partitions: expected a whole number of at least 1, got 0"),
        (OBJECTIVES, {"sbx_eta": -1.0}, "sbx_eta must not be negative"),
    ],
)
def test_wrong_settings_are_refused(objectives, options, message):
    with pytest.raises(ConfigError, match=message):
        study(objectives=objectives, options=options)
