"""Sums of products equal the closed form for mappings of their class, and never undercut it elsewhere."""

import itertools

import numpy as np
import pytest

from coevo.cost_models.accelerator import Assumptions, Layer, tables_of
from coevo.cost_models.accelerator.bounds.chain_groups import chain_groups, features_of
from coevo.cost_models.accelerator.bounds.counting import sums_of
from coevo.cost_models.accelerator.bounds.falling import falling_targets
from coevo.cost_models.accelerator.bounds.order_classes import GROUPS, NOTHING, order_classes
from coevo.kernels.mapping_cost import MappingArrays, axis_excess, cost, count, excess_bits, uncovered
from coevo.kernels.mapping_cost.tables import INPUTS
from tests.cost_models.accelerator.bounds.instances import SWITCHES, random_accelerator


def draw(random, tables, order, groups, batch):
    """Random chains of the class: (mappings, chosen row of every group [B, groups])."""
    rows = []
    for group in groups:
        forced = order.single[:, list(group.loops)].T
        allowed = np.flatnonzero(~(forced & (group.bounds[:, :, : tables.levels] > 1)).any(axis=(1, 2)))
        rows.append(random.choice(allowed, batch))
    temporal = np.ones((batch, tables.levels, 8), dtype=np.int64)
    spatial = np.ones((batch, tables.axes, 8), dtype=np.int64)
    for group, chosen in zip(groups, rows, strict=True):
        for position, loop in enumerate(group.loops):
            temporal[:, :, loop] = group.bounds[chosen, position, : tables.levels]
            spatial[:, :, loop] = group.bounds[chosen, position, tables.levels :]
    rank = np.broadcast_to(order.ranks(), temporal.shape).copy()
    return MappingArrays(temporal, rank, spatial), np.stack(rows, axis=1)


def evaluate(tables, sums, groups, rows):
    logs = sum(
        features_of(tables, group, sums.features)[rows[:, place]] @ sums.matrices[place][: sums.widths[place]]
        for place, group in enumerate(groups)
    )
    products = np.exp(logs)
    targets = products @ sums.signed.T
    cycles = targets[:, 1:].max(axis=1) + products @ sums.ramp
    return targets[:, 0] + sums.leakage * cycles, cycles, products @ sums.room.T


def is_exact(mappings, order, sliding):
    """Where every bound above 1 that the class counts on is there."""
    good = np.ones(len(mappings), dtype=bool)
    for level, choice in enumerate(order.choices):
        bounds = mappings.temporal[:, level]
        if choice.stays == NOTHING:
            continue
        group = GROUPS[choice.stays]
        good &= bounds[:, choice.order()[0]] > 1
        if not choice.only:  # something else moves the tensor that stays
            rest = [loop for loop in range(8) if loop not in group]
            good &= (bounds[:, rest] > 1).any(axis=1)
            if sliding and choice.stays == INPUTS:
                good &= bounds[:, choice.first] > 1
    return good


@pytest.mark.parametrize("assumptions", SWITCHES, ids=lambda a: "".join(str(int(v)) for v in a.as_dict().values()))
def test_sums_equal_the_closed_form(assumptions):
    random = np.random.default_rng(17 + sum(2**i * on for i, on in enumerate(assumptions.as_dict().values())))
    exact = 0
    for _ in range(3):
        accelerator = random_accelerator(random, sized=True)
        sizes = random.integers(1, 9, 8).tolist()
        stride, dilation = (tuple(random.integers(1, 4, 2).tolist()) for _ in range(2))
        tables = tables_of(
            Layer("l", dict(zip("NGKCYXRS", sizes, strict=True)), stride, dilation), accelerator, assumptions
        )
        groups = chain_groups(tables)
        for order in order_classes(tables):
            mappings, rows = draw(random, tables, order, groups, 40)
            assert not uncovered(tables, mappings).any()
            sums = sums_of(tables, order)
            energy, cycles, room = evaluate(tables, sums, groups, rows)
            counts = count(tables, mappings)
            costs = cost(tables, counts)
            falling = falling_targets(tables)
            steady = [not falling or (not tables.leakage_pj_per_cycle and falling.isdisjoint({("energy", 0)})),
                      all(kind == "energy" for kind, _ in falling)]  # fmt: skip
            within = ~axis_excess(tables, mappings).any(axis=1)
            same = is_exact(mappings, order, tables.sliding_window)
            for value, true, holds in zip((energy, cycles), (costs.energy_pj, costs.cycles), steady, strict=True):
                if holds:
                    assert (value >= true * (1 - 1e-9))[within].all()
                    np.testing.assert_allclose(value[same], true[same], rtol=1e-9)
                assert (value[same] <= true[same] * (1 + 1e-9)).all()
            exact += int(same.sum()) * all(steady)
            fits = ~(excess_bits(tables, counts).any(axis=(1, 2)) | ~within)
            assert ((room <= 1 + 1e-9).all(axis=1) == fits).all()
            assert (sums.weight > 0).all() and (sums.positive >= 0).all()
    assert exact > 20


def test_every_order_has_a_class_that_costs_no_more():
    """All orders of the loops at the two outer memories against the least of the classes."""
    random = np.random.default_rng(5)
    for switches in itertools.product([False, True], repeat=2):
        assumptions = Assumptions(sliding_window=switches[0], halo_merge=switches[1])
        for _ in range(3):
            accelerator = random_accelerator(random)
            layer = Layer("l", dict(zip("NGKCYXRS", (3, 1, 4, 5, 6, 1, 3, 1), strict=True)))
            tables = tables_of(layer, accelerator, assumptions)
            moving = [0, 2, 3, 4, 6]
            orders = np.array(list(itertools.permutations(range(5))))
            pairs = np.array(list(itertools.product(range(len(orders)), repeat=2)))
            pairs = pairs[random.choice(len(pairs), 3000, replace=False)]
            temporal = np.ones((1, 3, 8), dtype=np.int64)
            temporal[0, :, moving] = random.integers(1, 4, (5, 3))
            temporal[0, 0] = -(-tables.sizes // temporal[0, 1:].prod(axis=0))
            rank = np.tile(np.arange(8), (len(pairs), 3, 1))
            for level in range(2):
                rank[:, level][:, moving] = 0
                rank[:, level][:, moving] = orders[pairs[:, level]]
                others = [loop for loop in range(8) if loop not in moving]
                rank[:, level][:, others] = [5, 6, 7]
            spatial = np.ones((len(pairs), tables.axes, 8), dtype=np.int64)
            every = cost(tables, count(tables, MappingArrays(np.repeat(temporal, len(pairs), 0), rank, spatial)))
            classes = order_classes(tables)
            ranks = np.stack([order.ranks() for order in classes])
            least = cost(
                tables,
                count(
                    tables,
                    MappingArrays(np.repeat(temporal, len(classes), 0), ranks, spatial[: len(classes)]),
                ),
            )
            assert least.energy_pj.min() <= every.energy_pj.min() * (1 + 1e-12)
            assert least.cycles.min() <= every.cycles.min() * (1 + 1e-12)
