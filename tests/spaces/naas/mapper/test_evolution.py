"""The compiled evolution, and the search near its best, against plain ones from the same random numbers."""

import dataclasses
import math

import numpy as np
import pytest

pytest.importorskip("numba")

from coevo.cost_models.accelerator import Assumptions, convolution, matrix_product, tables_of
from coevo.errors import ConfigError, InputError
from coevo.kernels.mapping_cost import MappingArrays, axis_excess, cost, count, excess_bits, uncovered
from coevo.kernels.mapping_cost.evolve import JITTER, Room
from coevo.kernels.mapping_cost.refine import MOVES, NUMBERS
from coevo.kernels.mapping_cost.tables import RELEVANT
from coevo.spaces.naas.mapper.encoding import decode, gene_count, live_genes
from coevo.spaces.naas.mapper.evolution import PAPER, Settings, evolve
from coevo.spaces.naas.mapper.goals import goal_value, judge
from coevo.spaces.naas.mapper.sampling import best_of

LAYERS = [convolution("strided", (31, 29), 24, 56, 5, 2, 1), matrix_product("product", 77, 130, 513, batch=3)]
SWITCHES = [Assumptions(), Assumptions(True, True, True, True, True)]


def plain_values(tables, points, goal, encoding):
    mappings = decode(tables, points.T, encoding)
    counts = count(tables, mappings)
    costs = cost(tables, counts)
    value = goal_value(goal, costs.energy_pj, costs.cycles)
    return np.where(excess_bits(tables, counts).any(axis=(1, 2)), np.inf, value)


def plain_generation(mean, covariance, normals):
    """Points of the live genes [m, n] from standard normal numbers [m, n]."""
    points = mean[:, None] + np.linalg.cholesky(covariance + JITTER * np.eye(len(mean))) @ normals
    return 1.0 - np.abs(np.mod(points, 2.0) - 1.0)


def plain_update(mean, covariance, points, values, settings):
    parents = points[:, np.argsort(values, kind="stable")[: settings.parents]]
    steps = parents - mean[:, None]
    spread = steps @ steps.T / parents.shape[1]
    return parents.mean(axis=1), (1 - settings.learning) * covariance + settings.learning * spread


@pytest.mark.parametrize("encoding", ["importance", "index"])
@pytest.mark.parametrize("assumptions", SWITCHES, ids=["plain", "all"])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_each_generation_is_the_plain_one(accelerator, layer, assumptions, encoding):
    """Same random numbers, same points, up to rounding; same values of those points; same mean and covariance."""
    tables = tables_of(layer, accelerator, assumptions)
    live, settings, rng = live_genes(tables, encoding), Settings(population=40, parents=10), np.random.default_rng(0)
    room, goal = Room(tables), "edp"
    mean, covariance = np.full(len(live), 0.5), np.eye(len(live)) * settings.spread**2
    points = np.full((gene_count(tables, encoding), settings.population), 0.5)
    dead = np.setdiff1d(np.arange(len(points)), live)
    for _ in range(8):
        normals = rng.standard_normal((len(live), settings.population))
        drawn = plain_generation(mean, covariance, normals)
        was_mean, was_covariance = mean.copy(), covariance.copy()
        values = room.generation(
            mean, covariance, normals, live, settings.parents, settings.learning, goal, encoding == "index", points
        )
        np.testing.assert_allclose(points[live], drawn, atol=1e-9)
        assert (points[dead] == 0.5).all() and points.min() >= 0.0 and points.max() <= 1.0
        np.testing.assert_allclose(values, plain_values(tables, points, goal, encoding), rtol=1e-12)
        want_mean, want_covariance = plain_update(was_mean, was_covariance, points[live], values, settings)
        np.testing.assert_allclose(mean, want_mean, atol=1e-12)
        np.testing.assert_allclose(covariance, want_covariance, atol=1e-12)
        np.testing.assert_array_equal(covariance, covariance.T)


@pytest.mark.parametrize("goal", ["edp", "energy", "cycles"])
def test_the_answer_is_the_best_of_all_that_were_drawn(accelerator, goal):
    """The last generation is a part of one; then come steps near the best. History is the running minimum, and the
    answer costs what it says."""
    tables = tables_of(LAYERS[0], accelerator, Assumptions())
    found = evolve(tables, np.random.default_rng(1), 250, goal)
    assert found.evaluations == 250 and len(found.history) == 2 + 2  # generations of 100 and 50; 2 x 50 near the best
    assert (np.diff(found.history) <= 0).all() and found.history[-1] == found.value
    judged = judge(tables, found.best, goal)
    assert judged.value[0] == found.value and judged.overflow[0] == 0.0

    normals = np.random.default_rng(1).standard_normal((len(live_genes(tables, "importance")), 100))
    genes = np.full((gene_count(tables, "importance"), 100), 0.5)
    live = live_genes(tables, "importance")
    genes[live] = plain_generation(np.full(len(live), 0.5), np.eye(len(live)) * Settings().spread ** 2, normals)
    assert found.history[0] == pytest.approx(plain_values(tables, genes, goal, "importance").min(), rel=1e-12)


def test_random_search_keeps_the_best_of_its_own_numbers(accelerator):
    tables = tables_of(LAYERS[1], accelerator, Assumptions())
    live, generator = live_genes(tables, "importance"), np.random.default_rng(4)
    lowest = np.inf
    for size in (256, 44):
        points = np.full((gene_count(tables, "importance"), size), 0.5)
        points[live] = generator.random((len(live), size))
        lowest = min(lowest, plain_values(tables, points, "edp", "importance").min())
    best = best_of(tables, np.random.default_rng(4), 300, "edp")
    assert judge(tables, best, "edp").value[0] == pytest.approx(lowest, rel=1e-12)


def test_a_layer_of_one_step_is_searched_too(accelerator):
    """No gene matters: the one mapping is found."""
    tables = tables_of(matrix_product("one", 1, 1, 1), accelerator, Assumptions())
    found = evolve(tables, np.random.default_rng(0), 10)
    assert (found.best.temporal == 1).all() and (found.best.spatial == 1).all()


def test_an_outermost_memory_with_room_for_no_padding_is_told(row_stationary):
    layer = matrix_product("primes", 31, 37, 41)
    words = 31 * 41 + 41 * 37 + 31 * 37
    memories = [dataclasses.replace(row_stationary.memories[0], size_bytes=words), *row_stationary.memories[1:]]
    tight = tables_of(layer, dataclasses.replace(row_stationary, memories=tuple(memories)), Assumptions())
    with pytest.raises(InputError, match="none of 1 mappings fits the outermost memory"):
        evolve(tight, np.random.default_rng(0), 1)
    with pytest.raises(InputError, match="none of 1 mappings fits the outermost memory"):
        best_of(tight, np.random.default_rng(0), 1, "edp")


def test_settings_that_cannot_be_are_refused(accelerator):
    with pytest.raises(ConfigError, match=r"parents must lie in 2\.\.population \(10\), got 11"):
        Settings(population=10, parents=11)
    with pytest.raises(ConfigError, match="evaluations must be at least 1, got 0"):
        evolve(tables_of(LAYERS[0], accelerator, Assumptions()), np.random.default_rng(0), 0)
    with pytest.raises(ConfigError, match=r"refined must lie in \[0, 1\) and near in 1\.\.\d+, got 1 and 50"):
        Settings(refined=1.0)


def plain_move(tables, numbers, bounds, rank):
    """`refine.move` with whole numbers: bounds [L + A][8] and rank [L][8] change in place."""
    levels, long = tables.levels, np.flatnonzero(tables.sizes > 1)
    if numbers[0] < 0.2:
        if levels > 1:
            level, moves = int(numbers[1] * (levels - 1)), RELEVANT[int(numbers[2] * 3)]
            rank[level] = np.argsort(np.lexsort((rank[level], moves)))
        return
    if not len(long):
        return
    d = long[int(numbers[1] * len(long))]
    places = [*range(levels), *(levels + axis for axis in range(tables.axes) if tables.axis_allowed[axis, d])]
    if len(places) < 2:
        return
    here = places[int(numbers[2] * len(places))]
    there = [place for place in places if place != here][int(numbers[3] * (len(places) - 1))]
    old = int(bounds[here, d])
    new = (2 * old, 3 * old, old + 1, (old + 1) // 2, (old + 2) // 3, max(old - 1, 1))[int(numbers[4] * 6)]
    bounds[here, d] = min(new, tables.sizes[d])
    others = math.prod(int(bound) for row, bound in enumerate(bounds[:, d]) if row != there)
    bounds[there, d] = -(-int(tables.sizes[d]) // others)


@pytest.mark.parametrize("goal", ["edp", "energy", "cycles"])
@pytest.mark.parametrize("assumptions", SWITCHES, ids=["plain", "all"])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_steps_near_the_best_are_the_plain_ones(accelerator, layer, assumptions, goal):
    tables = tables_of(layer, accelerator, assumptions)
    start = evolve(tables, np.random.default_rng(2), 100, goal, settings=PAPER)
    numbers = np.random.default_rng(3).random((12, 20, 1 + MOVES * NUMBERS))
    found, history = Room(tables).refine(start.best, start.value, numbers, goal)

    bounds, rank = np.concatenate([start.best.temporal[0], start.best.spatial[0]]), start.best.rank[0].copy()
    lowest, levels = start.value, tables.levels
    for step, row in enumerate(numbers):
        near, orders = np.repeat(bounds[None], len(row), axis=0), np.repeat(rank[None], len(row), axis=0)
        for one, near_one, order in zip(row, near, orders, strict=True):
            for turn in range(2 if one[0] < 0.3 else 1):
                plain_move(tables, one[1 + 5 * turn : 6 + 5 * turn], near_one, order)
        mappings = MappingArrays(near[:, :levels], orders, near[:, levels:])
        assert not uncovered(tables, mappings).any()
        counts = count(tables, mappings)
        costs = cost(tables, counts)
        bad = excess_bits(tables, counts).any(axis=(1, 2)) | axis_excess(tables, mappings).any(axis=1)
        values = np.where(bad, np.inf, goal_value(goal, costs.energy_pj, costs.cycles))
        best = int(values.argmin())
        if values[best] < lowest * (1 - 1e-12):
            lowest, bounds, rank = values[best], near[best], orders[best]
        assert history[step] == pytest.approx(lowest, rel=1e-12)
    assert history[-1] < start.value
    assert judge(tables, found, goal).value[0] == history[-1]
    assert judge(tables, found, goal).overflow[0] == 0.0


def test_a_layer_without_loops_has_no_neighbours(row_stationary):
    tables = tables_of(matrix_product("one", 1, 1, 1), row_stationary, Assumptions())
    start = evolve(tables, np.random.default_rng(0), 1, settings=PAPER)
    numbers = np.random.default_rng(0).random((3, 7, 1 + MOVES * NUMBERS))
    found, history = Room(tables).refine(start.best, start.value, numbers, "edp")
    assert (found.temporal == 1).all() and history.tolist() == [start.value] * 3


def test_the_search_near_the_best_gains_at_equal_evaluations(accelerator):
    tables = tables_of(LAYERS[0], accelerator, Assumptions())
    with_it, alone = (
        np.log([evolve(tables, np.random.default_rng(seed), 1000, settings=settings).value for seed in range(5)]).mean()
        for settings in (Settings(), PAPER)
    )
    assert with_it < alone
