"""What experiments over seeds share: their arguments, cases side by side in processes, intervals."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import _bench

SEEDS = 5


def parser(description: str | None, trials: int | None = None, seeds: int = SEEDS) -> argparse.ArgumentParser:
    """`--seeds`, `--processes`, `--rows` and, for a search, `--trials`, beside what every benchmark takes."""
    options = _bench.parser(description)
    options.add_argument("--seeds", type=int, default=seeds)
    options.add_argument("--processes", type=int, default=2, help="cases that run side by side")
    options.add_argument("--rows", type=Path, metavar="FILE", help="results as they come; taken up by a later run")
    if trials is not None:
        options.add_argument("--trials", type=int, default=trials, help="evaluations of each search")
    return options


def over_seeds(one_seed: Callable[..., dict[str, Any]], arguments: argparse.Namespace, *more: Any) -> list[Any]:
    """[one_seed(seed, *more), ...], several at once in processes of their own."""
    return over_cases(one_seed, arguments, [(seed, *more) for seed in range(arguments.seeds)], arguments.rows)


def over_cases(
    one_case: Callable[..., dict[str, Any]],
    arguments: argparse.Namespace,
    cases: Sequence[tuple[Any, ...]],
    rows: Path | None = None,
) -> list[Any]:
    """[one_case(*case), ...], several at once in processes of their own.

    With `rows` every result is appended to that file as it comes, a line of JSON each, and a case that stands there is
    not run again: a long experiment goes on where it was stopped.
    """
    known = {}
    if rows is not None and rows.is_file():
        known = {json.dumps(row["case"]): row["result"] for row in map(json.loads, rows.read_text().splitlines())}
    names = [json.dumps(case) for case in cases]
    missing = [(name, case) for name, case in zip(names, cases, strict=True) if name not in known]
    for name, result in _run(one_case, arguments.processes, missing):
        known[name] = result
        if rows is not None:
            with rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"case": json.loads(name), "result": result}) + "\n")
    return [known[name] for name in names]


def _run(
    one_case: Callable[..., dict[str, Any]], processes: int, cases: Sequence[tuple[str, tuple[Any, ...]]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    if processes == 1:
        yield from ((name, one_case(*case)) for name, case in cases)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        under_way = {pool.submit(one_case, *case): name for name, case in cases}
        yield from ((under_way[done], done.result()) for done in as_completed(under_way))


def interval(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and the ends of the 95 % t-interval, None below two values."""
    mean, low, high = _bench.t_interval(values)
    ends = (low, high) if math.isfinite(low) else (None, None)
    return {"mean": mean, "low": ends[0], "high": ends[1]}


def shown(found: dict[str, float | None]) -> str:
    """ "0.712 [0.690, 0.734]"."""
    low, high = found["low"], found["high"]
    return f"{found['mean']:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")
