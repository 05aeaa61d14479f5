"""What the benchmarks share: the device they ran on, pass bars, small statistics, and the JSON they write.

A benchmark builds a `Result`, adds measurements and bars, and ends with `Result.finish(arguments)`. The document is

    {"benchmark": name, "device": {...}, "settings": {...}, "measurements": {...},
     "bars": [{"name", "value", "unit", "target", "holds", "note"}], "all_hold": bool}

Nothing in it names the host, a folder or a person.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if importlib.util.find_spec("coevo") is None:  # a copy of the tree on a machine where nothing was installed
    sys.path.insert(0, str(ROOT))


def device(packages: Sequence[str] = ()) -> dict[str, Any]:
    """The machine and the software: CPU model, cores, memory (GiB), OS, Python, package versions, commit."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "os": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in ("coevo", "numpy", *packages)},
        "commit": commit(),
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def gpu() -> dict[str, Any]:
    """The CUDA device and CUDA's version."""
    import torch

    properties = torch.cuda.get_device_properties(0)
    return {
        "name": properties.name,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "multiprocessors": properties.multi_processor_count,
        "l2_mib": properties.L2_cache_size / 2**20,
        "cuda": torch.version.cuda,
    }


def commit() -> str | None:
    """The commit of this tree, with "+changes" where tracked files of the package differ from it; None without git."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if head is None:
        return None
    return head + ("+changes" if _git("status", "--porcelain", "--", "coevo", "experiments/bench") else "")


def bar(name: str, value: float | None, unit: str, target: str, holds: bool, note: str = "") -> dict[str, Any]:
    """One pass bar: what was measured, what was asked for, and whether it holds. No value never holds."""
    finite = value is not None and math.isfinite(value)
    return {
        "name": name,
        "value": _rounded(value) if finite else None,
        "unit": unit,
        "target": target,
        "holds": bool(holds) and finite,
        "note": note,
    }


def at_most(name: str, value: float | None, unit: str, limit: float, note: str = "") -> dict[str, Any]:
    """A bar that holds where the value is at most the limit."""
    return bar(name, value, unit, f"<= {limit:g}", value is not None and value <= limit, note)


def at_least(name: str, value: float | None, unit: str, limit: float, note: str = "") -> dict[str, Any]:
    """A bar that holds where the value is at least the limit."""
    return bar(name, value, unit, f">= {limit:g}", value is not None and value >= limit, note)


def above_zero(name: str, differences: Sequence[float], unit: str, note: str = "") -> dict[str, Any]:
    """A bar that holds where the 95 % t-interval of the mean of paired differences lies above zero.

    Its value is the interval's lower end.
    """
    mean, low, high = t_interval(differences)
    text = f"mean {mean:.4g}, 95 % interval [{low:.4g}, {high:.4g}] over {len(differences)} pairs"
    return bar(name, low, unit, "lower end of the 95 % t-interval > 0", low > 0, "; ".join(filter(None, (text, note))))


def not_met(given: Mapping[str, Any], why: str) -> dict[str, Any]:
    """The same bar, marked as not met: for a run on fewer cases than the bar is defined on."""
    return {**given, "holds": False, "note": "; ".join(filter(None, (given["note"], why)))}


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean and the two ends of Student's t-interval; infinite ends below two values."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, -math.inf, math.inf
    half = _t_quantile(0.5 + level / 2, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, extremes and count of repeats."""
    return {
        "median": _rounded(statistics.median(values)),
        "min": _rounded(min(values)),
        "max": _rounded(max(values)),
        "repeats": len(values),
    }


@dataclass
class Result:
    """What one benchmark found. `packages` are the peers whose versions the fingerprint records."""

    benchmark: str
    packages: Sequence[str] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    measurements: dict[str, Any] = field(default_factory=dict)
    bars: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def finish(self, arguments: argparse.Namespace) -> int:
        """Print the bars, write the document where it was asked for; 0 where every bar holds, else 1.

        With `--json` the document is the last line of standard output.
        """
        print_bars(self.bars)
        document = self.keep(arguments)
        if arguments.json:
            print(json.dumps(document, allow_nan=False), flush=True)
        return 0 if document["all_hold"] else 1

    def keep(self, arguments: argparse.Namespace) -> dict[str, Any]:
        """The document as it is by now, written where it was asked for: what a run that is cut off leaves."""
        document = {
            "benchmark": self.benchmark,
            "date": date.today().isoformat(),
            "took_s": round(time.perf_counter() - self.started, 1),
            "device": device(self.packages),
            "settings": self.settings,
            "measurements": self.measurements,
            "bars": self.bars,
            "all_hold": bool(self.bars) and all(entry["holds"] for entry in self.bars),
        }
        if arguments.out is not None:
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return document


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser that knows `--json` and `--out FILE`."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true", help="print the document as the last line of standard output")
    options.add_argument("--out", type=Path, metavar="FILE", help="write the document into FILE")
    return options


def print_bars(bars: Sequence[Mapping[str, Any]]) -> None:
    """The bars as lines for people."""
    print()
    for entry in bars:
        value = "not measured" if entry["value"] is None else f"{entry['value']:.4g} {entry['unit']}".rstrip()
        note = f"  ({entry['note']})" if entry["note"] else ""
        print(f"{'holds ' if entry['holds'] else 'MISSED'}  {entry['name']}: {value}, target {entry['target']}{note}")
    sys.stdout.flush()


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as aligned text; floats get four significant digits."""
    cells = [[_cell(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _t_quantile(probability: float, degrees: int) -> float:
    """Student's t quantile by bisection; needs no SciPy."""
    low, high = 0.0, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_distribution(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def _t_distribution(t: float, degrees: int) -> float:
    """P(T <= t) for t >= 0 and whole degrees of freedom (the finite trigonometric sums)."""
    theta = math.atan(t / math.sqrt(degrees))
    cosine, sine = math.cos(theta), math.sin(theta)
    if degrees % 2:
        term, total = cosine, 0.0
        for k in range(1, (degrees - 1) // 2 + 1):
            total += term
            term *= cosine**2 * 2 * k / (2 * k + 1)
        return 0.5 + (theta + sine * total) / math.pi
    term, total = 1.0, 0.0
    for k in range(1, degrees // 2 + 1):
        total += term
        term *= cosine**2 * (2 * k - 1) / (2 * k)
    return 0.5 + sine * total / 2


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        if package != "coevo":
            return None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['version']} (not installed)"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
