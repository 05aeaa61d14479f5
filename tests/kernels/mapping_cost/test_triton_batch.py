"""Costs on a device against the closed form in NumPy: in Triton's interpreter where there is no CUDA device."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.kernels.mapping_cost import MappingArrays, axis_excess, cost, count, excess_bits, uncovered

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _beside("cases")


@pytest.fixture(scope="module")
def batch():
    from coevo.kernels.mapping_cost import triton_batch, triton_structure

    assert triton_structure.INTERPRETED is (DEVICE == "cpu"), "triton was imported before this folder's conftest"
    return triton_batch


def drawn(seed, count_of=65):
    """Tables and mappings that may fit or not; successive seeds go through every combination of the switches."""
    rng = np.random.default_rng(seed)
    switches = cases.ALL_SWITCHES[seed % len(cases.ALL_SWITCHES)]
    levels, axes = int(rng.integers(1, 5)), int(rng.integers(0, 4))
    tables = cases.random_tables(rng, levels, axes, switches, rng.integers(1, 4, size=8))
    mappings = cases.random_mappings(rng, count_of, levels, tables, [2, 3, 5, 7, 12], int(rng.integers(1, 14)))
    return tables, mappings


def is_valid(tables, mappings, counts):
    return (
        (excess_bits(tables, counts) == 0).all(axis=(1, 2))
        & (axis_excess(tables, mappings) == 0).all(axis=1)
        & (uncovered(tables, mappings) == 0).all(axis=1)
    )


def compare(batch, tables, mappings):
    """Counts to the last digit, costs to rounding, validity."""
    wanted = count(tables, mappings)
    on_device = batch.DeviceMappings.of(mappings, DEVICE)
    found = batch.count_batch(tables, on_device).cpu().numpy()
    for place, name in enumerate(("reads", "writes", "sent", "delivered", "tile_words")):
        np.testing.assert_array_equal(found[:, place], getattr(wanted, name), err_msg=f"{name} ({tables})")
    costs, result = cost(tables, wanted), batch.cost_batch(tables, on_device)
    np.testing.assert_allclose(result.energy_pj.cpu().numpy(), costs.energy_pj, rtol=1e-13)
    np.testing.assert_allclose(result.cycles.cpu().numpy(), costs.cycles, rtol=1e-13)
    valid = is_valid(tables, mappings, wanted)
    np.testing.assert_array_equal(result.valid.cpu().numpy() != 0, valid)
    return valid


@pytest.mark.parametrize("block", range(8))
def test_random_mappings_of_random_accelerators(batch, block):
    fitting = [compare(batch, *drawn(seed)) for seed in range(block * 4, block * 4 + 4)]
    assert not np.concatenate(fitting).all()


def test_mappings_that_fit_and_cover_are_valid(batch):
    tables, mappings = drawn(7)
    tables = dataclasses.replace(
        tables,
        sizes=np.ones(8, dtype=np.int64),
        capacity_bits=np.full_like(tables.capacity_bits, np.inf),
        axis_size=np.full_like(tables.axis_size, 10_000),
        axis_allowed=np.ones_like(tables.axis_allowed),
    )
    assert compare(batch, tables, mappings).all()


def test_each_reason_makes_a_mapping_invalid(batch):
    rng = np.random.default_rng(1)
    tables = dataclasses.replace(
        cases.random_tables(rng, 2, 1, (False,) * 5),
        sizes=np.array([1, 1, 4, 4, 1, 1, 1, 1]),
        keeps=np.ones((2, 3), dtype=bool),
        bits=np.full((2, 3), 8.0),
        capacity_bits=np.array([[np.inf] * 4, [8 * 4, np.inf, np.inf, 8 * 12]]),
        axis_size=np.array([4]),
        axis_allowed=np.array([[False, False, True, False, False, False, False, False]]),
    )
    temporal = np.ones((6, 2, 8), dtype=np.int64)
    spatial = np.ones((6, 1, 8), dtype=np.int64)
    rank = np.tile(np.arange(8), (6, 2, 1))
    temporal[:, 0, [2, 3]] = 4
    temporal[1, 1, [2, 3]] = [2, 4]  # eight weights, room for four
    temporal[2, 1, 4] = 10  # 1 + 10 + 10 words, room for twelve
    spatial[3, 0, 2] = 5
    spatial[4, 0, 3] = 2  # C may not run along the axis
    temporal[5, 0, 2] = 3
    valid = compare(batch, tables, MappingArrays(temporal, rank, spatial))
    assert valid.tolist() == [True, False, False, False, False, False]


@pytest.mark.parametrize("size", [0, 1, 129])
def test_every_size_of_a_batch(batch, size):
    tables, mappings = drawn(31, size)
    compare(batch, tables, mappings)


def test_large_bounds_stay_exact(batch):
    """Odd products just below 2^52 have no float32; bounds above 2^15 take 32 bits."""
    tables = dataclasses.replace(
        cases.random_tables(np.random.default_rng(2), 1, 0, (False,) * 5),
        sizes=np.ones(8, dtype=np.int64),
        capacity_bits=np.full((1, 4), np.inf),
    )
    temporal = np.array([[[1, 1, 67_108_859, 67_108_837, 1, 1, 1, 1]], [[1, 1, 67_108_865, 67_108_867, 1, 1, 1, 1]]])
    rank, spatial = np.arange(8) + 0 * temporal, np.ones((2, 0, 8), dtype=np.int64)
    mappings = batch.DeviceMappings.of(MappingArrays(temporal, rank, spatial), DEVICE)
    assert mappings.temporal.element_size() == 4
    # Counts below 2^52 are whole; what could come near 2^53 is not valid, as `count` refuses it beyond.
    wanted = count(tables, MappingArrays(temporal, rank, spatial))
    np.testing.assert_array_equal(batch.count_batch(tables, mappings).cpu().numpy()[:, 0], wanted.reads)
    assert batch.cost_batch(tables, mappings).valid.tolist() == [1, 0]


def test_bounds_that_32_bits_do_not_hold_are_an_error(batch):
    temporal = np.ones((1, 1, 8), dtype=np.int64)
    temporal[0, 0, 3] = 2**31
    mappings = MappingArrays(temporal, np.arange(8).reshape(1, 1, 8), np.ones((1, 0, 8), dtype=np.int64))
    with pytest.raises(InputError, match=r"below 2\^31 on a device, got 2147483648"):
        batch.DeviceMappings.of(mappings, DEVICE)


def test_the_kernels_want_a_cuda_device(batch, monkeypatch):
    _, mappings = drawn(3, 2)
    monkeypatch.setattr(batch.st, "INTERPRETED", False)
    with pytest.raises(InputError, match="compile for CUDA devices, got the device 'cpu'; expected 'cuda'"):
        batch.DeviceMappings.of(mappings, "cpu")


def test_problems_of_one_launch_share_a_structure(batch):
    tables, _ = drawn(3, 2)
    other = dataclasses.replace(tables, charge_drain=not tables.charge_drain)
    with pytest.raises(InputError, match="charge_drain of problem 1 differs"):
        batch.st.structure_of([tables, other])
    with pytest.raises(InputError, match="at least one layer"):
        batch.st.structure_of([])
