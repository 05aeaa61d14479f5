"""Counts are whole numbers, exactly, up to 2^53; beyond that there is an error, never a rounded or wrapped number."""

import numpy as np
import pytest

from coevo.cost_models.accelerator import Assumptions, Layer, tables_of
from coevo.errors import InputError
from coevo.hardware.accelerators import Accelerator, Memory
from coevo.kernels.mapping_cost import MappingArrays, count

ONE_MEMORY = Accelerator("one", 100, (8, 8, 8), 1.0, (Memory("DRAM", ("weights", "inputs", "outputs")),))


def nest(bounds):
    """One memory with all loops, weights stationary last."""
    temporal = np.array(bounds, dtype=np.int64).reshape(1, 1, 8)
    return MappingArrays(temporal, np.arange(8).reshape(1, 1, 8), np.ones((1, 0, 8), dtype=np.int64))


@pytest.mark.parametrize("prime", [3, 94_906_249, 6_361_069])
def test_counts_near_the_limit_are_exact(prime):
    """Odd products just below 2^53 have no float32, and lose their last bit in any sum that is too large."""
    other = (2**53 - 1) // prime
    other -= 1 - other % 2
    tables = tables_of(Layer("small", {}), ONE_MEMORY, Assumptions())
    counts = count(tables, nest([1, 1, prime, other, 1, 1, 1, 1]))
    macs = prime * other
    assert 2**53 - 2 * prime <= macs < 2**53
    assert int(counts.macs[0]) == macs == int(float(counts.macs[0]))
    assert counts.reads[0, 0].tolist() == [macs, macs, macs - prime]


@pytest.mark.parametrize("bounds", [[2**27, 2**26, 1], [2**31, 2**31, 2**31], [2**21, 2**21, 2**22]])
def test_counts_beyond_the_limit_are_an_error(bounds):
    tables = tables_of(Layer("small", {}), ONE_MEMORY, Assumptions())
    with pytest.raises(InputError, match=r"mapping 0: counts must stay below 2\^53"):
        count(tables, nest([*bounds, 1, 1, 1, 1, 1]))


def test_rows_that_a_stride_skips_count_towards_the_limit():
    """With holes a tile can have more words than multiply-accumulates: 2^25 x 2^25 outputs 3 x 3 rows apart."""
    layer = Layer("strided", {}, stride=(3, 3))
    loops = nest([1, 1, 1, 1, 2**25, 2**25, 1, 1])
    assert count(tables_of(layer, ONE_MEMORY, Assumptions()), loops).tile_words[0, 0, 1] == 2**50
    held = count(tables_of(layer, ONE_MEMORY, Assumptions(fetch_holes=True)), loops).tile_words[0, 0, 1]
    assert held == (3 * (2**25 - 1) + 1) ** 2


def test_no_mappings_have_no_counts():
    tables = tables_of(Layer("small", {}), ONE_MEMORY, Assumptions())
    empty = MappingArrays(np.ones((0, 1, 8), int), np.zeros((0, 1, 8), int), np.ones((0, 0, 8), int))
    assert count(tables, empty).reads.shape == (0, 1, 3)
