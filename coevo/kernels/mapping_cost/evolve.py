"""NAAS's evolution of encoded mappings, compiled: drawn, decoded, costed and ranked without a batch in memory.

The random numbers are the caller's, so that what is found follows from them alone. Matrix products are sums in one
fixed order, never a library's that depends on the number of cores.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled
from coevo.kernels.mapping_cost.block import cost_block
from coevo.kernels.mapping_cost.decode import decode_block, new_scratch
from coevo.kernels.mapping_cost.packed import ALONG, LANES, RANK, TEMPORAL, new_block, packed
from coevo.kernels.mapping_cost.refine import refine_mapping
from coevo.kernels.mapping_cost.tables import LOOPS, MappingArrays, Tables

Array = np.ndarray[Any, np.dtype[Any]]

GOALS = ("edp", "energy", "cycles")
JITTER = 1e-10
"""Added to the variances before they are factored: a covariance of few parents is singular."""


class Room:
    """A layer on an accelerator packed for the kernels, with the room that they work in; one thread at a time."""

    def __init__(self, tables: Tables) -> None:
        self.levels, self.axes = tables.levels, tables.axes
        self.layer, self.memory, self.axis = packed(tables)
        self.loops = np.flatnonzero(tables.sizes > 1)
        self.lane, self.first = new_scratch(self.levels, self.axes)
        self.block, self.at = new_block(self.levels, self.axes)

    def _setting(self) -> tuple[Array, Array, Array, Array]:
        return self.layer, self.memory, self.axis, self.loops

    def decode(self, points: Array, by_index: bool = False) -> MappingArrays:
        """[genes, n] in [0, 1] -> n mappings."""
        count = points.shape[1]
        temporal = np.empty((count, self.levels, LOOPS), dtype=np.int64)
        rank, spatial = np.empty_like(temporal), np.empty((count, self.axes, LOOPS), dtype=np.int64)
        write_mappings(*self._setting(), points, by_index, self.lane, self.first, self.block, self.at,
                       temporal, rank, spatial)  # fmt: skip
        return MappingArrays(temporal, rank, spatial)

    def values(self, points: Array, goal: str, by_index: bool = False) -> Array:
        """[genes, n] in [0, 1] -> [n]: pJ x cycles, pJ or cycles; infinite where a mapping does not fit."""
        values = np.empty(points.shape[1])
        judge_points(*self._setting(), points, by_index, GOALS.index(goal), self.lane, self.first, self.block,
                     self.at, values)  # fmt: skip
        return values

    def generation(
        self, mean: Array, covariance: Array, normals: Array, live: Array, parents: int, learning: float, goal: str,
        by_index: bool, points: Array,
    ) -> Array:  # fmt: skip
        """One generation from standard normal numbers [m, n] for the genes `live` [m]: their rows of `points`
        [genes, n] become the points, the other rows stay; the values [n]. `mean` [m] and `covariance` [m, m] become
        those of the next generation."""
        values = np.empty(normals.shape[1])
        factor, steps = np.empty_like(covariance), np.empty((parents, len(mean)))
        evolve_generation(*self._setting(), mean, covariance, normals, live, learning, by_index, GOALS.index(goal),
                          factor, steps, self.lane, self.first, self.block, self.at, points, values)  # fmt: skip
        return values

    def refine(self, best: MappingArrays, value: float, numbers: Array, goal: str) -> tuple[MappingArrays, Array]:
        """A batch of one and its value; uniform numbers [steps, size, 1 + MOVES * NUMBERS], size <= LANES. The best of
        it and its neighbours, and the value after each step."""
        bounds = np.concatenate([best.temporal[0], best.spatial[0]]).astype(np.float64)
        rank, history = best.rank[0].astype(np.float64), np.empty(len(numbers))
        refine_mapping(*self._setting(), numbers, GOALS.index(goal), bounds, rank, value, self.block, self.at, history)
        temporal, spatial = bounds[None, : self.levels], bounds[None, self.levels :]
        return MappingArrays(*(part.astype(np.int64) for part in (temporal, rank[None], spatial))), history


@compiled
def write_mappings(
    layer: Array, memory: Array, axis: Array, loops: Array, points: Array, by_index: bool, lane: Array, first: Array,
    k: Array, at: Array, temporal: Array, rank: Array, spatial: Array,
) -> None:  # fmt: skip
    """Decodes all columns of `points` into temporal, rank [n, L, 8] and spatial [n, A, 8]."""
    count = points.shape[1]
    for start in range(0, count, LANES):
        lanes = min(LANES, count - start)
        decode_block(layer, memory, axis, loops, points, start, lanes, by_index, lane, first, k, at)
        for i in range(lanes):
            for d in range(8):
                for level in range(len(memory)):
                    temporal[start + i, level, d] = np.int64(k[at[TEMPORAL] + 8 * level + d, i])
                    rank[start + i, level, d] = np.int64(k[at[RANK] + 8 * level + d, i])
                for a in range(len(axis)):
                    spatial[start + i, a, d] = np.int64(k[at[ALONG] + 8 * a + d, i])


@compiled
def judge_points(
    layer: Array, memory: Array, axis: Array, loops: Array, points: Array, by_index: bool, goal: int, lane: Array,
    first: Array, k: Array, at: Array, values: Array,
) -> None:  # fmt: skip
    """values [n] of all columns of `points`: what is minimised, infinite where a mapping does not fit."""
    energy, cycles, excess = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for start in range(0, len(values), LANES):
        lanes = min(LANES, len(values) - start)
        decode_block(layer, memory, axis, loops, points, start, lanes, by_index, lane, first, k, at)
        cost_block(layer, memory, axis, loops, lanes, k, at, energy, cycles, excess)
        for i in range(lanes):
            value = energy[i] * cycles[i] if goal == 0 else (energy[i] if goal == 1 else cycles[i])
            values[start + i] = np.inf if excess[i] > 0.0 else value


@compiled
def factor_covariance(covariance: Array, factor: Array) -> None:
    """The upper factor U, U^T U = covariance + JITTER; what is below the diagonal is left as it is."""
    genes = len(covariance)
    for i in range(genes):
        for j in range(i, genes):
            factor[i, j] = covariance[i, j]
        factor[i, i] += JITTER
    for i in range(genes):
        root = np.sqrt(max(factor[i, i], JITTER))
        for j in range(i, genes):
            factor[i, j] /= root
        for row in range(i + 1, genes):
            weight = factor[i, row]
            for j in range(row, genes):
                factor[row, j] -= weight * factor[i, j]


@compiled
def draw_points(mean: Array, factor: Array, normals: Array, live: Array, points: Array) -> None:
    """points = mean + U^T normals, folded into the unit cube: what leaves it on one side comes back from there."""
    genes, count = normals.shape
    for gene in range(genes):
        row = points[live[gene]]
        for i in range(count):
            row[i] = mean[gene]
        for other in range(gene + 1):
            weight, normal = factor[other, gene], normals[other]
            for i in range(count):
                row[i] += weight * normal[i]
        for i in range(count):
            point = row[i]
            row[i] = 1.0 - abs(point - 2.0 * np.floor(point * 0.5) - 1.0)


@compiled
def follow_parents(
    mean: Array, covariance: Array, points: Array, live: Array, parents: Array, learning: float, steps: Array
) -> None:
    """The covariance moves towards the spread of the parents (columns of `points`) around the old mean, the mean to
    their centre."""
    genes, count = len(mean), len(parents)
    for gene in range(genes):
        centre = 0.0
        for p in range(count):
            point = points[live[gene], parents[p]]
            steps[p, gene] = point - mean[gene]
            centre += point
        mean[gene] = centre / count
    weight = learning / count
    for i in range(genes):
        for j in range(i, genes):
            covariance[i, j] *= 1.0 - learning
        for p in range(count):
            scale = weight * steps[p, i]
            for j in range(i, genes):
                covariance[i, j] += scale * steps[p, j]
        for j in range(i + 1, genes):
            covariance[j, i] = covariance[i, j]


@compiled
def evolve_generation(
    layer: Array, memory: Array, axis: Array, loops: Array, mean: Array, covariance: Array, normals: Array,
    live: Array, learning: float, by_index: bool, goal: int, factor: Array, steps: Array, lane: Array, first: Array,
    k: Array, at: Array, points: Array, values: Array,
) -> None:  # fmt: skip
    """Draws, judges and follows the best, len(steps) of them or all there are; equal ones in the order drawn."""
    factor_covariance(covariance, factor)
    draw_points(mean, factor, normals, live, points)
    judge_points(layer, memory, axis, loops, points, by_index, goal, lane, first, k, at, values)
    parents = np.argsort(values, kind="mergesort")[: len(steps)]
    follow_parents(mean, covariance, points, live, parents, learning, steps)
