"""A toy accelerator and the mapping of a matrix multiplication onto it: made up for this example, measured on nothing.

It is no model of a chip and no part of NAAS; it has just what makes the search nested: an outer choice of hardware, and
for each layer an inner choice of tiles and loop orders whose best answer depends on a slice of that hardware.

A multiplication C[m, n] += A[m, k] B[k, n] runs in two nests of three loops. The outer one walks over tiles that fit in
the buffer and are fetched from DRAM; the inner one over tiles of those that the processing elements hold. An operand
stays where it is while a loop over the dimension that it lacks runs with no other loop inside, and is fetched again at
every other step. A tile may have any size, and edges are padded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coevo.search.arrays import Integers, Orders, Settings, evolve
from coevo.search.arrays.columns import Group

DRAM_PJ, MAC_PJ = 200.0, 1.0  # a word, an operation
LACKS = {"a": 1, "b": 0, "c": 2}  # the dimension (m, n, k) that an operand lacks
REGISTERS = 16  # words of C that a processing element holds
Layer = tuple[int, int, int]  # m, n, k


class Slice(NamedTuple):
    """What of an accelerator a mapping depends on: processing elements, buffer, words a cycle from DRAM."""

    elements: int
    buffer_kib: int
    words_per_cycle: int


def groups_of(layers: Sequence[Layer]) -> list[Group]:
    """The choices of a mapping: the sizes of the tiles in the buffer and in the elements, and both loop orders."""
    return [
        Integers("buffer_tile", 1, layers, shape=(3,)),
        Integers("element_tile", 1, layers, shape=(3,)),
        Orders("loops", 3, shape=(2,)),
    ]


def costs(
    columns: Mapping[str, NDArray[Any]], layers: Sequence[Layer], parts: Sequence[Slice]
) -> dict[str, NDArray[np.float64]]:
    """Energy in pJ, cycles and how far the tiles overflow (in powers of two, 0 where they fit), each [problems, n], of
    mappings of one layer and one slice a problem."""
    sizes = np.array(layers, dtype=np.float64)[:, None, :]
    elements, buffer_kib, words_per_cycle = np.array(parts, dtype=np.float64).T[:, :, None]
    tile = columns["buffer_tile"].astype(np.float64)
    small = np.minimum(tile, columns["element_tile"])
    outer, inner = np.ceil(sizes / tile), np.ceil(tile / small)
    all_outer, all_inner, all_tile, all_small = (each.prod(-1) for each in (outer, inner, tile, small))
    kept, refilled = inside(outer, columns["loops"][..., 0, :]), inside(inner, columns["loops"][..., 1, :])
    dram, buffer, held = np.zeros_like(all_outer), np.zeros_like(all_outer), np.zeros_like(all_outer)
    for operand, lacks in LACKS.items():
        words, small_words = all_tile / tile[..., lacks], all_small / small[..., lacks]
        fetches = all_outer / np.where(kept[..., lacks] == 1.0, outer[..., lacks], 1.0)
        refills = all_outer * all_inner / np.where(refilled[..., lacks] == 1.0, inner[..., lacks], 1.0)
        ways = 2.0 if operand == "c" else 1.0  # partial sums go both ways
        dram += ways * fetches * words
        buffer += ways * refills * small_words
        held += words
    macs = all_outer * all_inner * all_small
    waves = np.ceil(small[..., 0] * small[..., 1] / elements)
    cycles = np.maximum(all_outer * all_inner * small[..., 2] * waves, dram / words_per_cycle)
    buffer_pj = 6.0 * np.sqrt(buffer_kib / 128.0)
    over_buffer = np.log2(np.maximum(held * 2.0 / (buffer_kib * 1024.0), 1.0))  # words of two bytes
    over_registers = np.log2(np.maximum(small[..., 0] * small[..., 1] / (elements * REGISTERS), 1.0))
    return {
        "energy_pj": dram * DRAM_PJ + buffer * buffer_pj + macs * MAC_PJ,
        "cycles": cycles,
        "overflow": over_buffer + over_registers,
    }


def inside(trips: NDArray[np.float64], loops: NDArray[np.int64]) -> NDArray[np.float64]:
    """[..., dimension]: how often the loops inside that dimension's run, where `loops[..., place]` is the dimension at
    a place, the outermost first. An operand that lacks a dimension stays while its loop runs where this is 1."""
    at_place = np.take_along_axis(trips, loops, axis=-1)
    within = np.stack([at_place[..., 1] * at_place[..., 2], at_place[..., 2], np.ones_like(at_place[..., 2])], axis=-1)
    found = np.empty_like(within)
    np.put_along_axis(found, loops, within, axis=-1)
    return found


def best_mappings(
    layers: Sequence[Layer], parts: Sequence[Slice], seeds: Sequence[int], evaluations: int, population: int = 32
) -> list[dict[str, Any]]:
    """The mapping of each layer on its slice with the least energy x delay that was found, searched side by side."""

    def fitness(columns: dict[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        found = costs(columns, layers, parts)
        return found["energy_pj"] * found["cycles"], found["overflow"]

    settings = Settings(population=population)
    found = evolve(groups_of(layers), fitness, seeds=seeds, evaluations=evaluations, settings=settings)
    best = costs({name: column[:, :1] for name, column in found.columns.items()}, layers, parts)
    return [
        {"mapping": found.as_json(p)["best"], **{name: float(values[p, 0]) for name, values in best.items()}}
        for p in range(len(layers))
    ]
