"""Asks AccelForge what a mapping costs. Runs inside its own environment (`make oracles`), without coevo.

    python ask_accelforge.py CASES.json          the answers to the cases by name, as JSON
    python ask_accelforge.py --time CASE.json    how long one evaluation of one case takes, as JSON

A case is what `coevo.cost_models.accelerator.interchange.case.case` gives. An answer has words read and written by
component and tensor, energy in pJ, and cycles.
"""

import importlib.metadata
import json
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import accelforge

logging.disable(logging.WARNING)


def specify(case):
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name in ("arch", "workload", "mapping"):
            paths.append(Path(folder) / f"{name}.yaml")
            paths[-1].write_text(case["accelforge"][name])
        return accelforge.Spec.from_yaml(*map(str, paths))


def evaluate(case):
    result = specify(case).evaluate_mapping()
    counts = {}
    for (component, tensor, action), bits in result.actions(per_component=True, per_tensor=True).items():
        if tensor != "None":
            words = float(bits) / case["bits"][component][tensor]
            counts.setdefault(component, {}).setdefault(tensor, {})[action] = words
    clock_hz = case["record"]["accelerator"]["clock_mhz"] * 1e6
    return {
        "counts": counts,
        "energy_pj": float(result.energy()) * 1e12,
        "cycles": float(result.latency()) * clock_hz,
    }


def main(arguments):
    head = {"engine": "accelforge", "version": importlib.metadata.version("accelforge")}
    if arguments[0] == "--time":
        spec = specify(json.loads(Path(arguments[1]).read_text()))
        seconds = []
        for _ in range(21):
            begin = time.perf_counter()
            spec.evaluate_mapping()
            seconds.append(time.perf_counter() - begin)
        print(json.dumps({**head, "seconds_per_evaluation": statistics.median(seconds[1:]), "evaluations": 20}))
        return
    cases = json.loads(Path(arguments[0]).read_text())
    print(json.dumps({**head, "answers": {name: evaluate(content) for name, content in cases.items()}}))


main(sys.argv[1:])
