"""The nested example: its closed form counts what walking through the loops counts, and its outcomes do not depend on
who searches which mapping."""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path

import numpy as np
import pytest

NESTED = Path(__file__).resolve().parents[2] / "experiments" / "nested"
sys.path.insert(0, str(NESTED))

import co_search  # noqa: E402
import toy_accelerator as accelerator  # noqa: E402

from coevo.search.canonical import stream  # noqa: E402
from coevo.testing import check_evaluator, check_space  # noqa: E402


def walk(trips, order, lacks):
    """How often an operand is fetched in three nested loops that each keep what they already hold."""
    fetches, held = 0, None
    for steps in itertools.product(*(range(trips[dimension]) for dimension in order)):
        at = dict(zip(order, steps, strict=True))
        needed = tuple(at[dimension] for dimension in range(3) if dimension != lacks)
        fetches += needed != held
        held = needed
    return fetches


@pytest.mark.parametrize("seed", range(40))
def test_the_closed_form_counts_what_the_loops_fetch(seed):
    rng = random.Random(seed)
    layer = tuple(rng.randint(1, 12) for _ in range(3))
    tile = [rng.randint(1, size) for size in layer]
    element = [rng.randint(1, size) for size in layer]
    small = [min(pair) for pair in zip(tile, element, strict=True)]
    loops = [rng.sample(range(3), 3) for _ in range(2)]
    part = accelerator.Slice(rng.choice((1, 4, 16)), 1, rng.choice((1, 4)))
    outer = [-(-size // edge) for size, edge in zip(layer, tile, strict=True)]
    inner = [-(-edge // step) for edge, step in zip(tile, small, strict=True)]
    dram = buffer = 0
    for lacks, ways in ((1, 1), (0, 1), (2, 2)):
        words, few = (np.prod([e for d, e in enumerate(edges) if d != lacks]) for edges in (tile, small))
        dram += ways * words * walk(outer, loops[0], lacks)
        buffer += ways * few * walk(inner, loops[1], lacks) * np.prod(outer)
    steps = np.prod(outer) * np.prod(inner)
    cycles = max(steps * small[2] * -(-small[0] * small[1] // part.elements), dram / part.words_per_cycle)
    energy = dram * accelerator.DRAM_PJ + buffer * 6.0 * (1 / 128) ** 0.5 + steps * np.prod(small) * accelerator.MAC_PJ

    columns = {
        "buffer_tile": np.array([[tile]]),
        "element_tile": np.array([[element]]),
        "loops": np.array([[loops]]),
    }
    found = accelerator.costs(columns, [layer], [part])
    assert found["cycles"].tolist() == [[cycles]]
    assert found["energy_pj"] == pytest.approx(energy)
    words = tile[0] * tile[2] + tile[2] * tile[1] + tile[0] * tile[1]
    fits = words * 2 <= 1024 and small[0] * small[1] <= 16 * part.elements
    assert (found["overflow"][0, 0] == 0) == fits


def test_a_mapping_does_not_depend_on_what_is_searched_beside_it():
    layers, part = list(dict.fromkeys(co_search.NETWORK)), accelerator.Slice(64, 32, 4)
    together = accelerator.best_mappings(layers, [part] * len(layers), range(len(layers)), 96)
    for seed, layer in enumerate(layers):
        assert accelerator.best_mappings([layer], [part], [seed], 96) == [together[seed]]


def test_the_space_and_the_evaluator_keep_their_contracts():
    problem = co_search.problem(inner=64)
    check_space(problem.space, samples=40)
    check_evaluator(problem.stages[0].evaluator, problem.space, samples=3, relative_tolerance=0.0)


def test_outcomes_do_not_depend_on_who_searched_which_mapping():
    reference, _ = co_search.search(40, 256, workers=1, memo=False)
    assert all(metrics["latency_ms"] > 0 and metrics["energy_mj"] > 0 for _, _, metrics in reference)
    for workers in (1, 4):
        found, took = co_search.search(40, 256, workers)
        assert found == reference and took["failed"] == 0
        assert took["hits"] + took["inner_searches"] == 40 * len(co_search.NETWORK)
        assert took["hits"] > took["inner_searches"] > 0


def test_inner_evolution_beats_chance_on_this_toy():
    part, layers = accelerator.Slice(64, 32, 4), [(196, 192, 192)] * 12
    seeds = [stream("toy", n).below(2**31) for n in range(12)]
    evolved = accelerator.best_mappings(layers, [part] * 12, seeds, 320)
    drawn = accelerator.best_mappings(layers, [part] * 12, seeds, 320, population=320)
    assert all(each["overflow"] == 0 for each in evolved)
    worse = [
        d["overflow"] > 0 or d["energy_pj"] * d["cycles"] > e["energy_pj"] * e["cycles"]
        for d, e in zip(drawn, evolved, strict=True)
    ]
    assert sum(worse) >= 10
