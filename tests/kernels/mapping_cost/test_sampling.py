"""Sampled mappings fit, reach all that fit, and depend on the seed and their number alone; the best is the best."""

import dataclasses
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from coevo.errors import ConfigError, InputError
from coevo.kernels.mapping_cost import MappingArrays, axis_excess, cost, count, excess_bits, uncovered
from coevo.kernels.mapping_cost.factors import quotients
from coevo.kernels.mapping_cost.packed import LANES
from coevo.kernels.mapping_cost.sampling import GOALS, orders_of, sample, search

_spec = importlib.util.spec_from_file_location("cases", Path(__file__).with_name("cases.py"))
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)


def roomy(rng, levels, axes, switches, sizes=None):
    """Tables whose memories hold at least one word of everything, the outermost one anything."""
    tables = cases.random_tables(rng, levels, axes, switches, sizes)
    capacity = np.maximum(tables.capacity_bits, 80.0)
    capacity[0] = np.inf
    return dataclasses.replace(tables, capacity_bits=capacity)


def excess(tables, mappings):
    return (
        excess_bits(tables, count(tables, mappings)).sum(axis=(1, 2))
        + axis_excess(tables, mappings).sum(axis=1)
        + uncovered(tables, mappings).sum(axis=1)
    )


def rows(mappings):
    return np.concatenate([part.reshape(len(part), -1) for part in dataclasses.astuple(mappings)], axis=1)


@pytest.mark.parametrize("seed", range(24))
def test_every_sample_fits(seed):
    rng = np.random.default_rng(seed)
    levels, axes = int(rng.integers(1, 6)), int(rng.integers(0, 4))
    switches = cases.ALL_SWITCHES[rng.integers(32)]
    tables = roomy(rng, levels, axes, switches, rng.choice([1, 1, 2, 3, 7, 12, 28, 50], size=8))
    mappings = sample(tables, 200, seed, tight=float(rng.random()), even=float(rng.random()))
    assert excess(tables, mappings).tolist() == [0.0] * 200
    assert (np.sort(mappings.rank, axis=-1) == np.arange(8)).all()


def chains(size, levels, axes):
    """All ways to split one loop: along each axis and at each memory, innermost first, as the tables of factors do."""
    places = [place for level in reversed(range(levels)) for place in (*axes.get(level, ()), ("level", level))]

    def walk(left, rest):
        if not rest:
            yield {}
            return
        last = rest[0] == ("level", 0)
        for factor in [left] if last else quotients(left).tolist():
            for further in walk(-(-left // factor), rest[1:]):
                yield {rest[0]: factor, **further}

    return list(walk(size, places))


@pytest.mark.parametrize("holes", [False, True])
def test_samples_reach_every_mapping_that_fits(holes):
    """Two memories and an axis; loops of 6 outputs, 3 taps and 5 channels; the inner memory holds 26 words."""
    rng = np.random.default_rng(0)
    tables = dataclasses.replace(
        cases.random_tables(rng, 2, 1, (False, False, False, holes, False), [1, 1, 5, 1, 6, 1, 3, 1]),
        step=np.array([[2, 1], [1, 1]]),
        window=np.array([[2, 1], [1, 1]]),
        keeps=np.ones((2, 3), dtype=bool),
        bits=np.full((2, 3), 8.0),
        capacity_bits=np.array([[np.inf] * 4, [np.inf, 64.0, np.inf, 208.0]]),
        axis_level=np.array([0]),
        axis_size=np.array([4]),
        axis_allowed=np.array([[False, False, True, False, True, False, False, False]]),
    )
    splits = [chains(size, 2, {0: [("axis", 0)]} if d in (2, 4) else {}) for d, size in enumerate(tables.sizes)]
    possible = list(itertools.product(*splits))
    temporal, spatial = np.ones((len(possible), 2, 8), int), np.ones((len(possible), 1, 8), int)
    for row, chosen in enumerate(possible):
        for d, split in enumerate(chosen):
            for (kind, where), factor in split.items():
                (temporal if kind == "level" else spatial)[row, where, d] = factor
    mappings = MappingArrays(temporal, np.tile(np.arange(8), (len(possible), 2, 1)), spatial)
    fitting = excess(tables, mappings) == 0.0
    wanted = {tuple(row) for row in np.concatenate([temporal.reshape(-1, 16), spatial.reshape(-1, 8)], 1)[fitting]}
    drawn = sample(tables, 128 * 2000, 1, tight=0.0, even=0.0)
    found = {tuple(row) for row in np.concatenate([drawn.temporal.reshape(-1, 16), drawn.spatial.reshape(-1, 8)], 1)}
    assert 100 < len(wanted) < fitting.size
    assert found == wanted


def test_factors_that_fit_are_equally_likely():
    """One loop of 20 into a memory of 11 words: 1, 2, 3, 4, 5, 7 and 10, and not 20."""
    rng = np.random.default_rng(0)
    tables = dataclasses.replace(
        roomy(rng, 2, 0, (False,) * 5, [1, 1, 20, 1, 1, 1, 1, 1]),
        keeps=np.array([[True] * 3, [True, False, False]]),
        bits=np.ones((2, 3)),
        capacity_bits=np.array([[np.inf] * 4, [np.inf, np.inf, np.inf, 11.0]]),
    )
    inner = sample(tables, 70_000, 3, tight=0.0, even=0.0).temporal[:, 1, 2]
    values, times = np.unique(inner, return_counts=True)
    assert values.tolist() == [1, 2, 3, 4, 5, 7, 10]
    assert abs(times - 10_000).max() < 500  # five standard deviations
    assert np.unique(sample(tables, 1000, 3, tight=1.0, even=0.0).temporal[:, 1, 2]).tolist() == [10]
    assert np.unique(sample(tables, 1000, 3, tight=0.0, even=1.0).temporal[:, 1, 2]).tolist() == [1, 2, 4, 5, 10]


def test_a_candidate_depends_on_its_number_alone():
    rng = np.random.default_rng(2)
    tables = roomy(rng, 3, 2, (True,) * 5)
    whole = rows(sample(tables, 5 * LANES, 9))
    assert (rows(sample(tables, 100, 9, first=77)) == whole[77:177]).all()
    assert (rows(sample(tables, 100, 10, first=77)) != whole[77:177]).any(axis=1).mean() > 0.9
    assert len(np.unique(whole, axis=0)) > 0.9 * len(whole)


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("samples", [1, LANES + 5, 700])
def test_the_best_is_the_best_of_the_sample(goal, samples):
    rng = np.random.default_rng(samples)
    tables = roomy(rng, 3, 2, (False, True, False, False, True))
    mappings = sample(tables, samples, 4)
    costs = cost(tables, count(tables, mappings))
    values = {"edp": costs.energy_pj * costs.cycles, "energy": costs.energy_pj, "cycles": costs.cycles}[goal]
    best = search(tables, samples, 4, goal, keep=3)
    assert (best.samples, best.valid) == (samples, samples)
    np.testing.assert_allclose(best.value, np.sort(values)[:3], rtol=1e-13)
    np.testing.assert_allclose(values[best.index], best.value, rtol=1e-13)
    assert (rows(best.mappings) == rows(mappings)[best.index]).all()
    np.testing.assert_allclose(best.energy_pj, costs.energy_pj[best.index], rtol=1e-13)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_find_the_same(threads):
    rng = np.random.default_rng(8)
    tables = roomy(rng, 3, 2, (False,) * 5)
    one, many = (search(tables, 2000, 5, keep=20, threads=n) for n in (1, threads))
    assert one.index.tolist() == many.index.tolist()
    assert one.value.tobytes() == many.value.tobytes()
    assert (one.valid, rows(one.mappings).tolist()) == (many.valid, rows(many.mappings).tolist())


def test_what_does_not_fit_is_not_counted():
    """An outermost memory with room for the layer alone, without padding."""
    rng = np.random.default_rng(1)
    tables = dataclasses.replace(
        roomy(rng, 2, 0, (False,) * 5, [1, 1, 23, 1, 1, 1, 1, 1]),
        capacity_bits=np.array([[np.inf] * 4, [64.0] * 4]),
        bits=np.ones((2, 3)),
    )
    tight = dataclasses.replace(tables, capacity_bits=np.array([[23.0, np.inf, np.inf, np.inf], [64.0] * 4]))
    mappings = sample(tables, 500, 1)
    fits = excess(tight, mappings) == 0.0
    assert 0 < fits.sum() < 500
    assert search(tables, 500, 1).valid == 500
    assert search(tight, 500, 1).valid == fits.sum()


@pytest.mark.parametrize("sliding", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_no_order_is_better_than_those_that_are_drawn(sliding, seed):
    """All orders of four loops at two memories, for any prices: the least energy is among the few that are drawn."""
    rng = np.random.default_rng(seed)
    loops = np.sort(rng.choice(8, size=4, replace=False))
    sizes = np.ones(8, int)
    sizes[loops] = 4
    tables = roomy(rng, 3, 0, (False, sliding, False, False, False), sizes)
    tables = dataclasses.replace(tables, window=np.ones((2, 2), int), step=np.ones((2, 2), int))
    all_orders = []
    for order in itertools.permutations(loops.tolist()):
        full = [*order, *(d for d in range(8) if d not in order)]
        all_orders.append(np.argsort(full))
    drawn = orders_of(tables).astype(int)
    assert len(drawn) <= (13 if sliding else 3)
    for _ in range(5):
        bounds = np.ones((3, 8), int)
        bounds[:, loops] = rng.integers(1, 3, size=(3, 4))

        def least(orders, bounds=bounds):
            pairs = list(itertools.product(orders, orders))
            rank = np.stack([np.stack([a, b, np.arange(8)]) for a, b in pairs])
            batch = MappingArrays(np.tile(bounds, (len(pairs), 1, 1)), rank, np.ones((len(pairs), 0, 8), int))
            return (cost(tables, count(tables, batch)).memory_pj.sum(axis=(1, 2))).min()

        assert least(drawn) == pytest.approx(least(all_orders), rel=1e-12)


def test_errors_say_what_is_wrong():
    rng = np.random.default_rng(1)
    tables = roomy(rng, 2, 0, (False,) * 5)
    small = dataclasses.replace(
        tables, keeps=np.ones((2, 3), bool), bits=np.full((2, 3), 8.0),
        capacity_bits=np.array([[np.inf] * 4, [np.inf, np.inf, np.inf, 20.0]]),
    )  # fmt: skip
    with pytest.raises(InputError, match="nothing fits memory 1: one word of each tensor is 4 bits too much"):
        search(small, 10, 1)
    with pytest.raises(ConfigError, match="goal: expected one of edp, energy, cycles, got 'speed'"):
        search(tables, 10, 1, "speed")
    with pytest.raises(ConfigError, match=r"tight: expected a chance in 0\.\.1, got 2"):
        sample(tables, 10, 1, tight=2.0)
    with pytest.raises(ConfigError, match="at least 1 sample"):
        search(tables, 0, 1)
