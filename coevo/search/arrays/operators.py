"""Crossover, mutation and selection of whole populations at once.

Every operator is a function of genomes and of uniform numbers in [0, 1) that it is handed; none draws by itself. So a
slow reference that reads the same numbers gives the same genomes, and a problem evolves alike whatever it is evolved
beside. Arrays are [problems, children, ...]; genomes are those of `Layout`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.search.arrays.columns import Floats, Whole

Bits = NDArray[np.uint64]
Flags = NDArray[np.bool_]
BESIDE = 1e-9  # between the keys of an item and of the one that it moves beside


def rows_of(chosen: Whole, count: int) -> Whole:
    """From places in each problem's population of `count` to rows of all populations together."""
    rows: Whole = chosen + (np.arange(len(chosen)) * count)[:, None]
    return rows


def parents_of(uniform: Floats, population: int) -> Whole:
    """Tournaments in a population that is sorted from best to worst: the smallest of the drawn places wins.
    [..., contestants] -> [...]."""
    least = uniform[..., 0]
    for contestant in range(1, uniform.shape[-1]):
        least = np.minimum(least, uniform[..., contestant])
    winner: Whole = (least * population).astype(np.int64)
    return winner


def crossed(mother: Whole, father: Whole, uniform: Floats, mates: Flags) -> Whole:
    """Uniform crossover: each column from either parent, of the mother alone where the child has no father."""
    return np.where((uniform < 0.5) & mates[..., None], father, mother)


def mutate_whole(genomes: Whole, uniform: Floats, rate: float, size: Whole, ordinal: Flags) -> None:
    """Mutates in place each whole number whose uniform number is below the rate; that, stretched, says how.

    A choice becomes any other. An ordinal number goes floor(size**u) steps up or down, u uniform: steps of every order
    of magnitude alike, one most often; it bounces off the ends.
    """
    hit = np.flatnonzero(uniform.ravel() < rate)
    if not hit.size:
        return
    row, column = np.divmod(hit, len(ordinal))
    flat = genomes.reshape(-1, genomes.shape[-1])
    sizes = size[row // genomes.shape[1], column] if len(size) > 1 else size[0, column]
    value, draw = flat[row, column], uniform.ravel()[hit] / rate
    other = (draw * (sizes - 1)).astype(np.int64)
    other += other >= value
    if ordinal.any():
        near = _near(value, draw, sizes)
        other = near if ordinal.all() else np.where(ordinal[column], near, other)
    flat[row, column] = np.where(sizes == 1, value, other)


def _near(value: Whole, draw: Floats, sizes: Whole) -> Whole:
    down = draw < 0.5
    rest = 2.0 * draw - ~down
    steps = np.exp(rest * np.log(sizes)).astype(np.int64)
    target = np.where(down, value - steps, value + steps)
    bounced = np.minimum(np.maximum(2 * value - target, 0), sizes - 1)
    bounced = np.where(bounced == value, np.where(value == 0, 1, value - 1), bounced)
    near: Whole = np.where((target >= 0) & (target < sizes), target, bounced)
    return near


def mutate_unit(genomes: Whole, first: int, uniform: Floats, rate: float, eta: float) -> None:
    """Polynomial mutation in place within 0..1 (Deb and Goyal 1996; the bounded form of Deb's NSGA-II code) of each
    real, the first of which stands in column `first`, whose uniform number is below the rate; that, stretched, is the
    draw."""
    hit = np.flatnonzero(uniform.ravel() < rate)
    if not hit.size:
        return
    row, column = np.divmod(hit, uniform.shape[-1])
    flat = genomes.reshape(-1, genomes.shape[-1]).view(np.float64)
    x, u = flat[row, first + column], uniform.ravel()[hit] / rate
    low = u < 0.5
    rest = np.power(np.where(low, 1.0 - x, x), eta + 1.0)
    inner = np.where(low, 2.0 * u + (1.0 - 2.0 * u) * rest, 2.0 * (1.0 - u) + 2.0 * (u - 0.5) * rest)
    step = np.power(inner, 1.0 / (eta + 1.0))
    flat[row, first + column] = np.minimum(np.maximum(x + np.where(low, step - 1.0, 1.0 - step), 0.0), 1.0)


def crossed_orders(mother: Whole, father: Whole, uniform: Floats, mates: Flags) -> Whole:
    """Cycle crossover (Oliver, Smith and Holland 1987): the items fall into the smallest sets that hold the same places
    in both parents, and each set takes its places from either parent, as the number of its first item says. So every
    item stands where one of the parents has it. All are [..., orders, length], the parents with places of items."""
    length = mother.shape[-1]
    ours, theirs = mother.reshape(-1, length), father.reshape(-1, length)
    start = (np.arange(len(ours)) * length)[:, None]
    item_at = np.empty_like(ours)
    item_at.ravel()[ours + start] = np.arange(length)
    step = (
        item_at.ravel()[theirs + start] + start
    )  # to the item that has, in the mother, this one's place in the father
    first = np.arange(ours.size).reshape(ours.shape)
    for _ in range((length - 1).bit_length()):  # the first item of so many steps, then of twice as many
        first = np.minimum(first, first.ravel()[step])
        step = step.ravel()[step]
    swapped = (uniform.ravel()[first] < 0.5).reshape(mother.shape)
    return np.where(swapped & mates[..., None, None], father, mother)


def mutate_order(keys: Floats, uniform: Floats, rate: float) -> None:
    """Mutates in place each order whose first number is below the rate: half of them swap two items, half move an item
    to the place of another. `uniform` is [..., orders, 3]: whether and how, and the two items."""
    length = keys.shape[-1]
    draws, rows = uniform.reshape(-1, 3), keys.reshape(-1, length)
    hit = np.flatnonzero(draws[:, 0] < rate)
    if length < 2 or not hit.size:
        return
    swap = draws[hit, 0] / rate < 0.5
    first = (draws[hit, 1] * length).astype(np.int64)
    second = (draws[hit, 2] * (length - 1)).astype(np.int64)
    second += second >= first
    a, b = rows[hit, first], rows[hit, second]
    rows[hit, first] = np.where(swap, b, np.where(a < b, b + BESIDE, b - BESIDE))
    rows[hit, second] = np.where(swap, a, b)


def sort_orders(keys: NDArray[Any]) -> tuple[Whole, Whole]:
    """(the item in each place, the place of each item) of keys [..., length]."""
    items = np.argsort(keys, axis=-1)
    flat = items.reshape(-1, items.shape[-1])
    places = np.empty_like(flat)
    places.ravel()[rows_of(flat, flat.shape[1])] = np.arange(flat.shape[1])
    return items, places.reshape(items.shape)


def survivors(cost: Floats, violation: Floats | None, marks: Bits | None, count: int) -> Whole:
    """Who goes on, [problems, count], from best to worst: by violation, then by cost, then by place. Where `marks`
    tells genomes apart, those that were there already come after all others."""
    order = np.argsort(cost, axis=-1, kind="stable") if violation is None else np.lexsort((cost, violation), axis=-1)
    if marks is not None:
        members = cost.shape[1]
        ordered = marks.ravel()[rows_of(order, members)]
        together = np.argsort(ordered, axis=-1, kind="stable")
        grouped = ordered.ravel()[rows_of(together, members)]
        again = np.zeros(cost.shape, dtype=bool)
        again.ravel()[rows_of(together[:, 1:], members)] = grouped[:, 1:] == grouped[:, :-1]
        if again.any():
            order = order.ravel()[rows_of(np.argsort(again, axis=-1, kind="stable"), members)]
    chosen: Whole = order[:, :count]
    return chosen
