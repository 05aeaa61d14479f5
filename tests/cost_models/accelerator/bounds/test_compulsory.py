"""Compulsory bounds lie below what any mapping costs, under every assumption, and are met where a layer is tiny."""

import numpy as np
import pytest

from coevo.cost_models.accelerator import Assumptions, Layer, tables_of
from coevo.cost_models.accelerator.bounds import compulsory_bounds
from coevo.hardware.accelerators import Accelerator, Memory
from coevo.kernels.mapping_cost import MappingArrays, cost, count
from tests.cost_models.accelerator.bounds.instances import ALL, SWITCHES, random_accelerator, random_mappings


@pytest.mark.parametrize("assumptions", SWITCHES, ids=lambda a: "".join(str(int(v)) for v in a.as_dict().values()))
def test_bounds_lie_below_every_mapping(assumptions):
    random = np.random.default_rng(sum(2**i * on for i, on in enumerate(assumptions.as_dict().values())))
    for _ in range(8):
        accelerator = random_accelerator(random)
        sizes = random.integers(1, 7, 8).tolist()
        stride, dilation = (tuple(random.integers(1, 4, 2).tolist()) for _ in range(2))
        layer = Layer("l", dict(zip("NGKCYXRS", sizes, strict=True)), stride, dilation)
        tables = tables_of(layer, accelerator, assumptions)
        bounds = compulsory_bounds(tables, accelerator.clock_mhz)
        costs = cost(tables, count(tables, random_mappings(random, accelerator, sizes, 300)))
        assert bounds.energy_pj <= costs.energy_pj.min() * (1 + 1e-12)
        assert bounds.cycles <= costs.cycles.min() * (1 + 1e-12)
        assert bounds.edp_js == pytest.approx(bounds.energy_pj * 1e-12 * bounds.cycles / 1e8)


def test_bounds_are_met_where_everything_fits_at_once():
    accelerator = Accelerator(
        "one buffer", 100, (8, 8, 8), 1.0,
        (
            Memory("DRAM", ALL, read_pj_per_bit=(1, 2, 3), write_pj_per_bit=(4, 5, 6), read_bytes_per_cycle=1e-3),
            Memory("buffer", ALL, read_pj_per_bit=(0.1, 0.2, 0), write_pj_per_bit=(0.3, 0.4, 0.5)),
        ),
    )  # fmt: skip
    layer = Layer("l", {"K": 4, "C": 3, "Y": 5, "X": 6, "R": 3, "S": 3}, stride=(2, 2))
    tables = tables_of(layer, accelerator, Assumptions(charge_drain=True))
    inside = MappingArrays(
        np.stack([np.ones(8, dtype=np.int64), tables.sizes])[None],
        np.tile(np.arange(8), (1, 2, 1)),
        np.ones((1, 0, 8), dtype=np.int64),
    )
    costs = cost(tables, count(tables, inside))
    bounds = compulsory_bounds(tables, 100)
    assert (bounds.energy_pj, bounds.cycles) == pytest.approx((costs.energy_pj[0], costs.cycles[0]), rel=1e-12)
