"""The part `budget`: QuantumNAS's whole search (1,210 evaluations) through coevo's study, on two workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import _bench

HERE = Path(__file__).resolve().parent


def budget(arguments: Any, result: _bench.Result) -> None:
    """In a process of its own with an empty folder; what numba compiled lasts a machine's life, so it is measured with
    its cache and apart without."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, fresh in (("compiled before", False), ("first use of the machine", True)):
            environment = os.environ | ({"NUMBA_CACHE_DIR": f"{scratch}/numba"} if fresh else {})
            sizes = (arguments.supercircuit_steps, arguments.trials, 2, arguments.seed)
            if not fresh:  # compiles
                _alone(environment, f"{scratch}/warm", 10, 16, *sizes[2:])
            found[name] = _alone(environment, f"{scratch}/{name}", *sizes)
    print(
        _bench.table(
            ("budget, 2 workers", "SuperCircuit s", "search s", "search CPU s", "evaluations"),
            [
                (name, row["supercircuit_s"], row["search_s"], row["search_cpu_s"], row["evaluations"])
                for name, row in found.items()
            ],
        )
    )
    row, first = found["compiled before"], found["first use of the machine"]
    compiling = sum(first[key] - row[key] for key in ("supercircuit_cpu_s", "search_cpu_s"))
    print(f"numba, first use of a machine: {compiling:.1f} s of CPU time, this process and two workers together")
    entry = _bench.at_most(
        "QuantumNAS's whole search budget, 2 workers: wall clock",
        row["search_s"],
        "s",
        15,
        f"{row['evaluations']} evaluations, {row['search_cpu_s']:.1f} s of CPU time; apart: the SuperCircuit's "
        f"training {row['supercircuit_s']:.1f} s; on the first use of a machine, with numba's compilation, "
        f"{first['search_s']:.1f} s and {first['supercircuit_s']:.1f} s",
    )
    whole = row["evaluations"] == 1210 and arguments.supercircuit_steps >= 6000
    result.bars.append(entry if whole else _bench.not_met(entry, "fewer evaluations or training steps"))
    result.measurements["budget"] = found | {"numba_compilation_cpu_s": compiling}


def _alone(environment: dict[str, str], *arguments: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / "_quantum_search.py"), *map(str, arguments)],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
