"""The rows of `accelerator.py` on processors: the plain reference, costing alone, and search; wall clock."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import _bench
import numpy as np
from _accelerator_case import SETTINGS, are_valid, parts_of, tables, timed

from coevo.kernels.mapping_cost import cost, count, excess_bits
from coevo.kernels.mapping_cost.distinct import identities

COSTING_TARGET, SEARCH_TARGET = 10e6, 4e6  # mappings a second on two cores
PART = 500_000


def on_processors(arguments: Any, result: _bench.Result) -> None:
    from coevo.kernels.mapping_cost.cpu import evaluate
    from coevo.kernels.mapping_cost.sampling import sample, search

    rows: dict[str, Any] = {}
    for setting in SETTINGS:
        given = tables(setting)
        batch = sample(given, arguments.batch, seed=1)
        small = sample(given, 20_000, seed=1)
        plain = timed(lambda given=given, small=small: excess_bits(given, costed(given, small)), arguments.repeats)
        alone = timed(lambda given=given, batch=batch: evaluate(given, batch, arguments.threads), arguments.repeats)
        seeds = iter(range(arguments.repeats + 1))
        whole = timed(
            lambda given=given, seeds=seeds: search(given, arguments.samples, next(seeds), threads=arguments.threads),
            arguments.repeats,
        )
        drawn = shares(given, sample, evaluate, arguments.samples, arguments.threads)
        rows[setting] = {
            "reference_per_s": rates(len(small), plain),
            "costing_per_s": rates(len(batch), alone),
            "draws_per_s": rates(arguments.samples, whole),
            **drawn,
            "distinct_valid_per_s": arguments.samples / statistics.median(whole) * drawn["distinct_valid_share"],
            "largest_difference": difference(given, batch, evaluate),
        }
        print(f"{setting}: {rows[setting]}", flush=True)
    result.measurements["processors"] = rows
    slowest = {
        name: min(read(row) for row in rows.values())
        for name, read in (
            ("costing", lambda row: row["costing_per_s"]["median"]),
            ("search", lambda row: row["distinct_valid_per_s"]),
        )
    }
    note = f"{arguments.threads} threads, the slowest of {len(SETTINGS)} settings, median of {arguments.repeats} runs"
    spread = max(row[name]["max"] / row[name]["min"] - 1 for row in rows.values() for name in
                 ("costing_per_s", "draws_per_s"))  # fmt: skip
    note += f"; runs differ by up to {spread:.0%}"
    bars = [
        _bench.at_least("processors: mappings costed a second", slowest["costing"], "1/s", COSTING_TARGET, note),
        _bench.at_least("processors: distinct valid mappings a second", slowest["search"], "1/s", SEARCH_TARGET, note),
        _bench.at_most(
            "processors: difference to the reference",
            max(row["largest_difference"] for row in rows.values()),
            "relative",
            1e-12,
        ),
    ]
    if arguments.threads != 2:
        bars[:2] = [_bench.not_met(bar, "defined on two threads") for bar in bars[:2]]
    result.bars += bars


def costed(given: Any, mappings: Any) -> Any:
    counts = count(given, mappings)
    cost(given, counts)
    return counts


def rates(amount: int, seconds: list[float]) -> dict[str, Any]:
    return _bench.summary([amount / second for second in seconds])


def shares(
    given: Any, sample: Callable[..., Any], evaluate: Callable[..., Any], samples: int, threads: int
) -> dict[str, Any]:
    """Of the draws of one whole run: the share that is valid, and the share that is valid and distinct."""
    found, valid = [], 0
    for begin, end in parts_of(samples, PART):
        part = sample(given, end - begin, 1, first=begin)
        fine = evaluate(given, part, threads).excess == 0
        valid += int(fine.sum())
        found.append(identities(part)[fine])
    distinct = len(np.unique(np.concatenate(found)))
    return {
        "draws": samples,
        "valid_share": valid / samples,
        "distinct_share_of_valid": distinct / max(1, valid),
        "distinct_valid_share": distinct / samples,
    }


def difference(given: Any, batch: Any, evaluate: Callable[..., Any]) -> float:
    """Largest relative difference of energy and cycles to the reference over the first mappings; infinite where one is
    valid here and not there."""
    part = type(batch)(batch.temporal[:20_000], batch.rank[:20_000], batch.spatial[:20_000])
    plain, found = cost(given, count(given, part)), evaluate(given, part)
    if not np.array_equal(found.excess == 0, are_valid(given, part)):
        return math.inf
    return float(
        max(
            np.abs(found.energy_pj / plain.energy_pj - 1).max(),
            np.abs(found.cycles / plain.cycles - 1).max(),
        )
    )
