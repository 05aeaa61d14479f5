"""The tree against every mapping there is: all chains of the declared space, not the minimal ones alone, under all
orders of the loops, judged by the reference; over all switches."""

import dataclasses
import itertools

import numpy as np
import pytest

from coevo.cost_models.accelerator import Assumptions, Layer, convolution, tables_of
from coevo.cost_models.accelerator.bounds.falling import falling_targets
from coevo.hardware.accelerators import Axis, Network
from coevo.kernels.mapping_cost import MappingArrays, axis_excess, cost, count, excess_bits
from coevo.spaces.naas.mapper.branch_and_bound import Tree
from coevo.spaces.naas.mapper.constraints import Bound
from coevo.spaces.naas.mapper.encoding import decode, gene_count
from coevo.spaces.naas.mapper.evolution import evolve
from coevo.spaces.naas.mapper.goals import GOALS, goal_value, judge
from tests.cost_models.accelerator.bounds.instances import SWITCHES, random_accelerator


def chains_of(size, levels, axes_taken, axis_size, axis_level):
    """Every chain of the declared space, by its definition: (bound - 1) * inside < size, the outermost rounded up."""
    slots = []  # from the innermost outwards
    for level in range(levels - 1, -1, -1):
        slots += [levels + axis for axis in axes_taken if axis_level[axis] == level]
        slots.append(level)
    chains = [([1] * (levels + len(axis_size)), 1)]
    for slot in slots:
        longer = []
        for chain, inside in chains:
            if slot == 0:
                bounds = [-(-size // inside)]
            else:
                limit = size if slot < levels else int(axis_size[slot - levels])
                bounds = [bound for bound in range(1, limit + 1) if (bound - 1) * inside < size]
            for bound in bounds:
                longer.append(([*chain[:slot], bound, *chain[slot + 1 :]], inside * bound))
        chains = longer
    return np.array([chain for chain, _ in chains])


def every_mapping(tables):
    """All mappings, loops of size 1 left out."""
    levels, axes = tables.levels, tables.axes
    loops = [loop for loop in range(8) if tables.sizes[loop] > 1]
    lists = [
        chains_of(
            int(tables.sizes[loop]), levels, [axis for axis in range(axes) if tables.axis_allowed[axis, loop]],
            tables.axis_size, tables.axis_level,
        )
        for loop in loops
    ]  # fmt: skip
    rows = np.array(list(itertools.product(*(range(len(chains)) for chains in lists))))
    temporal = np.ones((len(rows), levels, 8), dtype=np.int64)
    spatial = np.ones((len(rows), axes, 8), dtype=np.int64)
    for place, loop in enumerate(loops):
        temporal[:, :, loop] = lists[place][rows[:, place], :levels]
        spatial[:, :, loop] = lists[place][rows[:, place], levels:]
    bare = MappingArrays(temporal, np.tile(np.arange(8), (len(rows), levels, 1)), spatial)
    fits = ~(excess_bits(tables, count(tables, bare)).any(axis=(1, 2)) | axis_excess(tables, bare).any(axis=1))
    temporal, spatial = temporal[fits], spatial[fits]
    ranks = []
    for orders in itertools.product(itertools.permutations(range(len(loops))), repeat=levels - 1):
        rank = np.tile(np.arange(8), (levels, 1))
        for level, order in enumerate(orders):
            rank[level, loops] = order
            rank[level, [loop for loop in range(8) if loop not in loops]] = range(len(loops), 8)
        ranks.append(rank)
    for rank in ranks:
        yield MappingArrays(temporal, np.broadcast_to(rank, temporal.shape).copy(), spatial)


def least_of_all(tables, padding=True):
    """The least of each goal over all mappings, or those without padding; None where nothing fits."""
    least = dict.fromkeys(GOALS, np.inf)
    for mappings in every_mapping(tables):
        if not padding:
            even = (mappings.temporal.prod(axis=1) * mappings.spatial.prod(axis=1) == tables.sizes).all(axis=1)
            mappings = MappingArrays(mappings.temporal[even], mappings.rank[even], mappings.spatial[even])
        if not len(mappings):
            return None
        costs = cost(tables, count(tables, mappings))
        for goal in GOALS:
            least[goal] = min(least[goal], float(goal_value(goal, costs.energy_pj, costs.cycles).min()))
    return least


SHAPES = [
    {"Y": 3, "R": 2, "K": 2}, {"X": 2, "S": 3, "C": 2}, {"K": 3, "C": 2, "N": 2}, {"G": 2, "K": 2, "Y": 3},
    {"Y": 2, "R": 3, "C": 2},
]  # fmt: skip


def with_dear_registers(accelerator):
    """Outputs are kept everywhere, what lies between is free, and reading a sum in the registers is dear."""
    free = {"keeps": ("weights", "outputs"), "write_pj_per_bit": (0.0,) * 3}
    outer, buffer, registers = accelerator.memories
    rows = Network((Axis("rows", 4, ("C", "R", "S", "N")),))
    buffer = dataclasses.replace(buffer, network=rows, read_pj_per_bit=(0.1,) * 3, **free)
    registers = dataclasses.replace(registers, read_pj_per_bit=(9.0,) * 3, **free)
    return dataclasses.replace(accelerator, memories=(outer, buffer, registers))


def instance(random, shape, assumptions, falling):
    """Tables of which something fits, and the least over all mappings."""
    for _ in range(100):
        accelerator = random_accelerator(random, sized=True)
        if falling:
            accelerator = with_dear_registers(accelerator)
        stride, dilation = (tuple(random.integers(1, 3, 2).tolist()) for _ in range(2))
        tables = tables_of(Layer("l", shape, stride, dilation), accelerator, assumptions)
        if bool(falling_targets(tables)) == falling:
            least = least_of_all(tables)
            if least is not None:
                return tables, least
    raise AssertionError("none of 100 accelerators is of that kind")


@pytest.mark.parametrize("assumptions", SWITCHES, ids=lambda a: "".join(str(int(v)) for v in a.as_dict().values()))
def test_the_tree_finds_the_least_of_all_mappings(assumptions):
    number = sum(2**i * on for i, on in enumerate(assumptions.as_dict().values()))
    tables, least = instance(np.random.default_rng(100 + number), SHAPES[number % 5], assumptions, falling=False)
    for goal in GOALS:
        found = Tree(tables, goal).run(10_000)
        assert judge(tables, found.best, goal).overflow[0] == 0.0
        assert found.closed
        assert found.value == pytest.approx(least[goal], rel=1e-9)
        assert found.bound == found.value


def test_without_padding_it_is_the_least_of_the_mappings_that_have_none():
    dearer = 0
    for seed, shape in enumerate([{"K": 6, "C": 3}, {"K": 5, "Y": 3}, {"C": 6, "R": 2}, {"N": 3, "K": 4}]):
        tables, free = instance(np.random.default_rng(seed), shape, SWITCHES[seed], falling=False)
        least = least_of_all(tables, padding=False)
        for goal in GOALS:
            found = Tree(tables, goal, constraints=Bound(None, {}, padding=False)).run(10_000)
            if least is None:
                assert found.best is None
                continue
            best = found.best
            assert (best.temporal.prod(axis=1) * best.spatial.prod(axis=1) == tables.sizes).all()
            assert found.closed
            assert found.value == pytest.approx(least[goal], rel=1e-9)
            dearer += least[goal] > free[goal] * (1 + 1e-9)
    assert dearer  # padding is of use somewhere


@pytest.mark.parametrize("number", range(4))
def test_bounds_hold_where_costs_can_fall(number):
    """Free networks and dear registers: the optimum need not be proven, but no bound may lie above it."""
    switches = [assumptions for assumptions in SWITCHES if not assumptions.charge_drain][5 * number]
    tables, least = instance(np.random.default_rng(number), SHAPES[number % 5], switches, falling=True)
    for goal in GOALS:
        found = Tree(tables, goal).run(10_000)
        assert found.bound <= least[goal] * (1 + 1e-9)
        assert found.value >= least[goal] * (1 - 1e-9)
        assert not found.closed or found.value == pytest.approx(least[goal], rel=1e-9)


def test_a_tree_that_ends_early_has_bounds_that_rise_to_the_optimum(row_stationary):
    tables = tables_of(convolution("conv", (14, 14), 24, 40, 3, 1, 1), row_stationary, Assumptions())
    tree, bounds, values = Tree(tables, "edp"), [], []
    for _ in range(60):
        found = tree.run(10)
        bounds.append(found.bound)
        values.append(found.value)
    optimum = tree.run(100_000)
    assert optimum.closed and optimum.bound == optimum.value
    assert len(set(bounds)) > 3
    assert bounds == sorted(bounds) and values == sorted(values, reverse=True)
    assert bounds[-1] <= optimum.value <= values[-1]


def test_nothing_random_is_better_than_the_optimum(accelerator):
    tables = tables_of(convolution("conv", (14, 14), 24, 40, 3, 2, 1), accelerator, Assumptions())
    optimum = Tree(tables, "edp").run(100_000)
    assert optimum.closed
    genes = np.random.default_rng(0).random((4000, gene_count(tables, "importance")))
    judged = judge(tables, decode(tables, genes), "edp")
    assert (judged.overflow == 0.0).all()
    assert optimum.value <= judged.value.min()
    assert optimum.value <= evolve(tables, np.random.default_rng(1), 3000).value * (1 + 1e-12)
