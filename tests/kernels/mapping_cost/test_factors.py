"""Tables of factors against their definition."""

import numpy as np
import pytest

from coevo.kernels.mapping_cost.factors import factors_of, quotients, splits


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 12, 49, 56, 112, 224, 997, 4096])
def test_quotients_are_those_of_every_divisor(size):
    assert quotients(size).tolist() == sorted({-(-size // k) for k in range(1, size + 1)})


@pytest.mark.parametrize("size", [1, 2, 3, 7, 12, 56, 300])
def test_every_remainder_offers_the_smallest_tile_of_each_number_of_tiles(size):
    left, start, factor, after, whole = splits(size)
    assert left.tolist() == sorted({-(-size // k) for k in range(1, size + 1)})
    for place, remainder in enumerate(left.tolist()):
        offered = factor[start[place] : start[place + 1]].tolist()
        smallest = {}
        for tile in range(remainder, 0, -1):
            smallest[-(-remainder // tile)] = tile
        assert offered == sorted(smallest.values())
        assert left[after[start[place] : start[place + 1]]].tolist() == [-(-remainder // tile) for tile in offered]

        for at, tile in enumerate(offered):
            divisors = [smaller for smaller in offered if smaller <= tile and remainder % smaller == 0]
            assert offered[whole[start[place] + at]] == max(divisors)


def test_tables_of_a_layer_lie_one_after_the_other():
    sizes = np.array([1, 1, 64, 3, 56, 56, 7, 1])
    tables = factors_of(sizes)
    assert tables.left[tables.root].tolist() == sizes.tolist()
    for loop, size in enumerate(sizes.tolist()):
        place = tables.root[loop]
        options = slice(tables.start[place], tables.start[place + 1])
        assert tables.factor[options].tolist() == quotients(size).tolist()
        assert (tables.left[tables.after[options]] * tables.factor[options] >= size).all()
        assert tables.left[tables.after[options][-1]] == 1
