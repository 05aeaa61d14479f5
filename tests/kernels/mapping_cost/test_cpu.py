"""The compiled path against the plain reference: random and edge inputs, every switch, any number of threads."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from coevo.kernels.mapping_cost import MappingArrays, axis_excess, cost, count, excess_bits, uncovered
from coevo.kernels.mapping_cost.cpu import evaluate
from coevo.kernels.mapping_cost.packed import LANES

_spec = importlib.util.spec_from_file_location("cases", Path(__file__).with_name("cases.py"))
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)


def compare(tables, mappings, threads=1):
    counts = count(tables, mappings)
    costs = cost(tables, counts)
    found = evaluate(tables, mappings, threads)
    excess = (
        excess_bits(tables, counts).sum(axis=(1, 2))
        + axis_excess(tables, mappings).sum(axis=1)
        + uncovered(tables, mappings).sum(axis=1)
    )
    np.testing.assert_allclose(found.energy_pj, costs.energy_pj, rtol=1e-13)
    np.testing.assert_allclose(found.cycles, costs.cycles, rtol=1e-13)
    np.testing.assert_allclose(found.excess, excess, rtol=1e-13, atol=1e-9)
    np.testing.assert_array_equal(found.excess == 0.0, excess == 0.0)
    return found


@pytest.mark.parametrize("switches", range(len(cases.ALL_SWITCHES)))
def test_costs_are_those_of_the_reference(switches):
    rng = np.random.default_rng(switches)
    for levels in (1, 2, 3, 4, 5):
        tables = cases.random_tables(rng, levels, int(rng.integers(0, 4)), cases.ALL_SWITCHES[switches])
        batch = int(rng.integers(1, 3 * LANES))
        compare(tables, cases.random_mappings(rng, batch, levels, tables, [2, 3, 4, 5, 7, 11, 13, 28], 12, 10**9))


def test_valid_mappings_have_no_excess():
    """The whole layer at the outermost memory, which has no limit: the rest holds one word of each."""
    rng = np.random.default_rng(5)
    tables = dataclasses.replace(
        cases.random_tables(rng, 3, 2, (False,) * 5), capacity_bits=np.array([[np.inf] * 4, [64.0] * 4, [100.0] * 4])
    )
    mappings = cases.random_mappings(rng, 5, 3, tables, [2], 0)
    mappings.temporal[:, 0] = tables.sizes
    mappings.temporal[3, 0, 2] -= 1
    found = compare(tables, mappings)
    assert found.excess.tolist() == [0, 0, 0, 1, 0]


@pytest.mark.parametrize("batch", [0, 1, LANES - 1, LANES, LANES + 1, 5 * LANES])
@pytest.mark.parametrize(("levels", "axes"), [(1, 0), (1, 2), (3, 0), (6, 3)])
def test_batches_of_any_size(batch, levels, axes):
    rng = np.random.default_rng(batch)
    tables = cases.random_tables(rng, levels, axes, (True,) * 5)
    found = compare(tables, cases.random_mappings(rng, batch, levels, tables, [2, 3, 5], 8))
    assert len(found.energy_pj) == batch


def test_loops_that_only_some_blocks_use():
    rng = np.random.default_rng(3)
    tables = cases.random_tables(rng, 3, 2, (True,) * 5)
    mappings = cases.random_mappings(rng, 6 * LANES, 3, tables, [2, 3, 5], 12, 10**8)
    for block in range(6):
        for part in (mappings.temporal, mappings.spatial):
            part[block * LANES : (block + 1) * LANES, :, block % 3 :: 3] = 1
    compare(tables, mappings)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_change_nothing(threads):
    rng = np.random.default_rng(1)
    tables = cases.random_tables(rng, 3, 2, (True, True, False, False, True))
    mappings = cases.random_mappings(rng, 1000, 3, tables, [2, 3, 4, 5], 10)
    one, many = evaluate(tables, mappings), evaluate(tables, mappings, threads)
    for part in ("energy_pj", "cycles", "excess"):
        assert getattr(one, part).tobytes() == getattr(many, part).tobytes()


def test_integers_of_other_types_give_the_same():
    rng = np.random.default_rng(2)
    tables = cases.random_tables(rng, 3, 2, (False,) * 5)
    wide = cases.random_mappings(rng, 100, 3, tables, [2, 3, 4, 5], 10)
    narrow = MappingArrays(*(part.astype(np.int16) for part in (wide.temporal, wide.rank, wide.spatial)))
    assert evaluate(tables, wide).energy_pj.tobytes() == evaluate(tables, narrow).energy_pj.tobytes()


@pytest.mark.parametrize("kind", ["reads", "writes", "delivered"])
def test_counts_are_whole_numbers_exactly(kind):
    """With one action at 1 pJ and all others free the energy is the count itself, up to 2^53."""
    rng = np.random.default_rng(7)
    free = np.zeros((3, 3))
    largest = 0.0
    for trial in range(60):
        tables = cases.random_tables(rng, 3, 2, cases.ALL_SWITCHES[rng.integers(32)])
        mappings = cases.random_mappings(rng, 20, 3, tables, [3, 7, 11, 13, 127, 255], 12, 10**13)
        level, tensor = rng.integers(3), rng.integers(3)
        one = free.copy()
        one[level, tensor] = 1.0
        field = {"reads": "read_pj", "writes": "write_pj", "delivered": "hop_pj"}[kind]
        only = dataclasses.replace(
            tables, **{"read_pj": free, "write_pj": free, "hop_pj": free, field: one}, mac_pj=0.0,
            leakage_pj_per_cycle=0.0,
        )  # fmt: skip
        words = getattr(count(only, mappings), kind)[:, level, tensor]
        assert evaluate(only, mappings).energy_pj.tolist() == words.astype(float).tolist(), trial
        largest = max(largest, words.max())
    assert largest > 2**40
