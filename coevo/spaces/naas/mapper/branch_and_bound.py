"""The tree over the whole declared mapping space: the best mapping, and a bound that holds when the search ends early.

The roots are the order classes with all chains of all groups. A node is bounded by duality (bounds/relaxation.py);
chains that would lift it above the best mapping known are dropped; what is left is enumerated where it is small, else
split in two at the feature in which the chains near the least differ most. The node with the least bound comes first,
so the least open bound holds for the whole space at any time; when nothing is open, the best mapping is the optimum.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coevo.cost_models.accelerator.bounds.chain_groups import chain_groups, features_of
from coevo.cost_models.accelerator.bounds.classes import class_sums
from coevo.cost_models.accelerator.bounds.order_classes import OrderClass
from coevo.cost_models.accelerator.bounds.products import RowFeature, Sums
from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.spaces.naas.mapper import node_kernels
from coevo.spaces.naas.mapper.constraints import FREE, Bound
from coevo.spaces.naas.mapper.goals import judge

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
SLACK = 1e-10
"""Logarithms below this are rounding: a node that could win no more than that is closed."""
ROOT = (40, 0.0, 20, 10_000.0)
INNER = (24, 8.0, 1, 10_000.0)
"""Iterations of the relaxation, how many came before them, sweeps of the descent, and mappings that are enumerated."""


@dataclass(eq=False, slots=True)
class Node:
    """`features` [features, N] of all chains, shared by all nodes; `rows`: which of them the node has, groups one after
    another; `offsets`: where the groups begin; `weights`: where the relaxation begins."""

    order: OrderClass
    sums: Sums
    features: Floats
    rows: Whole
    offsets: Whole
    weights: tuple[Floats, ...]
    depth: int


@dataclass(frozen=True, eq=False, slots=True)
class Searched:
    """`bound`: no mapping is below it; `closed`: the tree was searched to its end. `value` is the goal's."""

    best: MappingArrays | None
    value: float
    bound: float
    closed: bool
    nodes: int
    judged: int


class Tree:
    """The search for one layer; `run` may be called again to go on. `best`: a mapping that is known already."""

    def __init__(self, tables: Tables, goal: str, best: MappingArrays | None = None, constraints: Bound = FREE) -> None:
        self.tables, self.goal, self.constraints = tables, goal, constraints
        self.groups = chain_groups(tables, constraints.bounds, constraints.padding)
        self.with_energy, self.with_cycles = goal in ("edp", "energy"), goal in ("edp", "cycles")
        self.best = best
        self.cutoff = np.inf if best is None else float(np.log(judge(tables, best, goal).value[0]))
        self.heap: list[tuple[float, int, Node]] = []
        self.ticket = itertools.count()
        self.nodes = self.judged = 0
        self.residual = np.inf  # bounds of leaves that promised more than they hold
        above_one = [group.bounds[:, :, : tables.levels] > 1 for group in self.groups]
        lengths = [len(group.bounds) for group in self.groups]
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        shared: dict[tuple[RowFeature, ...], Floats] = {}
        for order, sums in class_sums(tables, constraints.stays):
            if sums.features not in shared:
                shared[sums.features] = self._features(sums)
            inside = [
                np.flatnonzero(~(order.single[:, list(group.loops)].T & above).any(axis=(1, 2)))
                for group, above in zip(self.groups, above_one, strict=True)
            ]
            if min(len(rows) for rows in inside) == 0:
                continue  # constraints ask for loops that the class has not
            rows = np.concatenate([start + rows for start, rows in zip(self.starts, inside, strict=False)])
            offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in inside])])
            self._push(-np.inf, Node(order, sums, shared[sums.features], rows, offsets, first_weights(sums), 0))

    def _features(self, sums: Sums) -> Floats:
        """Features of all chains of all groups, [features, N]."""
        features = np.zeros((sums.matrices.shape[1], int(self.starts[-1])))
        for place, group in enumerate(self.groups):
            own = features_of(self.tables, group, sums.features)
            features[: own.shape[1], self.starts[place] : self.starts[place + 1]] = own.T
        return features

    def _push(self, bound: float, node: Node) -> None:
        heapq.heappush(self.heap, (bound, next(self.ticket), node))

    @property
    def bound(self) -> float:
        """Logarithm of the least that is still open."""
        open_bound = self.heap[0][0] if self.heap else np.inf
        return min(open_bound, self.residual, self.cutoff)

    @property
    def closed(self) -> bool:
        """Whether nothing that is open can be better than the best mapping."""
        return self.bound >= self.cutoff - SLACK * 10

    def run(self, nodes: int, gap: float = 0.0, seconds: float | None = None) -> Searched:
        """At most `nodes` more nodes; ends early at a relative gap of `gap` or after `seconds`."""
        start = time.perf_counter()
        limit = self.nodes + nodes
        while self.heap and self.nodes < limit and self.cutoff - self.bound > np.log1p(gap):
            if seconds is not None and time.perf_counter() - start > seconds:
                break
            bound, _, node = heapq.heappop(self.heap)
            if bound < self.cutoff - SLACK:
                self.nodes += 1
                self._expand(bound, node)
        return self.result()

    def result(self) -> Searched:
        """What is known so far. When the tree is closed, the bound is the value of the best mapping."""
        value = float(judge(self.tables, self.best, self.goal).value[0]) if self.best is not None else np.inf
        bound = value if self.closed else float(np.exp(self.bound))
        return Searched(self.best, value, bound, self.closed, self.nodes, self.judged)

    def _expand(self, known: float, node: Node) -> None:
        sums = node.sums
        weights = tuple(part.copy() for part in node.weights)
        place, judged = np.empty(len(self.groups), dtype=np.int64), np.zeros(1, dtype=np.int64)
        arrays = (sums.positive, sums.signed, sums.target, sums.larger, sums.smaller, sums.weight, sums.ramp, sums.room)
        bound, value, below, below_ends, above, above_ends = node_kernels.expand(
            node.features, sums.widths, sums.matrices, arrays, sums.leakage, self.with_energy, self.with_cycles,
            node.rows, node.offsets, weights, self.cutoff - SLACK, known, ROOT if node.depth == 0 else INNER, place,
            judged,
        )  # fmt: skip
        self.judged += int(judged[0])
        self._improve(node.order, place, value)
        if bound >= self.cutoff - SLACK:
            return
        for rows, ends in ((below, below_ends), (above, above_ends)):
            if len(rows):
                child = Node(node.order, sums, node.features, rows, ends, weights, node.depth + 1)
                self._push(bound, child)

    def _improve(self, order: OrderClass, rows: Whole, value: float) -> None:
        """Take the mapping of chains `rows`, one a group, if it is better than the best one."""
        if value >= self.cutoff - 1e-12:
            return
        arrays = self.mapping(order, rows)
        judged = judge(self.tables, arrays, self.goal)
        true = float(np.log(judged.value[0])) if judged.overflow[0] == 0.0 else np.inf
        if true > value + SLACK * 10:
            self.residual = min(self.residual, value)
        if true < self.cutoff:
            self.best, self.cutoff = arrays, true

    def mapping(self, order: OrderClass, rows: Whole) -> MappingArrays:
        """The mapping of one chain for every group."""
        levels, axes = self.tables.levels, self.tables.axes
        temporal = np.ones((1, levels, 8), dtype=np.int64)
        spatial = np.ones((1, axes, 8), dtype=np.int64)
        for group, start, row in zip(self.groups, self.starts, rows, strict=False):
            bounds = group.bounds[row - start]
            for position, loop in enumerate(group.loops):
                temporal[0, :, loop], spatial[0, :, loop] = bounds[position, :levels], bounds[position, levels:]
        return MappingArrays(temporal, order.ranks()[None], spatial)


def first_weights(sums: Sums) -> tuple[Floats, ...]:
    """Even shares; the energy's are halved where leakage has the other half."""

    def even(table: Floats) -> Floats:
        there = (table > 0.0).astype(np.float64)
        shares: Floats = there / np.maximum(there.sum(axis=-1, keepdims=True), 1.0)
        return shares

    count = len(sums.positive) - 1
    limits = even(sums.positive[1:] + sums.ramp)
    energy = sums.positive[0].copy()
    np.add.at(energy, sums.larger[sums.target == 0], sums.weight[sums.target == 0])
    shares, leak = even(energy), np.zeros(len(sums.ramp))
    if sums.leakage > 0.0:
        shares, leak = shares / 2.0, even((sums.positive[1:] + sums.ramp).sum(axis=0)) / 2.0
    return shares, leak, limits, np.full(count, 1.0 / count), np.zeros(len(sums.room)), even(sums.room)
