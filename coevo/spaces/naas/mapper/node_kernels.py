"""One node of the tree, compiled: bound it, drop chains, descend to a mapping, enumerate or split what is left.

A node is a list of chains for every group of loops. Values are logarithms of what is minimised.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.cost_models.accelerator.bounds.relaxation import coefficients, ranges, relax
from coevo.kernels.jit import compiled

NEAR = 1.0
"""The descent looks at chains that lift the bound by less than that (a factor e)."""
FITS = 1.0 + 1e-9
"""Room is compared in rounded logarithms; a whole word more is far above this."""


@compiled
def value_at(factors: Any, signed: Any, ramp: Any, room: Any, leakage: float, with_energy: bool, with_cycles: bool,
             over: Any, most_over: float) -> float:  # fmt: skip
    """Logarithm of the goal at products `factors` [J]; `over[0]` becomes by how much the room is exceeded. Above
    `most_over` of that, the value is not looked at."""
    total = 0.0
    for c in range(len(room)):
        held = 0.0
        for j in range(len(factors)):
            held += room[c, j] * factors[j]
        if held > FITS:
            total += np.log(held)
            if total > most_over:
                over[0] = total
                return np.inf
    over[0] = total
    cycles = 0.0
    for i in range(1, len(signed)):
        limit = 0.0
        for j in range(len(factors)):
            limit += signed[i, j] * factors[j]
        cycles = max(cycles, limit)
    for j in range(len(factors)):
        cycles += ramp[j] * factors[j]
    value = 0.0
    if with_cycles:
        value += np.log(cycles)
    if with_energy:
        energy = leakage * cycles
        for j in range(len(factors)):
            energy += signed[0, j] * factors[j]
        value += np.log(energy)
    return value


@compiled
def factors_of(features: Any, offsets: Any, widths: Any, matrices: Any, factors: Any) -> None:
    """[n, J]: the factor of every chain in every product."""
    for g in range(len(widths)):
        for row in range(offsets[g], offsets[g + 1]):
            for j in range(factors.shape[1]):
                factors[row, j] = 0.0
            for f in range(widths[g]):
                feature = features[f, row]
                if feature != 0.0:
                    for j in range(factors.shape[1]):
                        factors[row, j] += feature * matrices[g, f, j]
            for j in range(factors.shape[1]):
                factors[row, j] = np.exp(factors[row, j])


@compiled
def descend(factors: Any, offsets: Any, place: Any, signed: Any, ramp: Any, room: Any, leakage: float,
            with_energy: bool, with_cycles: bool, sweeps: int) -> float:  # fmt: skip
    """From chains `place`, exchange the chain of one group at a time for the best there is, until none helps. Less
    excess of room comes before a lower value. Infinite where nothing that fits was reached."""
    groups, products = len(place), factors.shape[1]
    at = np.ones(products)
    rest = np.empty(products)
    trial = np.empty(products)
    over = np.empty(1)
    for g in range(groups):
        at *= factors[place[g]]
    value = value_at(at, signed, ramp, room, leakage, with_energy, with_cycles, over, np.inf)
    excess = over[0]
    for _ in range(sweeps):
        moved = False
        for g in range(groups):
            if offsets[g + 1] - offsets[g] < 2:
                continue
            for j in range(products):
                rest[j] = at[j] / factors[place[g], j]
            best = place[g]
            for row in range(offsets[g], offsets[g + 1]):
                for j in range(products):
                    trial[j] = rest[j] * factors[row, j]
                new = value_at(trial, signed, ramp, room, leakage, with_energy, with_cycles, over, excess)
                if over[0] < excess - 1e-12 or (over[0] <= excess and new < value - 1e-12):
                    value, excess, best = new, over[0], row
            if best != place[g]:
                place[g] = best
                moved = True
                for j in range(products):
                    at[j] = rest[j] * factors[best, j]
        if not moved:
            break
    return value if excess == 0.0 else np.inf


@compiled
def enumerate_all(factors: Any, offsets: Any, scores: Any, least: Any, bound: float, cutoff: float, signed: Any,
                  ramp: Any, room: Any, leakage: float, with_energy: bool, with_cycles: bool, place: Any,
                  judged: Any) -> float:  # fmt: skip
    """The best of all mappings of the node below `cutoff`, its chains in `place`; infinite where there is none.

    `bound` plus what the scores of the chains chosen so far exceed the least ones by is a bound of what is left.
    """
    groups, products = len(least), factors.shape[1]
    partial = np.ones((groups + 1, products))
    rise = np.zeros(groups + 1)
    at = np.zeros(groups, dtype=np.int64)
    over = np.empty(1)
    best = np.inf
    depth = 0
    for g in range(groups):
        at[g] = offsets[g] - 1
    while depth >= 0:
        at[depth] += 1
        row = at[depth]
        if row >= offsets[depth + 1]:
            at[depth] = offsets[depth] - 1
            depth -= 1
            continue
        risen = rise[depth] + scores[row] - least[depth]
        if bound + risen >= min(cutoff, best):
            continue
        for j in range(products):
            partial[depth + 1, j] = partial[depth, j] * factors[row, j]
        rise[depth + 1] = risen
        if depth < groups - 1:
            depth += 1
            continue
        judged[0] += 1
        value = value_at(partial[groups], signed, ramp, room, leakage, with_energy, with_cycles, over, 0.0)
        if over[0] == 0.0 and value < min(best, cutoff):
            best = value
            place[:] = at
    return best


@compiled
def choose_split(features: Any, offsets: Any, widths: Any, scores: Any, least: Any, warmth: float,
                 threshold: Any) -> int:  # fmt: skip
    """The group and feature that chains near the least differ in most: returns group * 1000 + feature, and where to
    cut in `threshold[0]`."""
    best, chosen = -1.0, -1
    for g in range(len(widths)):
        if offsets[g + 1] - offsets[g] < 2:
            continue
        for f in range(widths[g]):
            total = mean = square = 0.0
            low, high = np.inf, -np.inf
            for row in range(offsets[g], offsets[g + 1]):
                weight = np.exp(-(scores[row] - least[g]) / warmth)
                feature = features[f, row]
                total += weight
                mean += weight * feature
                square += weight * feature * feature
                low, high = min(low, feature), max(high, feature)
            mean /= total
            spread = square / total - mean * mean
            if high - low > 1e-9 and spread > best:
                best, chosen = spread, g * 1000 + f
                threshold[0] = min(max(mean, low), high - 1e-9)
    return chosen


@compiled
def _trim(weights: Any, own: Any, ramp: Any, with_energy: bool) -> None:
    """Weights of terms that are not there at this node go to the others."""
    shares, leak_shares, limit_shares, limits, _, _ = weights
    for j in range(len(shares)):
        if own[0, j] <= 0.0:
            shares[j] = 0.0
        for i in range(len(limits)):
            if own[1 + i, j] + ramp[j] <= 0.0:
                limit_shares[i, j] = 0.0
    if with_energy:
        total = shares.sum() + leak_shares.sum()
        shares /= total
        leak_shares /= total
    for i in range(len(limits)):
        total = limit_shares[i].sum()
        if total > 0.0:
            limit_shares[i] /= total
        else:  # nothing sure is left of this limit
            limits[i] = 0.0
    limits /= limits.sum()


@compiled
def _subset(values: Any, keep: Any, count: int) -> Any:
    """Columns `keep` of [features, n]."""
    found = np.empty((values.shape[0], count))
    place = 0
    for row in range(len(keep)):
        if keep[row]:
            for f in range(values.shape[0]):
                found[f, place] = values[f, row]
            place += 1
    return found


@compiled
def _ends(keep: Any, offsets: Any) -> Any:
    """Where the groups begin when only `keep` is left."""
    found = np.zeros_like(offsets)
    count = 0
    for g in range(len(offsets) - 1):
        for row in range(offsets[g], offsets[g + 1]):
            count += keep[row]
        found[g + 1] = count
    return found


@compiled
def _descend_among(
    near: Any, features: Any, offsets: Any, widths: Any, matrices: Any, signed: Any, ramp: Any, room: Any,
    leakage: float, with_energy: bool, with_cycles: bool, sweeps: int, place: Any,
) -> float:  # fmt: skip
    """`descend` over the chains `near` alone; `place` counts among all."""
    ends = _ends(near, offsets)
    rows = np.flatnonzero(near)
    few = _subset(features, near, len(rows))
    factors = np.empty((len(rows), signed.shape[1]))
    factors_of(few, ends, widths, matrices, factors)
    for g in range(len(place)):
        place[g] = ends[g] + near[offsets[g] : place[g]].sum()
    value = descend(factors, ends, place, signed, ramp, room, leakage, with_energy, with_cycles, sweeps)
    for g in range(len(place)):
        place[g] = rows[place[g]]
    return value


@compiled
def expand(
    all_features: Any, widths: Any, matrices: Any, sums: Any, leakage: float, with_energy: bool, with_cycles: bool,
    rows: Any, offsets: Any, weights: Any, cutoff: float, known: float, settings: Any, place: Any, judged: Any,
) -> Any:  # fmt: skip
    """One node. `rows`: which of `all_features` [features, N] it has, groups one after another; `sums`: positive,
    signed, target, larger, smaller, weight, ramp, room; `settings`: iterations, delay, sweeps, leaves.

    Returns (bound, value, rows below, offsets below, rows above, offsets above): value is that of the best mapping
    seen, its rows in `place`; without rows below the node is closed.
    """
    positive, signed, target, larger, smaller, weight, ramp, room = sums
    iterations, delay, sweeps, leaves = settings
    groups, products = len(widths), positive.shape[1]
    features = np.empty((all_features.shape[0], len(rows)))
    for f in range(all_features.shape[0]):
        for row in range(len(rows)):
            features[f, row] = all_features[f, rows[row]]
    none = np.empty(0, dtype=np.int64)
    low, high = np.empty(len(weight)), np.empty(len(weight))
    own, power, partner = np.empty_like(positive), np.empty(products), np.empty(products, dtype=np.int64)
    ranges(features, offsets, widths, matrices, larger, smaller, low, high)
    coefficients(positive, target, larger, smaller, weight, low, high, own, power, partner)
    _trim(weights, own, ramp, with_energy)
    scores, least = np.empty(len(rows)), np.empty(groups)
    chosen = np.empty(groups, dtype=np.int64)
    bound = relax(
        features, offsets, widths, matrices, own, power, partner, ramp, room, leakage, with_energy, with_cycles,
        iterations, cutoff, delay, weights, scores, least, chosen,
    )  # fmt: skip
    bound = max(bound, known)
    if bound >= cutoff:
        return bound, np.inf, none, none, none, none
    keep = np.empty(len(rows), dtype=np.bool_)
    for g in range(groups):
        for row in range(offsets[g], offsets[g + 1]):
            keep[row] = scores[row] - least[g] < cutoff - bound
    ends = _ends(keep, offsets)
    features, scores, rows = _subset(features, keep, ends[groups]), scores[keep], rows[keep]
    for g in range(groups):
        place[g] = ends[g] + keep[offsets[g] : chosen[g]].sum()
    offsets = ends
    near = np.empty(len(rows), dtype=np.bool_)
    for g in range(groups):
        for row in range(offsets[g], offsets[g + 1]):
            near[row] = scores[row] - least[g] < NEAR
    value = _descend_among(near, features, offsets, widths, matrices, signed, ramp, room, leakage, with_energy,
                           with_cycles, sweeps, place)  # fmt: skip
    size = 1.0
    for g in range(groups):
        size *= offsets[g + 1] - offsets[g]
    if size <= leaves:
        better = place.copy()
        factors = np.empty((len(rows), products))
        factors_of(features, offsets, widths, matrices, factors)
        found = enumerate_all(factors, offsets, scores, least, bound, min(cutoff, value), signed, ramp, room, leakage,
                              with_energy, with_cycles, better, judged)  # fmt: skip
        if found < value:
            value = found
            place[:] = better
        for g in range(groups):
            place[g] = rows[place[g]]
        return bound, value, none, none, none, none
    threshold = np.empty(1)
    split = choose_split(features, offsets, widths, scores, least, max((cutoff - bound) / 3.0, 1e-3), threshold)
    group, feature = split // 1000, split % 1000
    below = np.ones(len(rows), dtype=np.bool_)
    above = np.ones(len(rows), dtype=np.bool_)
    for row in range(offsets[group], offsets[group + 1]):
        below[row] = features[feature, row] <= threshold[0]
        above[row] = not below[row]
    for g in range(groups):
        place[g] = rows[place[g]]
    return bound, value, rows[below], _ends(below, offsets), rows[above], _ends(above, offsets)
