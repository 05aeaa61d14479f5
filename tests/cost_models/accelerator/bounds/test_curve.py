"""The one-buffer curve: exact for one buffer, falling with its size, and below every mapping of deeper machines."""

import itertools

import numpy as np
import pytest

from coevo.cost_models.accelerator import Assumptions, Layer, convolution, tables_of
from coevo.cost_models.accelerator.bounds.curve import (
    buffer_bits,
    outermost_cycles,
    outermost_energy_pj,
    traffic_curve,
)
from coevo.hardware.accelerators import Accelerator, Memory
from coevo.kernels.mapping_cost import MappingArrays, cost, count, excess_bits
from coevo.kernels.mapping_cost.footprint import footprint
from tests.cost_models.accelerator.bounds.instances import ALL, SWITCHES, random_accelerator, random_mappings


def one_buffer(size_bytes):
    return Accelerator("one buffer", 100, (8, 8, 8), 0.0, (Memory("DRAM", ALL), Memory("buffer", ALL, size_bytes)))


def test_the_curve_is_the_least_over_all_tiles_and_orders():
    """Every tile of every loop under every order, by the reference."""
    layer = Layer("l", {"K": 3, "C": 4, "Y": 5, "R": 3}, stride=(2, 1))
    tables = tables_of(layer, one_buffer(None), Assumptions())
    loops = [2, 3, 4, 6]
    tiles = np.array(list(itertools.product(*(range(1, int(tables.sizes[loop]) + 1) for loop in loops))))
    temporal = np.ones((len(tiles), 2, 8), dtype=np.int64)
    temporal[:, 1, loops] = tiles
    temporal[:, 0] = -(-tables.sizes // temporal[:, 1])
    sizes = np.array([24.0, 40.0, 64.0, 100.0, 160.0, 300.0, 1000.0, np.inf])
    least = np.full(len(sizes), np.inf)
    for order in itertools.permutations(range(4)):
        rank = np.tile(np.arange(8), (len(tiles), 2, 1))
        rank[:, :, loops] = order
        rank[:, :, [0, 1, 5, 7]] = [4, 5, 6, 7]
        counts = count(tables, MappingArrays(temporal, rank, np.ones((len(tiles), 0, 8), dtype=np.int64)))
        words = counts.reads[:, 0].sum(axis=1) + 2.0 * counts.writes[:, 0].sum(axis=1)
        held = counts.tile_words[:, 1].sum(axis=1) * 8
        for place, size in enumerate(sizes):
            least[place] = min(least[place], words[held <= size].min(initial=np.inf))
    found = traffic_curve(tables, sizes, np.array([1.0, 1.0, 2.0, 1.0]))
    np.testing.assert_array_equal(found, least)
    assert (np.diff(found) <= 0).all() and len(set(found)) > 4


def test_where_everything_fits_every_word_moves_once():
    tables = tables_of(convolution("conv", (14, 14), 16, 24, 3, 1, 1), one_buffer(None), Assumptions())
    words = [float(footprint(tables, tensor, tables.sizes)) for tensor in range(3)]
    assert traffic_curve(tables, np.array([np.inf]), np.array([1.0, 3.0, 5.0, 7.0]))[0] == (
        words[0] + 3 * words[1] + 5 * words[2]
    )
    assert buffer_bits(tables) == np.inf


@pytest.mark.parametrize("assumptions", SWITCHES[::3], ids=lambda a: "".join(str(int(v)) for v in a.as_dict().values()))
def test_bounds_lie_below_every_mapping_that_fits(assumptions):
    random = np.random.default_rng(sum(2**i * on for i, on in enumerate(assumptions.as_dict().values())))
    met = 0
    for _ in range(12):
        accelerator = random_accelerator(random, sized=True)
        sizes = random.integers(1, 6, 8).tolist()
        stride, dilation = (tuple(random.integers(1, 4, 2).tolist()) for _ in range(2))
        layer = Layer("l", dict(zip("NGKCYXRS", sizes, strict=True)), stride, dilation)
        tables = tables_of(layer, accelerator, assumptions)
        mappings = random_mappings(random, accelerator, sizes, 400)
        counts = count(tables, mappings)
        costs = cost(tables, counts)
        fits = ~excess_bits(tables, counts).any(axis=(1, 2))
        if fits.any():
            met += 1
            assert outermost_energy_pj(tables) <= costs.memory_pj[fits, 0].sum(axis=1).min() * (1 + 1e-12)
            assert outermost_cycles(tables) <= costs.cycles[fits].min() * (1 + 1e-12)
    assert met
