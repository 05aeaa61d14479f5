"""Subnet samplers draw what they say they draw."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.errors import InputError, UnknownName
from coevo.supernets import (
    ExpandingSampler,
    GateCountSampler,
    PlainSampler,
    RestrictedSampler,
    ShrinkingSampler,
    Stages,
    Subnets,
    make_sampler,
)
from coevo.supernets.sampling import subsets
from coevo.supernets.sampling.catalogue import SAMPLERS

CHOICES = [range(1, 5)] * 6 + [range(1, 9)]


def chain(sampler, steps, seed=0):
    rng, gene = np.random.default_rng(seed), sampler.first()
    genes = [gene]
    for step in range(steps):
        gene = sampler.draw(rng, gene, step / steps)
        genes.append(gene)
    return np.array(genes)


def total(genes):
    return genes.sum(axis=1)


def sizes(genes):
    """Like gates: a depth of 8 keeps all six widths, shallower ones keep fewer."""
    used = np.arange(6) < np.maximum(1, np.round(6 * genes[:, -1:] / 8))
    return (genes[:, :-1] * used).sum(axis=1)


def subnets(choices=CHOICES, depth=-1, count=sizes, **settings):
    return Subnets(choices, depth, count, **settings)


def gate_count(**settings):
    return GateCountSampler([range(1, 5)] * 8, total, **settings)


NAMES = ("plain", "restricted", "gate_count", "expanding", "shrinking")


def test_the_catalogue_has_all_five():
    assert set(SAMPLERS) == set(NAMES)
    assert [type(make_sampler(name, subnets())) for name in NAMES] == [
        PlainSampler,
        RestrictedSampler,
        GateCountSampler,
        ExpandingSampler,
        ShrinkingSampler,
    ]
    made = make_sampler("shrinking", subnets(changes=3, stages=Stages(2, 5)))
    assert (made.changes, made.depth, made.stages) == (3, 6, Stages(2, 5))
    with pytest.raises(UnknownName, match=r"sampler 'shrinkin'.*Did you mean 'shrinking'"):
        make_sampler("shrinkin", subnets())


@pytest.mark.parametrize("name", NAMES)
def test_every_gene_fits_and_every_choice_comes(name):
    genes = chain(make_sampler(name, subnets(changes=3)), 3000)
    assert tuple(genes[0]) == (4,) * 6 + (8,)
    for position, options in enumerate(CHOICES):
        assert set(genes[:, position].tolist()) == set(options)


@pytest.mark.parametrize("name", NAMES)
def test_a_draw_follows_from_generator_gene_and_progress(name):
    previous = (1, 2, 3, 4, 1, 2, 5)
    draws = [make_sampler(name, subnets()).draw(np.random.default_rng(3), previous, 0.4) for _ in range(2)]
    assert draws[0] == draws[1]
    assert all(type(value) is int for value in draws[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_chain_goes_on_from_its_last_gene(name):
    def steps(sampler, gene, first, last):
        genes = []
        for step in range(first, last):
            gene = sampler.draw(np.random.default_rng([5, step]), gene, step / 60)
            genes.append(gene)
        return genes

    sampler = make_sampler(name, subnets(changes=2))
    whole = steps(sampler, sampler.first(), 0, 60)
    again = make_sampler(name, subnets(changes=2))
    assert steps(again, whole[36], 37, 60) == whole[37:]
    assert len(set(whole)) > 20


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("choices", [[(3,)], [(1, 2)], [(2,), (1, 2, 5), (7,)]], ids=str)
def test_one_choice_or_one_position(name, choices):
    sampler = make_sampler(name, subnets(choices, count=total))
    assert sampler.first() == tuple(options[-1] for options in choices)
    genes = chain(sampler, 300)
    for position, options in enumerate(choices):
        assert set(genes[:, position].tolist()) == set(options)


def test_choices_may_be_bit_masks():
    masks = subsets(4)
    assert [mask.bit_count() for mask in masks] == [1] * 4 + [2] * 6 + [3] * 4 + [1 << 2]
    assert sorted(masks) == list(range(1, 16))

    def gates(genes):
        return (genes[..., None] >> np.arange(4) & 1).sum(axis=(1, 2))

    for name in NAMES:
        sampler = make_sampler(name, subnets([masks] * 5, count=gates))
        genes = chain(sampler, 2000)
        assert sampler.first() == (15,) * 5
        assert set(genes.ravel().tolist()) == set(masks)
    opening = ExpandingSampler([masks] * 5, stages=Stages(2, 2))
    assert min(mask.bit_count() for mask in chain(opening, 400)[:200].ravel().tolist()) == 2
    assert subsets(1) == (1,)


def test_plain_draws_are_uniform():
    genes = chain(PlainSampler(CHOICES), 8000)[1:]
    for position, options in enumerate(CHOICES):
        share = np.bincount(genes[:, position], minlength=options[-1] + 1)[1:] / len(genes)
        assert np.abs(share - 1 / len(options)).max() < 0.025


def test_restricted_draws_change_a_few_positions():
    genes = chain(RestrictedSampler(CHOICES, 3), 2000)
    changed = (genes[1:] != genes[:-1]).sum(axis=1)
    assert changed.max() == 3 and changed.mean() > 1.5
    assert (genes[1:] != genes[:-1]).any(axis=0).all()


def test_more_changes_than_positions_draw_all_of_them():
    assert RestrictedSampler([range(3)] * 2, changes=7).changes == 2


def test_shrinking_draws_open_the_depth_from_the_deep_end():
    # The artifact's rule: from index round((D - 1) (1 - (c + 1) / C)) on, with D = 8 depths and C = 4 chunks.
    stages = Stages()
    reached = [stages.reached(progress) for progress in (0, 0.24, 0.25, 0.5, 0.75, 0.99)]
    assert [stages.lowest(8, chunk) for chunk in reached] == [5, 5, 4, 2, 0, 0]
    shipped = Stages(chunks=3, stages=40)
    assert shipped.lowest(8, shipped.reached(2 / 40)) == 0  # all depths are open after 2 of 40 stages, and stay so
    assert shipped.lowest(8, shipped.reached(39 / 40)) == 0
    genes = chain(ShrinkingSampler(CHOICES, depth=-1, changes=3), 4000)
    assert genes[:1000, -1].min() == 6
    assert genes[1000:2000, -1].min() == 5
    assert genes[3000:, -1].min() == 1
    assert genes[:500, :-1].min() == 1  # the widths are all open from the start


def test_expanding_draws_open_every_position_again_and_again():
    genes = chain(ExpandingSampler(CHOICES, changes=7, stages=Stages(chunks=2, stages=4)), 4000)[1:]
    # Two chunks: from index round(3 / 2) = 2 of four widths and round(7 / 2) = 4 of eight depths on, then all.
    for stage, (width, depth) in enumerate([(3, 5), (1, 1), (3, 5), (1, 1)]):
        part = genes[1000 * stage : 1000 * (stage + 1)]
        assert (part[:, :-1].min(axis=0) == width).all()
        assert part[:, -1].min() == depth
        assert (part.max(axis=0) == genes.max(axis=0)).all()


@pytest.mark.parametrize("direction", ["top_down", "bottom_up"])
@pytest.mark.parametrize("reach", ["same", "expand"])
@pytest.mark.parametrize("edges", ["interval", "population"])
def test_gate_counts_lie_in_the_chunk_of_the_stage(direction, reach, edges):
    sampler = gate_count(direction=direction, reach=reach, edges=edges, attempts=20000)
    assert sampler.edges[0] == 8 and sampler.edges[-1] == 32
    assert list(sampler.edges) == sorted(sampler.edges)
    if edges == "interval":
        assert sampler.edges == (8, 14, 20, 26, 32)
    order = sampler.edges[::-1] if direction == "top_down" else sampler.edges
    sizes = chain(sampler, 400)[1:].sum(axis=1)
    for stage in range(4):
        bounds = sorted((order[0] if reach == "expand" else order[stage], order[stage + 1]))
        part = sizes[100 * stage : 100 * (stage + 1)]
        assert bounds[0] <= part.min() and part.max() <= bounds[1]
        assert sampler.chunk(stage / 4) == tuple(bounds)


def test_chunks_of_equal_population_are_equally_frequent():
    positions = [range(0, 1000)] * 4  # so many sizes that ties do not count
    sampler = GateCountSampler(positions, total, Stages(5, 5), edges="population", edge_draws=20000)
    sizes = chain(PlainSampler(positions), 20000, seed=8)[1:].sum(axis=1)
    share = np.histogram(sizes, bins=sampler.edges)[0] / len(sizes)
    assert np.abs(share - 0.2).max() < 0.015
    equal = GateCountSampler(positions, total, Stages(5, 5), edges="interval")
    assert np.histogram(sizes, bins=equal.edges)[0].min() / len(sizes) < 0.05
    again = GateCountSampler(positions, total, Stages(5, 5), edges="population", edge_draws=20000)
    assert again.edges == sampler.edges


def test_gate_count_chunks_come_round_again():
    sampler = gate_count(stages=Stages(chunks=2, stages=4))
    assert sampler.chunk(0) == sampler.chunk(0.5) != sampler.chunk(0.25) == sampler.chunk(0.75)


def test_a_chunk_that_nothing_fits_gives_the_nearest_gene():
    # Sizes 200, 300 .. 800, but chunks of 60: most are empty.
    sampler = GateCountSampler([range(1, 5)] * 2, lumpy, Stages(10, 10), edges="interval", attempts=2000)
    for chunk in range(10):
        lowest, highest = sampler.chunk(chunk / 10)
        gene = sampler.draw(np.random.default_rng(chunk), sampler.first(), chunk / 10)
        found = 100 * sum(gene)
        away = max(lowest - found, found - highest, 0)
        assert away == min(max(lowest - s, s - highest, 0) for s in range(200, 900, 100))


@pytest.mark.parametrize("attempts", [1, 5, 16, 21])
def test_draws_end_after_so_many_attempts_with_the_nearest(attempts):
    drawn = []

    def counted(genes):
        drawn.extend(map(tuple, genes.tolist()))
        return lumpy(genes)

    sampler = GateCountSampler([range(1, 5)] * 3, counted, edges="interval", attempts=attempts)
    sampler.edges = (-10, -9, -8, -7, -5)  # nothing fits
    drawn.clear()
    gene = sampler.draw(np.random.default_rng(2), sampler.first(), 0.0)
    assert len(drawn) == attempts
    assert gene == next(each for each in drawn if sum(each) == min(map(sum, drawn)))


def test_the_first_gene_that_fits_is_taken():
    drawn = []

    def counted(genes):
        drawn.extend(map(tuple, genes.tolist()))
        return total(genes)

    sampler = GateCountSampler([range(1, 5)] * 8, counted)
    for seed in range(20):
        drawn.clear()
        lowest, highest = sampler.chunk(0.3)
        gene = sampler.draw(np.random.default_rng(seed), sampler.first(), 0.3)
        assert gene == next(each for each in drawn if lowest <= sum(each) <= highest)


def lumpy(genes):
    return 100 * total(genes)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PlainSampler([]), "at least one position"),
        (lambda: PlainSampler([(1, 2), ()]), "position 1: expected distinct choices"),
        (lambda: PlainSampler([(1, 1)]), "position 0: expected distinct choices"),
        (lambda: PlainSampler([(1, 1.5)]), "position 0: expected integers"),
        (lambda: RestrictedSampler(CHOICES, 0), "changes: expected at least 1"),
        (lambda: ShrinkingSampler(CHOICES, depth=7), "depth: expected a position of the gene"),
        (lambda: Stages(chunks=0), "chunks: expected at least 1, got 0"),
        (lambda: Stages(stages=0), "stages: expected at least 1, got 0"),
        (lambda: gate_count(attempts=0), "attempts: expected at least 1"),
        (lambda: gate_count(edge_draws=0), "edge_draws: expected at least 1"),
        (lambda: gate_count(direction="topdown"), "direction 'topdown'.*Did you mean 'top_down'"),
        (lambda: gate_count(reach="both"), "unknown reach 'both'"),
        (lambda: gate_count(edges="quantile"), "unknown edges 'quantile'"),
        (lambda: GateCountSampler([(4, 2)], total), "choices from the smallest subnet to the largest"),
        (lambda: subsets(0), "1 to 16 gates"),
        (lambda: subsets(17), "1 to 16 gates"),
    ],
)
def test_wrong_settings_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
