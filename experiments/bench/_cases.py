"""What experiments over seeds share: their arguments, cases side by side in processes, intervals."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import _bench

SEEDS = 5


def parser(description: str | None, trials: int | None = None, seeds: int = SEEDS) -> argparse.ArgumentParser:
    """`--seeds`, `--processes` and, for a search, `--trials`, beside what every benchmark takes."""
    options = _bench.parser(description)
    options.add_argument("--seeds", type=int, default=seeds)
    options.add_argument("--processes", type=int, default=2, help="cases that run side by side")
    if trials is not None:
        options.add_argument("--trials", type=int, default=trials, help="evaluations of each search")
    return options


def over_seeds(one_seed: Callable[..., dict[str, Any]], arguments: argparse.Namespace, *more: Any) -> list[Any]:
    """[one_seed(seed, *more), ...], several at once in processes of their own."""
    return over_cases(one_seed, arguments, [(seed, *more) for seed in range(arguments.seeds)])


def over_cases(
    one_case: Callable[..., dict[str, Any]], arguments: argparse.Namespace, cases: Sequence[tuple[Any, ...]]
) -> list[Any]:
    """[one_case(*case), ...], several at once in processes of their own."""
    if arguments.processes == 1:
        return [one_case(*case) for case in cases]
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        return [task.result() for task in [pool.submit(one_case, *case) for case in cases]]


def interval(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and the ends of the 95 % t-interval, None below two values."""
    mean, low, high = _bench.t_interval(values)
    ends = (low, high) if math.isfinite(low) else (None, None)
    return {"mean": mean, "low": ends[0], "high": ends[1]}


def shown(found: dict[str, float | None]) -> str:
    """ "0.712 [0.690, 0.734]"."""
    low, high = found["low"], found["high"]
    return f"{found['mean']:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")
