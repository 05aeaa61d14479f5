"""Which choices matter for an objective: PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023, arXiv:2304.10255).

For each choice it compares the distribution of its answers among the best tenth of the designs with that among all of
them (Pearson divergence): an answer that the best designs share, and the others do not, matters. It is the marginal
effect of each choice; what two choices do only together is not seen.

Choices are encoded as levels, `levels` says how. A choice that some designs are not asked has "not asked" as a level of
its own, so that its mere presence counts. An order is a column an item, that item's place, and a subset a column an
item, in or out; the choice gets the strongest of its columns. The same is done for outcomes in random order, 20 times:
what stays below the 95th percentile of those is no better than chance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.report.answers import MANY_VALUES, columns_of
from coevo.report.data import Table
from coevo.search.objectives import Objective
from coevo.search.ranking import Floats
from coevo.search.trial import Trial

LEAST = 50
"""Fewer designs than this leave fewer than five in the best tenth."""
ENOUGH = 200
SAMPLE = 20_000
BEST = 0.1
SHUFFLES = 20
BINS = 8
MOST_ITEMS = 24


@dataclass(frozen=True)
class Level:
    """One column of levels: `codes` [n] in 0..count-1 of the choice `name`; `part` says what of it, "" where all.
    `asked` is the share of the designs that were asked it."""

    name: str
    part: str
    codes: Any
    count: int
    asked: float


@dataclass(frozen=True)
class Importance:
    """`share` of all choices' importance, and `chance`: what outcomes in random order reach in one case of twenty.
    `asked` is the share of the designs that were asked this choice."""

    name: str
    part: str
    share: float
    chance: float
    asked: float


@dataclass(frozen=True)
class Importances:
    """By objective, the most important choice first; or why there are none."""

    found: Mapping[str, Sequence[Importance]]
    stage: str
    designs: int
    of: int
    problem: str = ""


def importances_of(table: Table) -> Importances:
    """From the designs' outcomes at the deepest stage that enough designs reached, infeasible designs included."""
    stage, measured = _measured(table)
    step = max(1, math.ceil(len(measured) / SAMPLE))
    sample = measured[::step]
    if len(sample) < LEAST:
        why = f"{len(sample)} designs were measured; importance needs at least {LEAST}"
        return Importances({}, stage, len(sample), len(measured), why)
    levels = list(levels_of([trial for trial, _ in sample]))
    if not levels:
        return Importances({}, stage, len(sample), len(measured), "no choice took two different answers")
    found = {}
    for goal in table.goals.objectives:
        values = np.array([metrics[goal.metric] for _, metrics in sample])
        found[goal.metric] = _ranked(levels, values, goal)
    return Importances(found, stage, len(sample), len(measured))


def _measured(table: Table) -> tuple[str, list[tuple[Trial, Mapping[str, float]]]]:
    """The stage whose outcomes are used, and the designs measured there with their metrics."""
    by_stage: dict[str, list[tuple[Trial, Mapping[str, float]]]] = {name: [] for name in table.stages}
    for trial in table.trials:
        for result in trial.earlier:
            by_stage.setdefault(result.stage, []).append((trial, result.metrics))
        if trial.outcome.ok:
            by_stage.setdefault(trial.stage, []).append((trial, trial.outcome.metrics))
    for name in reversed(table.stages):
        if len(by_stage[name]) >= ENOUGH:
            return name, by_stage[name]
    most = max(reversed(table.stages), key=lambda name: len(by_stage[name]))
    return most, by_stage[most]


def levels_of(trials: Sequence[Trial]) -> Iterator[Level]:
    """The columns of levels that stand for the trials' choices; choices that never vary are left out."""
    for column in columns_of(trials):
        asked = float((np.asarray(column["codes"]) >= 0).mean())
        for part, codes in _parts(column):
            distinct, packed = np.unique(codes, return_inverse=True)
            if len(distinct) > 1:
                yield Level(column["name"], part, packed, len(distinct), asked)


def _parts(column: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    values, codes = column["values"], np.asarray(column["codes"])
    asked = codes >= 0
    if len(values) <= MANY_VALUES:
        yield "", codes
    elif all(isinstance(value, (list, tuple)) for value in values):
        for part, by_value in _of_items(values):
            yield part, np.where(asked, by_value[codes], -1)
    elif all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        numbers = np.asarray(values, dtype=np.float64)[codes]
        cuts = np.unique(np.quantile(numbers[asked], np.linspace(0, 1, BINS + 1)[1:-1]))
        yield "", np.where(asked, np.searchsorted(cuts, numbers, side="right"), -1)
    else:
        frequent = [code for code, _ in Counter(codes[asked].tolist()).most_common(MANY_VALUES - 1)]
        yield "", np.where(asked & ~np.isin(codes, frequent), len(values), codes)


def _of_items(values: Sequence[Sequence[Any]]) -> Iterator[tuple[str, Any]]:
    """For lists: each item's place where all of them order the same items, else whether each item is in."""
    items = list(dict.fromkeys(item for value in values for item in map(_hashable, value)))
    lists = [[_hashable(item) for item in value] for value in values]
    if len(items) > MOST_ITEMS:
        yield "first item", np.array([items.index(own[0]) if own else -2 for own in lists])
    elif all(len(own) == len(items) for own in lists):
        for item in items:
            yield f"place of {item}", np.array([own.index(item) for own in lists])
    else:
        for item in items:
            yield f"{item} in it", np.array([int(item in own) for own in lists])


def _hashable(item: Any) -> Any:
    return str(item) if isinstance(item, (list, tuple)) else item


def pearson_divergence(level: Level, best: Any) -> float:
    """How much the answers of the designs `best` (boolean [n]) differ from those of all (Watanabe et al., equation 7).

    Both distributions carry the weight of one design spread evenly, and each answer's kernel reaches the others by one
    part in the number of answers seen, as in Optuna's estimator, which the tests hold beside this.
    """
    share = _density(level.codes[best], level.count) / (whole := _density(level.codes, level.count))
    return float((whole * (share - 1) ** 2).sum())


def _density(codes: Any, count: int) -> Floats:
    counts = np.bincount(codes, minlength=count)
    reach = 1 / (np.count_nonzero(counts) + 1)
    density: Floats = ((len(codes) * reach + counts) / (1 + reach * count) + 1 / count) / (len(codes) + 1)
    return density


def _best_tenth(costs: Floats) -> Any:
    """Boolean [n]: the lowest tenth, rounded up, with all that tie with its last."""
    return costs <= np.partition(costs, math.ceil(BEST * len(costs)) - 1)[math.ceil(BEST * len(costs)) - 1]


def _ranked(levels: Sequence[Level], values: Floats, goal: Objective) -> list[Importance]:
    best = _best_tenth(-values if goal.direction == "max" else values)
    rng = np.random.default_rng(0)
    raw = np.array([pearson_divergence(level, best) for level in levels])
    shuffled = [rng.permutation(best) for _ in range(SHUFFLES)]
    by_chance = np.array([[pearson_divergence(level, drawn) for level in levels] for drawn in shuffled])
    owners: dict[str, list[int]] = {}
    for at, level in enumerate(levels):
        owners.setdefault(level.name, []).append(at)
    total = sum(float(raw[own].max()) for own in owners.values())
    if total <= 0:
        return []
    found = []
    for name, own in owners.items():
        strongest = own[int(raw[own].argmax())]
        chance = float(np.quantile(by_chance[:, own].max(axis=1), 0.95))
        level = levels[strongest]
        found.append(Importance(name, level.part, float(raw[strongest]) / total, chance / total, level.asked))
    return sorted(found, key=lambda each: -each.share)
