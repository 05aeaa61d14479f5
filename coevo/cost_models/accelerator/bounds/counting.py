"""The rules of the closed form (coevo/kernels/mapping_cost/reference.py), walked for one order class as products."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from coevo.cost_models.accelerator.bounds.falling import falling_targets
from coevo.cost_models.accelerator.bounds.order_classes import OrderClass
from coevo.cost_models.accelerator.bounds.products import Product, RowFeature, Sums, matrices_of
from coevo.kernels.mapping_cost import Tables
from coevo.kernels.mapping_cost.tables import INPUTS, OUTPUTS, RELEVANT, TENSORS, R, S, X, Y

Target = tuple[str, int]
Difference = tuple[Product, Product, Product]
"""What is moved, what of it starts at zero in this class, and what at most starts at zero in any."""
JOULES: Target = ("energy", 0)
STEPS: Target = ("steps", 0)


def sums_of(tables: Tables, order: OrderClass) -> Sums:
    """Energy, cycles and room of all mappings of `order` as sums of products; they do not depend on the layer's sizes,
    strides and dilations."""
    walk = _Walk(tables, order)
    walk.walk()
    targets = [JOULES, *sorted(target for target in {*walk.sums, *(key[0] for key in walk.differences)} - {JOULES})]
    count = len(walk.list)
    positive = np.zeros((len(targets), count))
    for target, coefficients in walk.sums.items():
        for place, weight in coefficients.items():
            positive[targets.index(target), place] += weight
    signed = positive.copy()
    for (target, larger, smaller), weight in walk.differences.items():
        signed[targets.index(target), larger] += weight
        signed[targets.index(target), smaller] -= weight
    room = np.zeros((len(walk.room), count))
    for row, coefficients in enumerate(walk.room):
        for place, weight in coefficients.items():
            room[row, place] = weight
    ramp = np.zeros(count)
    for place, weight in walk.ramp.items():
        ramp[place] = weight
    matrices, widths, features = matrices_of(walk.list, tables.levels, tables.axes)
    differences = list(walk.differences.items())
    return Sums(
        matrices=matrices,
        widths=widths,
        features=features,
        positive=positive,
        signed=signed,
        target=np.array([targets.index(key[0]) for key, _ in differences], dtype=np.int64),
        larger=np.array([key[1] for key, _ in differences], dtype=np.int64),
        smaller=np.array([key[2] for key, _ in differences], dtype=np.int64),
        weight=np.array([weight for _, weight in differences]),
        ramp=ramp,
        room=room,
        leakage=tables.leakage_pj_per_cycle,
    )


class _Walk:
    """Products and their coefficients, collected while the rules of the closed form are walked."""

    def __init__(self, tables: Tables, order: OrderClass):
        self.t, self.order = tables, order
        self.levels, self.axes = tables.levels, tables.axes
        self.products: dict[tuple[object, ...], int] = {}
        self.list: list[Product] = []
        self.sums: dict[Target, dict[int, float]] = {JOULES: {}, STEPS: {}}
        self.differences: dict[tuple[Target, int, int], float] = {}
        self.ramp: dict[int, float] = {}
        self.room: list[dict[int, float]] = []
        network = np.zeros((self.levels + 1, self.axes, 8), dtype=np.int64)
        for axis, level in enumerate(tables.axis_level):
            network[level, axis] = 1
        self.network = network  # spatial exponents of the network below each memory
        self.above = np.cumsum(np.concatenate([np.zeros_like(network[:1]), network]), axis=0)  # instances of memory l
        self.falling = falling_targets(tables)

    def index(self, product: Product) -> int:
        key = product.key()
        if key not in self.products:
            self.products[key] = len(self.list)
            self.list.append(product)
        return self.products[key]

    def tile(self, tensor: int, level: int, joined: int = 0) -> Product:
        """Words of `tensor` in the tile of memory `level`; `joined` = 1: of all its neighbours below one network."""
        temporal = np.zeros((self.levels, 8), dtype=np.int64)
        spatial = np.zeros((self.axes, 8), dtype=np.int64)
        relevant = RELEVANT[tensor].astype(np.int64)
        temporal[level:] = relevant
        spatial += self.network[level - joined :].sum(axis=0) * relevant
        if tensor != INPUTS or level - joined == self.levels:
            return Product(temporal, spatial)
        for loop in (Y, X, R, S):
            temporal[:, loop] = 0
            spatial[:, loop] = 0
        feature: RowFeature = ("joined" if joined else "tile", level)
        return Product(temporal, spatial, (feature,), (feature,))

    def fetched(self, tensor: int, level: int, joined: int = 0) -> Product:
        """Words that enter one instance of memory `level`."""
        if level == self.levels:  # a MAC unit holds nothing: its operands pass at every step
            return self.tile(tensor, level, joined).times(np.ones((self.levels, 8), dtype=np.int64))
        product = self.tile(tensor, level, joined)
        reloads = np.zeros((self.levels, 8), dtype=np.int64)
        reloads[:level] = self.order.counted[tensor, level, :level]
        first = self.order.first_mover[level] if tensor == INPUTS else None
        if first is None or first[0] < 0:
            return product.times(reloads)
        loop, above = first
        reloads[above, loop] = 0  # it is inside the feature
        moved = (("moved", level, joined, int(loop in (R, S)), above),)
        across = loop in (X, S)
        return Product(
            product.temporal + reloads,
            product.spatial,
            product.rows if across else moved,
            moved if across else product.columns,
        )

    def held(self, level: int) -> tuple[Product, Product]:
        """Outputs that leave one instance of memory `level`: in this class, and where nothing ever stays."""
        product = self.fetched(OUTPUTS, level)
        most = self.tile(OUTPUTS, level)
        reloads = np.zeros((self.levels, 8), dtype=np.int64)
        reloads[:level] = 1
        return product, most.times(reloads)

    def add(self, target: Target, product: Product, weight: float) -> None:
        if weight != 0.0:
            into = self.sums.setdefault(target, {})
            place = self.index(product)
            into[place] = into.get(place, 0.0) + weight

    def add_difference(self, target: Target, larger: Product, smaller: Product, weight: float) -> None:
        first, second = self.index(larger), self.index(smaller)
        if weight != 0.0 and first != second:
            key = (target, first, second)
            self.differences[key] = self.differences.get(key, 0.0) + weight

    def walk(self) -> None:
        t = self.t
        steps = self.fetched(OUTPUTS, self.levels)
        self.add(JOULES, steps.times(0, self.above[self.levels]), t.mac_pj)
        self.add(STEPS, steps, 1.0)
        for tensor in range(TENSORS):
            chain = [*(int(level) for level in np.flatnonzero(t.keeps[:, tensor])), self.levels]
            started: list[Difference] = []  # differences that make up what is sent down
            for upper, lower in pairwise(chain):
                self.boundary(tensor, upper, lower, started)
        self.constraints()

    def boundary(self, tensor: int, upper: int, lower: int, started: list[Difference]) -> None:
        t, above = self.t, self.above
        relevant = RELEVANT[tensor].astype(np.int64)
        bits, last = t.bits, lower == self.levels
        one = self.fetched(tensor, lower)
        together = one
        combines = t.reduction if tensor == OUTPUTS else t.multicast
        merges = tensor == INPUTS and t.halo_merge and bool(t.multicast[lower - 1])
        for network in range(lower - 1, upper - 1, -1):
            inside = together.times(0, above[network + 1]) if network + 1 < lower else one.times(0, above[lower])
            self.add(JOULES, inside, float(t.hop_pj[network, tensor]))
            if merges and network == lower - 1:
                together = self.fetched(tensor, lower, joined=1)
            else:
                together = together.times(0, self.network[network] * (relevant if combines[network] else 1))
            self.limit(("network", network), together, float(bits[network, tensor]))
        moved = together.times(0, above[upper])
        if tensor != OUTPUTS:
            self.add(JOULES, moved, float(t.read_pj[upper, tensor]))
            self.limit(("read", upper), together, float(bits[upper, tensor]))
            if not last:
                self.add(JOULES, one.times(0, above[lower]), float(t.write_pj[lower, tensor]))
                self.limit(("write", lower), one, float(bits[lower, tensor]))
                self.add_ramp(tensor, upper, lower)
            return
        between = self.network[upper:lower].sum(axis=0)
        reduced = one.times(0, between * relevant + above[upper])
        if upper == 0:
            started.append((reduced, self.tile(OUTPUTS, 0), self.tile(OUTPUTS, 0)))
        else:
            start, most = (each.times(0, above[upper]) for each in self.held(upper))
            started.append((reduced, start, most))
        self.add(JOULES, moved, float(t.write_pj[upper, tensor]))
        self.limit(("write", upper), together, float(bits[upper, tensor]))
        # moved - starts = (moved - reduced) + what is sent down
        self.subtract(("read", upper), upper, [(moved, reduced, reduced), *started], float(t.read_pj[upper, tensor]))
        if last:
            return
        for network in range(lower - 1, upper - 1, -1):
            self.subtract(("network", network), network, started, float(t.hop_pj[network, tensor]))
        self.subtract(("write", lower), lower, started, float(t.write_pj[lower, tensor]))
        if t.charge_drain:
            self.add(JOULES, one.times(0, above[lower]), float(t.read_pj[lower, tensor]))
            self.limit(("read", lower), one, float(bits[lower, tensor]))
        self.add_ramp(tensor, upper, lower)

    def subtract(self, limit: Target, level: int, differences: list[Difference], energy_pj: float) -> None:
        """Outputs that are moved less what starts at zero, as energy and in a limit of one instance of `level`."""
        for larger, exact, most in differences:
            self.add_difference(JOULES, larger, most if JOULES in self.falling else exact, energy_pj)
            for kind, rate in self.rates(limit):
                smaller = most if (kind, level) in self.falling else exact
                inside = -self.above[level]
                weight = float(self.t.bits[level, OUTPUTS]) / rate
                self.add_difference((kind, level), larger.times(0, inside), smaller.times(0, inside), weight)

    def rates(self, limit: Target) -> list[tuple[str, float]]:
        kind, level = limit
        t = self.t
        if kind == "network":
            pairs = [("network", float(t.network_bits_per_cycle[level]))]
        else:
            rate = t.read_bits_per_cycle if kind == "read" else t.write_bits_per_cycle
            pairs = [(kind, float(rate[level])), ("port", float(t.port_bits_per_cycle[level]))]
        return [(name, rate) for name, rate in pairs if not math.isinf(rate)]

    def limit(self, limit: Target, product: Product, bits: float) -> None:
        for kind, rate in self.rates(limit):
            self.add((kind, limit[1]), product, bits / rate)

    def add_ramp(self, tensor: int, upper: int, lower: int) -> None:
        t = self.t
        rate = min(float(t.read_bits_per_cycle[upper]), float(t.port_bits_per_cycle[upper]))
        if t.count_ramp and not math.isinf(rate):
            place = self.index(self.tile(tensor, lower).times(0, self.network[upper:lower].sum(axis=0)))
            self.ramp[place] = self.ramp.get(place, 0.0) + float(t.bits[upper, tensor]) / rate

    def constraints(self) -> None:
        t = self.t
        for level in range(self.levels):
            shared: dict[int, float] = {}
            for tensor in range(TENSORS):
                if not t.keeps[level, tensor]:
                    continue
                place = self.index(self.tile(tensor, level))
                if not math.isinf(t.capacity_bits[level, tensor]):
                    self.room.append({place: float(t.bits[level, tensor] / t.capacity_bits[level, tensor])})
                shared[place] = float(t.bits[level, tensor] / t.capacity_bits[level, 3])
            if shared and not math.isinf(t.capacity_bits[level, 3]):
                self.room.append(shared)
        for axis in range(self.axes):
            spatial = np.zeros((self.axes, 8), dtype=np.int64)
            spatial[axis] = 1
            place = self.index(Product(np.zeros((self.levels, 8), dtype=np.int64), spatial))
            self.room.append({place: 1.0 / float(t.axis_size[axis])})
