"""Does `runner = "ray"` in the place of `runner = "local"` change a figure? On the quickstart's problem, made small.

    python experiments/ray_is_one_word.py [--out experiments/results/ray_is_one_word.json] [--json] [--trials 60]

Two files that differ by that one word are run by `coevo run`, each in a process and a run folder of its own: one local
worker, and four Ray actors. Every trial's design, seed, metrics and failure, and every point of the front, are compared
bit for bit. What `prepare` trains is compared by its digests.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "experiments" / "bench"))

import _bench  # noqa: E402

from coevo.search.run import Run  # noqa: E402

EXPERIMENT = """problem = "quantumnas"

[options]
max_blocks = 3
supercircuit_steps = 300
train_examples = 200
validation_examples = 100
test_examples = 100
fine_tune_steps = 10

[objectives]
noisy_accuracy = "max"
two_qubit_gates = "min"

[search]
algorithm = "nsga2"
population = 16
trials = {trials}
seed = 0

[run]
runner = "local"
export = "none"
"""
WORKERS = {"local": 1, "ray": 4}


def run(folder: Path, runner: str, text: str) -> dict[str, Any]:
    (folder / f"{runner}.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "coevo", "run", str(folder / f"{runner}.toml"), "--json"]
    command += ["--out", str(folder / runner), "--workers", str(WORKERS[runner])]
    begun = time.monotonic()
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths})
    if done.returncode != 0:
        raise RuntimeError(f"coevo run ended with {done.returncode}: {done.stderr[-2000:]}")
    found = Run.open(folder / runner)
    return {
        "seconds": round(time.monotonic() - begun, 1),
        "trials": [(t.index, t.design.key, t.seed, dict(t.outcome.metrics), t.outcome.failure) for t in found.trials()],
        "front": [(row["key"], row["metrics"]) for row in json.loads(done.stdout)["front"]],
        "prepared": found.prepared["artifacts"],
    }


def main(argv: Sequence[str] | None = None) -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--trials", type=int, default=60)
    arguments: argparse.Namespace = options.parse_args(argv)
    result = _bench.Result("ray_is_one_word", packages=("ray", "torch", "qiskit"))
    files = {"local": EXPERIMENT.format(trials=arguments.trials)}
    files["ray"] = files["local"].replace('runner = "local"', 'runner = "ray"')
    words = [word for word in difflib.ndiff(*(text.split() for text in files.values())) if word[0] in "+-"]
    with tempfile.TemporaryDirectory() as folder:
        found = {name: run(Path(folder), name, text) for name, text in files.items()}
    local, ray = found["local"], found["ray"]
    different = sum(a != b for a, b in zip(local["trials"], ray["trials"], strict=True))
    result.settings = {"experiment": files["local"], "workers": WORKERS, "changed": words}
    result.measurements = {
        "trials": len(local["trials"]),
        "failed": sum(row[4] is not None for row in local["trials"]),
        "front": len(local["front"]),
        "seconds": {name: run["seconds"] for name, run in found.items()},
        "prepared": local["prepared"],
    }
    result.bars = [
        _bench.at_most("words of the file that change", float(len(words) / 2), "words", 1),
        _bench.at_most("trials that differ in design, seed, metrics or failure", float(different), "trials", 0),
        _bench.at_most("points of the front that differ", float(local["front"] != ray["front"]), "", 0),
        _bench.at_most("prepared artefacts that differ", float(local["prepared"] != ray["prepared"]), "", 0),
    ]
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
