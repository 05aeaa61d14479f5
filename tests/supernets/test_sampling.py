"""Subnet samplers draw what they say they draw."""

from __future__ import annotations

import numpy as np
import pytest

from coevo.errors import InputError
from coevo.supernets import PlainSampler, RestrictedSampler, ShrinkingSampler
from coevo.supernets.sampling import Stages

CHOICES = [range(1, 5)] * 6 + [range(1, 9)]


def chain(sampler, steps, seed=0):
    rng, gene = np.random.default_rng(seed), sampler.first()
    genes = [gene]
    for step in range(steps):
        gene = sampler.draw(rng, gene, step / steps)
        genes.append(gene)
    return np.array(genes)


SAMPLERS = [PlainSampler(CHOICES), RestrictedSampler(CHOICES, 3), ShrinkingSampler(CHOICES, depth=-1, changes=3)]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_every_gene_fits_and_every_choice_comes(sampler):
    genes = chain(sampler, 3000)
    assert tuple(genes[0]) == (4,) * 6 + (8,)
    for position, options in enumerate(CHOICES):
        assert set(genes[:, position].tolist()) == set(options)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_a_draw_follows_from_generator_gene_and_progress(sampler):
    draws = [sampler.draw(np.random.default_rng(3), (1, 2, 3, 4, 1, 2, 5), 0.4) for _ in range(2)]
    assert draws[0] == draws[1]
    assert all(type(value) is int for value in draws[0])


def test_plain_draws_are_uniform():
    genes = chain(SAMPLERS[0], 8000)[1:]
    for position, options in enumerate(CHOICES):
        share = np.bincount(genes[:, position], minlength=options[-1] + 1)[1:] / len(genes)
        assert np.abs(share - 1 / len(options)).max() < 0.025


def test_restricted_draws_change_a_few_positions():
    genes = chain(SAMPLERS[1], 2000)
    changed = (genes[1:] != genes[:-1]).sum(axis=1)
    assert changed.max() == 3 and changed.mean() > 1.5
    assert (genes[1:] != genes[:-1]).any(axis=0).all()


def test_more_changes_than_positions_draw_all_of_them():
    assert RestrictedSampler([range(3)] * 2, changes=7).changes == 2


def test_shrinking_draws_open_the_depth_from_the_deep_end():
    # The artifact's rule: from index round((D - 1) (1 - (c + 1) / C)) on, with D = 8 depths and C = 4 chunks.
    assert [Stages().lowest(8, progress) for progress in (0, 0.24, 0.25, 0.5, 0.75, 0.99)] == [5, 5, 4, 2, 0, 0]
    assert Stages(chunks=3, stages=40).lowest(8, 2 / 40) == 0  # as shipped: all depths are open after 2 of 40 stages
    genes = chain(SAMPLERS[2], 4000)
    assert genes[:1000, -1].min() == 6
    assert genes[1000:2000, -1].min() == 5
    assert genes[3000:, -1].min() == 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PlainSampler([]), "at least one position"),
        (lambda: PlainSampler([(1, 2), ()]), "position 1: expected ascending distinct choices"),
        (lambda: PlainSampler([(2, 1)]), "position 0"),
        (lambda: PlainSampler([(1, 1)]), "position 0"),
        (lambda: RestrictedSampler(CHOICES, 0), "changes: expected at least 1"),
        (lambda: ShrinkingSampler(CHOICES, depth=7), "depth: expected a position of the gene"),
    ],
)
def test_wrong_choices_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
