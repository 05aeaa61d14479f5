"""Search on a device: what it draws, judges and picks, against the closed form in NumPy."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

from coevo.errors import CoevoError, InputError
from coevo.kernels.mapping_cost import axis_excess, cost, count, excess_bits, uncovered
from coevo.kernels.mapping_cost.distinct import identities

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _beside("cases")


@pytest.fixture
def kernels(monkeypatch):
    """The module of the search, with few instances so that each goes through several rounds."""
    from coevo.kernels.mapping_cost import triton_search

    monkeypatch.setattr(triton_search, "PROGRAMS", 2)
    return triton_search


def roomy(seed, switches=(False,) * 5, sizes=(2, 1, 12, 10, 7, 9, 3, 3), levels=3, axes=2):
    """Random tables in which tiles of some size fit."""
    rng = np.random.default_rng(seed)
    tables = cases.random_tables(rng, levels, axes, switches, sizes)
    smallest = 8.0 * 24 * (1 + np.arange(levels)[::-1, None])
    capacity_bits = np.maximum(tables.capacity_bits, smallest * 4)
    capacity_bits[0] = np.inf  # a layer lies whole in the outermost memory
    return dataclasses.replace(tables, capacity_bits=capacity_bits)


def redrawn(kernels, tables, numbers, seed):
    """Those mappings, and (valid, energy, cycles) of each by the reference."""
    structure = kernels.st.structure_of([tables])
    rooms = torch.from_numpy(kernels.rooms_of([tables])).to(DEVICE)
    mappings = kernels.drawn_mappings(structure, rooms[0], numbers, seed, DEVICE)
    counts = count(tables, mappings)
    costs = cost(tables, counts)
    valid = (
        (excess_bits(tables, counts) == 0).all(axis=(1, 2))
        & (axis_excess(tables, mappings) == 0).all(axis=1)
        & (uncovered(tables, mappings) == 0).all(axis=1)
    )
    return mappings, valid, costs.energy_pj, costs.cycles


@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_all_draws_is_found(kernels, seed):
    switches = cases.ALL_SWITCHES[(11 * seed + 31) % 32]
    tables = roomy(seed, switches, levels=2 + seed % 3, axes=seed % 3)
    (found,) = kernels.search([tables], 600, seed, DEVICE, first=2**33 + 5)
    assert found.drawn == 2 * 3 * 128
    numbers = 2**33 + 5 + np.arange(found.drawn)
    mappings, valid, energy, cycles = redrawn(kernels, tables, numbers, seed)
    assert found.valid == valid.sum() > 0
    for place, values in enumerate((energy, cycles, energy * cycles)):
        best = np.where(valid, values, np.inf)
        row = int(np.searchsorted(numbers, found.numbers[place]))
        np.testing.assert_allclose(best[row], best.min(), rtol=1e-13)
        np.testing.assert_array_equal(found.mappings.temporal[place], mappings.temporal[row])
        np.testing.assert_array_equal(found.mappings.spatial[place], mappings.spatial[row])
        assert found.energy_pj[place] == energy[row]
        assert found.cycles[place] == cycles[row]


def test_ties_go_to_the_lowest_number(kernels):
    tables = roomy(3, levels=1, axes=0)  # one memory without a limit: every mapping takes as many cycles
    tables = dataclasses.replace(tables, **{f"{name}_bits_per_cycle": np.array([np.inf]) for name in
                                            ("read", "write", "port", "network")})  # fmt: skip
    tables = dataclasses.replace(tables, capacity_bits=np.full((1, 4), np.inf))
    (found,) = kernels.search([tables], 700, 1, DEVICE, first=9)
    assert found.numbers[1] == 9
    assert found.valid == found.drawn


@pytest.mark.parametrize("seed", range(3))
def test_drawn_mappings_cover_the_layer_and_stay_within_axes_and_memories(kernels, seed):
    tables = roomy(20 + seed, cases.ALL_SWITCHES[(7 * seed) % 32], sizes=(1, 2, 33, 20, 14, 56, 3, 5))
    tables = dataclasses.replace(tables, keeps=np.ones((3, 3), dtype=bool))
    mappings, valid, _, _ = redrawn(kernels, tables, np.arange(500), seed)
    assert (uncovered(tables, mappings) == 0).all()
    assert (axis_excess(tables, mappings) == 0).all()
    assert valid.mean() > 0.9
    assert (np.sort(mappings.rank, axis=-1) == np.arange(8)).all()
    assert (mappings.temporal[:, :, 0] == 1).all()  # N has one iteration
    assert mappings.spatial.prod(axis=(1, 2)).max() > 1
    inner = mappings.temporal[:, 1:].prod(axis=1) * mappings.spatial.prod(axis=1)
    rest = -(-tables.sizes // inner)
    np.testing.assert_array_equal(mappings.temporal[:, 0], rest)


def test_every_mapping_without_needless_padding_is_reached(kernels):
    """All bounds of K and C at the inner of two memories that fit there, and both orders of the two at each."""
    sizes = np.array([1, 1, 6, 5, 1, 1, 1, 1])
    tables = dataclasses.replace(
        cases.random_tables(np.random.default_rng(0), 2, 0, (False,) * 5, sizes),
        keeps=np.ones((2, 3), dtype=bool),
        bits=np.full((2, 3), 8.0),
        capacity_bits=np.array([[np.inf] * 4, [8 * 6, np.inf, np.inf, 8 * 11]]),
    )
    mappings, valid, _, _ = redrawn(kernels, tables, np.arange(4000), 5)
    assert valid.all()
    expected = {
        (k, c)
        for k, c in itertools.product(range(1, 7), range(1, 6))
        if k * c <= 6 and k * c + k + c <= 11 and k == -(-6 // -(-6 // k)) and c == -(-5 // -(-5 // c))
    }
    moving = (mappings.temporal[:, :, 2:4] > 1).all(axis=(1, 2))
    orders = {tuple(pair) for pair in (mappings.rank[:, :, 2] < mappings.rank[:, :, 3])[moving].tolist()}
    assert {tuple(pair) for pair in mappings.temporal[:, 1, 2:4].tolist()} == expected
    assert len(orders) == 4


def test_problems_side_by_side_are_searched_as_each_alone(kernels):
    first = roomy(8, (True, True, False, True, True), levels=2, axes=1)
    second = dataclasses.replace(
        first, sizes=first.sizes * 2, axis_size=first.axis_size + 3, read_pj=first.read_pj * 3, mac_pj=2.0
    )
    kernels.PROGRAMS = 4
    together = kernels.search([first, second], 256, 4, DEVICE)
    for tables, found in zip((first, second), together, strict=True):
        launch = kernels.Launch([tables], found.drawn, 4, DEVICE)
        launch.structure = kernels.st.structure_of([first, second])
        launch.run()
        (alone,) = launch.found()
        assert alone.drawn == found.drawn
        assert alone.valid == found.valid
        np.testing.assert_array_equal(alone.numbers, found.numbers)
        np.testing.assert_array_equal(alone.energy_pj, found.energy_pj)


def test_where_nothing_fits_nothing_is_found(kernels):
    tables = roomy(1)
    tables = dataclasses.replace(
        tables, keeps=np.ones((3, 3), dtype=bool), capacity_bits=np.full((3, 4), 1.0), bits=np.full((3, 3), 8.0)
    )
    (found,) = kernels.search([tables], 10, 0, DEVICE)
    assert found.valid == 0
    assert len(found.mappings) == len(found.numbers) == len(found.energy_pj) == 0


def test_a_result_that_the_reference_does_not_confirm_is_an_error(kernels):
    tables = roomy(2)
    (found,) = kernels.search([tables], 128, 0, DEVICE)
    values = np.array([found.energy_pj[0], found.cycles[1], found.energy_pj[2] * found.cycles[2]])
    kernels.confirmed(tables, found.mappings, values)
    with pytest.raises(CoevoError, match="the reference gives"):
        kernels.confirmed(tables, found.mappings, values * (1 + 1e-9))
    small = dataclasses.replace(tables, axis_size=np.zeros_like(tables.axis_size))
    with pytest.raises(CoevoError, match="calls one of them invalid"):
        kernels.confirmed(small, found.mappings, values)


@pytest.mark.parametrize("changes", [{"draws": 0}, {"first": -1}, {"seed": -3}])
def test_a_search_without_draws_or_with_negative_numbers_is_an_error(kernels, changes):
    wanted = {"draws": 5, "seed": 1, "first": 0} | changes
    with pytest.raises(InputError, match="at least one draw"):
        kernels.search([roomy(0)], wanted["draws"], wanted["seed"], DEVICE, wanted["first"])


def test_loops_beyond_the_sampler_are_an_error(kernels):
    tables = dataclasses.replace(roomy(0), sizes=np.array([1, 1, 2**18 + 1, 1, 1, 1, 1, 1]))
    with pytest.raises(InputError, match="up to 262144 iterations, got 262145"):
        kernels.search([tables], 1, 0, DEVICE)


@pytest.mark.parametrize("size", [2**18 - 1, 65_521, 997])
def test_long_loops_are_split_exactly(kernels, size):
    """Rounded quotients of large numbers keep their whole part."""
    tables = dataclasses.replace(roomy(5), sizes=np.array([1, 1, size, 1, 1, size - 1, 1, 1]))
    tables = dataclasses.replace(tables, capacity_bits=np.full((3, 4), np.inf))
    mappings, _, _, _ = redrawn(kernels, tables, np.arange(512), 6)
    inner = mappings.temporal[:, 1:].prod(axis=1) * mappings.spatial.prod(axis=1)
    np.testing.assert_array_equal(mappings.temporal[:, 0], -(-tables.sizes // inner))


@pytest.mark.parametrize("switches", [(False,) * 5, (True,) * 5])
def test_distinct_mappings_are_counted(kernels, switches):
    from coevo.kernels.mapping_cost import triton_distinct

    tables = roomy(6, switches, sizes=(1, 1, 4, 3, 2, 1, 2, 1), levels=2, axes=1)
    draws = 512
    mappings, valid, _, _ = redrawn(kernels, tables, np.arange(draws), 2)
    wanted = identities(mappings)
    hashes, fine = (part.cpu().numpy() for part in triton_distinct.hashed(tables, range(draws), 2, DEVICE))
    np.testing.assert_array_equal(hashes[0].view(np.uint64), wanted)
    np.testing.assert_array_equal(fine, valid)
    found = triton_distinct.count_distinct(tables, draws, 2, DEVICE, chunk=384)
    assert found.valid == valid.sum() > 100
    assert found.distinct == len(np.unique(wanted[valid])) / valid.sum() < 0.9
    # What costs can tell apart: no fewer than there are different counts, fewer than there are mappings.
    counts = count(tables, mappings)
    words = np.stack([counts.reads, counts.writes, counts.sent, counts.delivered], axis=1).reshape(draws, -1)[valid]
    assert len(np.unique(words, axis=0)) <= found.distinct_to_cost * valid.sum() + 0.5
    assert found.distinct_to_cost < found.distinct
    alike = {}
    for key, row in zip(hashes[1, valid].tolist(), words.tolist(), strict=True):
        assert alike.setdefault(key, row) == row  # one hash, one cost
    sliced = triton_distinct.count_distinct(tables, draws, 2, DEVICE, slices=2)
    assert sliced.valid == found.valid
    kept = wanted[valid & (wanted.view(np.int64) % 2 == 0)]
    assert sliced.distinct == len(np.unique(kept)) / len(kept)
