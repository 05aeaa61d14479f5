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
from coevo.cost_models.accelerator.bounds.counting import sums_of
from coevo.cost_models.accelerator.bounds.order_classes import OrderClass, order_classes
from coevo.cost_models.accelerator.bounds.products import RowFeature, Sums
from coevo.kernels.mapping_cost import MappingArrays, Tables
from coevo.spaces.naas.mapper import node_kernels
from coevo.spaces.naas.mapper.constraints import FREE, Bound
from coevo.spaces.naas.mapper.goals import judge

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
SLACK = 1e-10
"""Logarithms below this are rounding: a node that could win no more than that is closed."""
ROOT = (100, 0.0, 50, 3000.0)
INNER = (24, 20.0, 2, 3000.0)
"""Iterations of the relaxation, how many came before them, sweeps of the descent, and mappings that are enumerated."""


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """One order class of one layer, as arrays."""

    order: OrderClass
    sums: Sums
    features: Floats
    rows: tuple[Whole, ...]  # of every group, which of its chains
    widths: Whole
    matrices: Floats


@dataclass(eq=False, slots=True)
class Node:
    problem: Problem
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
        self.groups = chain_groups(tables, constraints.bounds)
        self.with_energy, self.with_cycles = goal in ("edp", "energy"), goal in ("edp", "cycles")
        self.best = best
        self.cutoff = np.inf if best is None else float(np.log(judge(tables, best, goal).value[0]))
        self.heap: list[tuple[float, int, Node]] = []
        self.ticket = itertools.count()
        self.nodes = self.judged = 0
        self.known: dict[tuple[RowFeature, ...], list[Floats]] = {}
        self.residual = np.inf  # bounds of leaves that promised more than they hold
        for order in order_classes(tables, constraints.stays):
            problem = self._problem(order)
            lengths = [len(rows) for rows in problem.rows]
            if min(lengths) == 0:
                continue  # constraints ask for loops that the class has not
            offsets = np.concatenate([[0], np.cumsum(lengths)])
            root = Node(problem, np.arange(offsets[-1]), offsets, first_weights(problem.sums), 0)
            self._push(-np.inf, root)

    def _problem(self, order: OrderClass) -> Problem:
        sums = sums_of(self.tables, order)
        if sums.features not in self.known:
            self.known[sums.features] = [features_of(self.tables, group, sums.features) for group in self.groups]
        kept, parts = [], []
        for group, features in zip(self.groups, self.known[sums.features], strict=True):
            single = order.single[:, list(group.loops)].T
            inside = ~(single & (group.bounds[:, :, : self.tables.levels] > 1)).any(axis=(1, 2))
            kept.append(np.flatnonzero(inside))
            parts.append(features[inside])
        widths = np.array([part.shape[1] for part in parts])
        features = np.zeros((int(widths.max()), sum(len(part) for part in parts)))
        matrices = np.zeros((len(parts), int(widths.max()), sums.positive.shape[1]))
        start = 0
        for place, part in enumerate(parts):
            features[: widths[place], start : start + len(part)] = part.T
            matrices[place, : widths[place]] = sums.matrices[place]
            start += len(part)
        return Problem(order, sums, features, tuple(kept), widths, matrices)

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
        problem, sums = node.problem, node.problem.sums
        weights = tuple(part.copy() for part in node.weights)
        place, judged = np.empty(len(problem.widths), dtype=np.int64), np.zeros(1, dtype=np.int64)
        settings = ROOT if node.depth == 0 else INNER
        arrays = (sums.positive, sums.signed, sums.target, sums.larger, sums.smaller, sums.weight, sums.ramp, sums.room)
        bound, value, below, below_ends, above, above_ends = node_kernels.expand(
            problem.features, problem.widths, problem.matrices, arrays, sums.leakage, self.with_energy,
            self.with_cycles, node.rows, node.offsets, weights, self.cutoff - SLACK, known, settings, place, judged,
        )  # fmt: skip
        self.judged += int(judged[0])
        self._improve(problem, place, value)
        if bound >= self.cutoff - SLACK or not len(below):
            return
        self._push(bound, Node(problem, below, below_ends, weights, node.depth + 1))
        self._push(bound, Node(problem, above, above_ends, weights, node.depth + 1))

    def _improve(self, problem: Problem, rows: Whole, value: float) -> None:
        """Take the mapping of chains `rows` if it is better than the best one."""
        if value >= self.cutoff - 1e-12:
            return
        arrays = self.mapping(problem, rows)
        judged = judge(self.tables, arrays, self.goal)
        true = float(np.log(judged.value[0])) if judged.overflow[0] == 0.0 else np.inf
        if true > value + SLACK * 10:
            self.residual = min(self.residual, value)
        if true < self.cutoff:
            self.best, self.cutoff = arrays, true

    def mapping(self, problem: Problem, rows: Whole) -> MappingArrays:
        """The mapping of one chain for every group; `rows` are those of the problem's features."""
        levels, axes = self.tables.levels, self.tables.axes
        temporal = np.ones((1, levels, 8), dtype=np.int64)
        spatial = np.ones((1, axes, 8), dtype=np.int64)
        start = 0
        for group, kept, row in zip(self.groups, problem.rows, rows, strict=True):
            bounds = group.bounds[kept[row - start]]
            for position, loop in enumerate(group.loops):
                temporal[0, :, loop], spatial[0, :, loop] = bounds[position, :levels], bounds[position, levels:]
            start += len(kept)
        return MappingArrays(temporal, problem.order.ranks()[None], spatial)


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
