"""The bars of `gpu_sparse.py`, read off its measurements. What was not measured, or not on what a bar is defined on
(width 1.0, a real scan among at least 20, capacity 120,000), is not met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import _bench
from _sparse_inputs import CAPACITY

CAPTURED, UNCAPTURED = "captured", "uncaptured"
OURS = "coevo"


def bars(measured: Mapping[str, Any], arguments: Any) -> list[dict[str, Any]]:
    """Every bar, in the issue's order."""
    made = list(_all(measured))
    short = []
    if arguments.scan is None:
        short.append("no real scan was given")
    if arguments.scans < 20:
        short.append(f"{arguments.scans} scans, not 20")
    if arguments.capacity != CAPACITY:
        short.append(f"capacity {arguments.capacity}")
    return [_bench.not_met(bar, "; ".join(short)) for bar in made] if short else made


def _all(measured: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    one, four = (_at(measured, "inference", f"width 1, batch {batch}", OURS) for batch in (1, 4))
    captured, without = one.get(CAPTURED, {}), one.get(UNCAPTURED, {})
    yield _bench.at_most("one scan, captured: median", captured.get("median_ms"), "ms", 1.5, _spread(captured))
    yield _bench.at_most("one scan, not captured: median", without.get("median_ms"), "ms", 4.0, _spread(without))
    batch = four.get(CAPTURED, {})
    yield _bench.at_most("four different scans, captured: median", batch.get("median_ms"), "ms", 4.0, _spread(batch))
    for size, limit in ((1, 9.0), (4, 25.0)):
        step = _at(measured, "training", f"width 1, batch {size}", OURS)
        note = "" if step.get("loss_is_finite", True) else "the loss is not finite"
        yield _bench.at_most(f"training step, batch {size}: median", step.get("median_ms"), "ms", limit, note)
    maps = _at(measured, "stages", OURS)
    note = "captured, the first scan"
    yield _bench.at_most(
        "maps of all strides of one scan", maps.get("maps_captured_ms"), "ms", 0.2, "captured, real scan"
    )
    for way in (CAPTURED, UNCAPTURED):
        row = _at(measured, "accuracy", OURS, way)
        inside, scans = row.get("within_tolerance"), row.get("scans")
        note = f"of {scans}; worst relative distance {row.get('worst_relative')}" if scans else ""
        yield _bench.at_least(f"scans within tolerance of float64, {way}", inside, "scans", scans or 20, note)
    yield from _memory(measured)
    same = _at(measured, "reproducible")
    yield _bench.at_most("bytes that differ after two trainings of 50 steps", same.get("different_bytes"), "bytes", 0)


def _memory(measured: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Ours beside the leanest peer; the pool of a captured graph counts in full."""
    for batch in (1, 4):
        case = _at(measured, "memory", f"batch {batch}")
        ours = case.get(OURS, {}).get(CAPTURED, {}).get("peak_mib")
        peers = {name: row.get("as installed", {}).get("peak_mib") for name, row in _peers(case)}
        yield _leaner(f"peak memory of inference, captured, batch {batch}", ours, peers)
    for batch in (1, 4):
        case = _at(measured, "training", f"width 1, batch {batch}")
        ours = case.get(OURS, {}).get("memory", {}).get("peak_mib")
        peers = {name: row.get("memory", {}).get("peak_mib") for name, row in _peers(case)}
        yield _leaner(f"peak memory of a training step, batch {batch}", ours, peers)


def _leaner(name: str, ours: float | None, peers: Mapping[str, float | None]) -> dict[str, Any]:
    known = {peer: value for peer, value in peers.items() if value is not None}
    if not known:
        return _bench.not_met(_bench.bar(name, ours, "MiB", "<= the leanest peer's", False), "no peer was measured")
    leanest = min(known, key=lambda peer: known[peer])
    return _bench.at_most(name, ours, "MiB", known[leanest], f"the leanest peer is {leanest}")


def _peers(case: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, row) for name, row in case.items() if isinstance(row, dict) and name != OURS]


def _spread(row: Mapping[str, Any]) -> str:
    if "first_scan_ms" not in row:
        return ""
    return f"the real scan {row['first_scan_ms']:.3g} ms, the slowest {row['slowest_scan_ms']:.3g} ms"


def _at(measured: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The row at the path; empty where it was not measured."""
    row: Any = measured
    for name in path:
        row = row.get(name, {}) if isinstance(row, Mapping) else {}
    return row if isinstance(row, dict) else {}
