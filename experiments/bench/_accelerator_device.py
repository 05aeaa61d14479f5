"""The rows of `accelerator.py` on a CUDA device: mappings that lie there costed, and the search in one launch.

Times are the device's own (events around a launch); beside them stands the wall clock of a whole search with upload,
selection and the reference's confirmation. torch, Triton and NumPy alone.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import _bench
import numpy as np
from _accelerator_case import SETTINGS, are_valid, joined, tables

from coevo.kernels.mapping_cost import MappingArrays, cost, count

TARGET = 2e9  # distinct valid mappings a second
CHECKED = 100_000


def on_device(arguments: Any, result: _bench.Result) -> None:
    result.measurements["accelerator"] = _bench.gpu()
    copy_gb_s = _copy_gb_s()
    rows: dict[str, Any] = {"copy_gb_s": copy_gb_s}
    for setting in SETTINGS:
        given = tables(setting)
        rows[setting] = {
            "agreement": _agreement(given),
            "costing": _costing(given, arguments.repeats, copy_gb_s),
            "search": _search(given, arguments.device_draws, arguments.repeats),
        }
        print(f"{setting}: {rows[setting]}", flush=True)
    result.measurements["device"] = rows
    found = [rows[setting] for setting in SETTINGS]
    draws = found[0]["search"]["draws"]
    search_note = (
        f"the slowest of {len(SETTINGS)} settings; sampling, validity, costs and selection of {draws:.3g} draws in one "
        "launch, all of them looked at for duplicates"
    )
    slowest = min(row["costing"]["mappings_per_s"] for row in found)
    shares = " to ".join(f"{pick(row['costing']['share_of_copy'] for row in found):.0%}" for pick in (min, max))
    result.bars += [
        _bench.at_least(
            "device: distinct valid mappings a second",
            min(row["search"]["distinct_valid_per_s"] for row in found),
            "1/s",
            TARGET,
            search_note,
        ),
        _bench.at_least(
            "device: mappings costed a second where they lie in its memory",
            slowest,
            "1/s",
            TARGET,
            f"the slowest of {len(SETTINGS)} settings; {shares} of a copy's {copy_gb_s:.0f} GB/s",
        ),
        _bench.at_most(
            "device: counts that differ from the reference",
            sum(row["agreement"]["counts_that_differ"] for row in found),
            "counts",
            0,
            f"{CHECKED} mappings a setting, half of them drawn, half of them spoilt",
        ),
        _bench.at_most(
            "device: difference of energy and cycles to the reference",
            max(row["agreement"]["largest_difference"] for row in found),
            "relative",
            1e-12,
        ),
    ]


def _agreement(given: Any) -> dict[str, Any]:
    """Drawn mappings, and as many with one bound changed so that most do not fit, against the reference."""
    from coevo.kernels.mapping_cost.triton_batch import DeviceMappings, cost_batch, count_batch

    drawn = _drawn(given, CHECKED // 2)
    rng = np.random.default_rng(0)
    temporal, place = drawn.temporal.copy(), np.arange(len(drawn))
    temporal[place, rng.integers(given.levels, size=len(place)), rng.integers(8, size=len(place))] = 5
    mappings = joined([drawn, MappingArrays(temporal, drawn.rank, drawn.spatial)])
    wanted = count(given, mappings)
    costs, there = cost(given, wanted), DeviceMappings.of(mappings, "cuda")
    counts, found = count_batch(given, there).cpu().numpy(), cost_batch(given, there)
    names = ("reads", "writes", "sent", "delivered", "tile_words")
    valid = are_valid(given, mappings)
    return {
        "mappings": len(mappings),
        "valid": int(valid.sum()),
        "counts_that_differ": int(
            sum((counts[:, place] != getattr(wanted, name)).sum() for place, name in enumerate(names))
            + ((found.valid.cpu().numpy() != 0) != valid).sum()
        ),
        "largest_difference": float(
            max(
                np.abs(found.energy_pj.cpu().numpy() / costs.energy_pj - 1).max(),
                np.abs(found.cycles.cpu().numpy() / costs.cycles - 1).max(),
            )
        ),
    }


def _drawn(given: Any, amount: int) -> MappingArrays:
    import torch

    from coevo.kernels.mapping_cost.triton_sample import rooms_of
    from coevo.kernels.mapping_cost.triton_search import drawn_mappings
    from coevo.kernels.mapping_cost.triton_structure import structure_of

    rooms = torch.from_numpy(rooms_of([given])).to("cuda")
    return drawn_mappings(structure_of([given]), rooms[0], np.arange(amount), 11, "cuda")


def _costing(given: Any, repeats: int, copy_gb_s: float) -> dict[str, Any]:
    """2^26 mappings in device memory: 2^18 draws, 256 times over, each copy in memory of its own."""
    import torch

    from coevo.kernels.mapping_cost.triton_batch import DeviceMappings, cost_batch, upload_figures

    some = DeviceMappings.of(_drawn(given, 2**18), "cuda")
    many = DeviceMappings(*(torch.cat([part] * 256, dim=-1) for part in (some.temporal, some.order, some.spatial)))
    figures = upload_figures([given], "cuda")
    seconds = _device_seconds(lambda: cost_batch(given, many, figures), repeats)
    rate = len(many) / statistics.median(seconds)
    moved = many.bytes_a_mapping + 17  # two doubles and a byte are written
    return {
        "mappings": len(many),
        "mappings_per_s": rate,
        "ms": _bench.summary([1e3 * second for second in seconds]),
        "bytes_a_mapping": moved,
        "gb_s": rate * moved / 1e9,
        "share_of_copy": rate * moved / 1e9 / copy_gb_s,
    }


def _search(given: Any, draws: int, repeats: int) -> dict[str, Any]:
    from coevo.kernels.mapping_cost.triton_distinct import count_distinct
    from coevo.kernels.mapping_cost.triton_search import Launch, search

    launch = Launch([given], draws, 7, "cuda")
    seconds = _device_seconds(launch.run, repeats)
    began = time.perf_counter()
    (best,) = search([given], draws, 7, "cuda")
    wall_s = time.perf_counter() - began
    small = count_distinct(given, 10**7, 7, "cuda")
    slices = max(1, 2 ** round(math.log2(launch.drawn / 2**28)))
    whole = count_distinct(given, launch.drawn, 7, "cuda", slices=slices)
    rate = launch.drawn / statistics.median(seconds)
    if whole.valid != best.valid:
        raise RuntimeError(f"the search calls {best.valid} draws valid, the count of duplicates {whole.valid}")
    return {
        "draws": launch.drawn,
        "seconds": _bench.summary(seconds),
        "draws_per_s": rate,
        "wall_s_of_a_whole_search": wall_s,
        "valid_share": whole.valid / whole.drawn,
        "distinct_share_of_valid": whole.distinct,
        "distinct_share_of_10_million": small.distinct,
        "distinct_valid_per_s": rate * whole.valid / whole.drawn * whole.distinct,
        "share_whose_costs_may_differ": whole.distinct_to_cost,
        "cost_distinct_valid_per_s": rate * whole.valid / whole.drawn * whole.distinct_to_cost,
        "hashes_counted": f"one in {slices}",
        "best": {
            "energy_pj": float(best.energy_pj[0]),
            "cycles": float(best.cycles[1]),
            "edp_pj_cycles": float(best.energy_pj[2] * best.cycles[2]),
        },
    }


def _device_seconds(work: Callable[[], Any], repeats: int) -> list[float]:
    """The device's time of each run, after one that compiles."""
    import torch

    work()
    torch.cuda.synchronize()
    seconds = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        seconds.append(begin.elapsed_time(end) / 1e3)
    return seconds


def _copy_gb_s() -> float:
    """Bytes read and written a second by a copy of 4 GiB of random numbers on the device."""
    import torch

    source = torch.rand(2**30, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    return 2 * 2**32 / statistics.median(_device_seconds(lambda: target.copy_(source), 10)) / 1e9
