"""A lower bound on the best mapping of a class by weak duality, with weights that come apart by loops.

Within an order class, cost is made of sums of products of factors of the loops (products.py). For any weights w_j >= 0
with sum 1 the inequality of arithmetic and geometric means gives

    log(sum of c_j u_j) >= sum of w_j (log c_j + log u_j - log w_j),

and likewise for every limit of the cycles (their maximum is at least any geometric mean of them) and, with a multiplier
lambda >= 0, for the room of every memory and axis, where the sum is at most 1. The right-hand sides are linear in the
log u_j, so their sum is a constant plus one term for each group of loops, and each group takes its least chain by
itself: a bound over all mappings of the class, whole numbers and rounding up included, in one pass over the chains.

The best weights are searched by exponentiated gradient steps (the weights drift towards the shares of the terms at the
chains that were least) and subgradient steps for the multipliers. Any weights give a valid bound, so rounding and early
ends can only loosen it. What a chain has above the least of its group is what the bound rises by if that chain is
taken: chains that rise above the best mapping known can be left out.

Where sums start at zero, u_A - u_B = u_A (1 - q) stands for what is read: 1 - q as a function of log q is concave, so
between the least and the largest q of the chains at hand it lies above its chord in logarithms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coevo.kernels.jit import compiled

TINY = 1e-30


@compiled
def ranges(
    features: Any, offsets: Any, widths: Any, matrices: Any, larger: Any, smaller: Any, low: Any, high: Any
) -> None:
    """Least and largest log q of every difference over the chains at hand."""
    values = np.empty(features.shape[1])
    for k in range(len(larger)):
        low[k] = 0.0
        high[k] = 0.0
        for g in range(len(widths)):
            begin, end = offsets[g], offsets[g + 1]
            values[begin:end] = 0.0
            for f in range(widths[g]):
                slope = matrices[g, f, smaller[k]] - matrices[g, f, larger[k]]
                if slope != 0.0:
                    for row in range(begin, end):
                        values[row] += features[f, row] * slope
            low[k] += values[begin:end].min()
            high[k] += values[begin:end].max()
        high[k] = min(high[k], 0.0)
        low[k] = min(low[k], high[k])


@compiled
def coefficients(positive: Any, target: Any, larger: Any, smaller: Any, weight: Any, low: Any, high: Any,
                 own: Any, power: Any, partner: Any) -> None:  # fmt: skip
    """`own` [1 + I, J]: coefficients with what the differences are sure to add; for the energy also `power` and
    `partner` [J]: term j counts as own[0, j] * u_j * (u_partner / u_j) ** -power."""
    products = positive.shape[1]
    for i in range(len(positive)):
        for j in range(products):
            own[i, j] = positive[i, j]
    main = np.full(products, -1)
    for k in range(len(larger)):
        if target[k] == 0 and (main[larger[k]] < 0 or weight[k] > weight[main[larger[k]]]):
            main[larger[k]] = k
    for k in range(len(larger)):
        if target[k] != 0 or main[larger[k]] != k:
            own[target[k], larger[k]] += weight[k] * (1.0 - np.exp(high[k]))
    for j in range(products):
        power[j] = 0.0
        partner[j] = j
        k = main[j]
        if k < 0:
            continue
        near = own[0, j] + weight[k] * (1.0 - np.exp(high[k]))
        far = own[0, j] + weight[k] * (1.0 - np.exp(low[k]))
        own[0, j] = near
        if near > 0.0 and high[k] - low[k] > 1e-9:
            power[j] = np.log(far / near) / (high[k] - low[k])
            partner[j] = smaller[k]
            own[0, j] = np.exp(np.log(near) + power[j] * high[k])


@compiled
def relax(
    features: Any, offsets: Any, widths: Any, matrices: Any, own: Any, power: Any, partner: Any, ramp: Any, room: Any,
    leakage: float, with_energy: bool, with_cycles: bool, iterations: int, enough: float, delay: float, weights: Any,
    scores: Any, least: Any, chosen: Any,
) -> float:  # fmt: skip
    """The best bound found (logarithm) over chains with `features` [features, n]; stops early above `enough`.

    `weights` begin as given and end as the best ones: shares of the energy's terms [J] and of leakage's [J], together
    1; of each limit's [I, J], each row 1; of the limits [I], 1; multipliers [c]; shares of each room's [c, J], each 1.
    `scores` [n]: the part of every chain in the bound, `least` [groups]: the least of them, `chosen`: its place.
    """
    shares, leak_shares, limit_shares, limits, multipliers, room_shares = weights
    products, count, groups, chains = own.shape[1], len(own) - 1, len(widths), features.shape[1]
    logs, leak_logs = _logarithms(own[0]), np.zeros(products)
    limit_terms = own[1:] + ramp
    limit_logs, room_logs = np.empty((count, products)), np.empty((len(room), products))
    limit_single, room_single = np.empty(count, dtype=np.bool_), np.empty(len(room), dtype=np.bool_)
    for i in range(count):
        limit_logs[i] = _logarithms(limit_terms[i])
        limit_single[i] = (limit_terms[i] > 0.0).sum() < 2
    for c in range(len(room)):
        room_logs[c] = _logarithms(room[c])
        room_single[c] = (room[c] > 0.0).sum() < 2
    combined, at = np.empty(products), np.empty(products)
    now, minimum, place = np.empty(chains), np.empty(groups), np.empty(groups, dtype=np.int64)
    values = np.empty(count)
    kept = (shares.copy(), leak_shares.copy(), limit_shares.copy(), limits.copy(), multipliers.copy(),
            room_shares.copy())  # fmt: skip
    best = -np.inf
    for iteration in range(iterations):
        combined[:] = 0.0
        bound = 0.0
        if with_energy:
            if leakage > 0.0:
                for j in range(products):
                    part = 0.0
                    for i in range(count):
                        part += limits[i] * limit_terms[i, j]
                    leak_logs[j] = np.log(leakage * part) if part > 0.0 else -np.inf
                bound += _add(1.0, leak_shares, leak_logs, combined)
            bound += _add(1.0, shares, logs, combined)
            for j in range(products):
                if power[j] != 0.0:
                    combined[j] += shares[j] * power[j]
                    combined[partner[j]] -= shares[j] * power[j]
        if with_cycles:
            for i in range(count):
                if limits[i] > TINY:
                    bound += _add(limits[i], limit_shares[i], limit_logs[i], combined)
        for c in range(len(room)):
            if multipliers[c] > 0.0:
                bound += _add(multipliers[c], room_shares[c], room_logs[c], combined)
        for g in range(groups):
            begin, end = offsets[g], offsets[g + 1]
            now[begin:end] = 0.0
            for f in range(widths[g]):
                slope = 0.0
                for j in range(products):
                    slope += matrices[g, f, j] * combined[j]
                if slope != 0.0:
                    for row in range(begin, end):
                        now[row] += features[f, row] * slope
            place[g] = begin + np.argmin(now[begin:end])
            minimum[g] = now[place[g]]
            bound += minimum[g]
        if bound > best:
            best = bound
            scores[:], least[:], chosen[:] = now, minimum, place
            kept[0][:], kept[1][:], kept[2][:] = shares, leak_shares, limit_shares
            kept[3][:], kept[4][:], kept[5][:] = limits, multipliers, room_shares
            if best > enough:
                break
        if iteration == iterations - 1:
            break
        at[:] = 0.0
        for g in range(groups):
            for f in range(widths[g]):
                feature = features[f, place[g]]
                if feature != 0.0:
                    for j in range(products):
                        at[j] += feature * matrices[g, f, j]
        step = 2.0 / (iteration + 2.0 + delay)
        for i in range(count):
            values[i] = np.log(max((limit_terms[i] * np.exp(at)).sum(), TINY))
            if not limit_single[i] and limits[i] > 1e-6:
                _drift(limit_shares[i], limit_logs[i] + at, step)
        if with_energy:
            both = np.concatenate((shares, leak_shares))
            aims = np.concatenate((logs + at, leak_logs + at))
            for j in range(products):
                if power[j] != 0.0:
                    aims[j] -= power[j] * (at[partner[j]] - at[j])
                if leakage == 0.0:
                    aims[products + j] = -np.inf
            _drift(both, aims, step)
            shares[:], leak_shares[:] = both[:products], both[products:]
        limits[:] = np.maximum(limits, 1e-9) * np.exp(step * (values - values.max()))
        limits /= limits.sum()
        for c in range(len(room)):
            over = np.log((room[c] * np.exp(at)).sum())
            multipliers[c] = max(multipliers[c] + 0.5 * step * over, 0.0)
            if not room_single[c] and multipliers[c] > 0.0:
                _drift(room_shares[c], room_logs[c] + at, step)
    shares[:], leak_shares[:], limit_shares[:] = kept[0], kept[1], kept[2]
    limits[:], multipliers[:], room_shares[:] = kept[3], kept[4], kept[5]
    return best


@compiled
def _logarithms(values: Any) -> Any:
    """Logarithms, minus infinity of what is not above zero."""
    found = np.empty(len(values))
    for j in range(len(values)):
        found[j] = np.log(values[j]) if values[j] > 0.0 else -np.inf
    return found


@compiled
def _add(factor: float, shares: Any, logs: Any, combined: Any) -> float:
    """The constant of one weighted sum; its linear part goes to `combined`."""
    constant = 0.0
    for j in range(len(shares)):
        if shares[j] > TINY:
            constant += shares[j] * (logs[j] - np.log(shares[j]))
            combined[j] += factor * shares[j]
    return factor * constant


@compiled
def _drift(shares: Any, aims: Any, step: float) -> None:
    """shares ** (1 - step) * exp(aims) ** step, to sum 1."""
    top = -np.inf
    for j in range(len(shares)):
        if aims[j] > -np.inf:
            shares[j] = (1.0 - step) * np.log(max(shares[j], TINY)) + step * aims[j]
            top = max(top, shares[j])
        else:
            shares[j] = -np.inf
    total = 0.0
    for j in range(len(shares)):
        shares[j] = np.exp(shares[j] - top)
        total += shares[j]
    for j in range(len(shares)):
        shares[j] /= total
