"""QuantumNAS's own search budget through coevo's study, in a process of its own: nothing is imported or cached before.

    python _quantum_search.py FOLDER SUPERCIRCUIT_STEPS TRIALS WORKERS SEED

The budget is that of the paper's evolution (section 5): population 40, 10 parents, 40 iterations, so 40 + 39 x 30 =
1,210 new evaluations, each on 500 validation samples with inherited angles. The SuperCircuit is trained first, apart;
the search then opens the device, builds its channels, transpiles every candidate and computes its exact noisy accuracy.
The answer, one line of JSON, has seconds of wall clock and CPU (workers included) of both.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def cpu_s() -> float:
    """Of this process and its ended children."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main() -> int:
    folder, steps, trials, workers, seed = Path(sys.argv[1]), *map(int, sys.argv[2:6])
    warnings.filterwarnings("ignore", category=UserWarning, module="qiskit_ibm_runtime")
    began, cpu_began = time.perf_counter(), cpu_s()
    from coevo.search import Study
    from coevo.spaces.quantumnas import problem

    subject = problem(
        gates="u3cu3",
        data="mnist4",
        device="FakeQuitoV2",
        validation_examples=500,
        supercircuit_steps=steps,
        fine_tune_steps=0,
    )
    with Study(
        subject,
        objectives={"noisy_loss": "min"},
        algorithm="nsga2",
        algorithm_options={"population": 40},
        seed=seed,
        workers=workers,
        folder=folder,
    ) as study:
        imported = time.perf_counter()
        study.prepare()  # trains the SuperCircuit
        prepared, cpu_prepared = time.perf_counter(), cpu_s()
        front = study.run(trials=trials)
        best = front.best()
        told = study.told
    ended, cpu_ended = time.perf_counter(), cpu_s()
    print(
        json.dumps(
            {
                "imports_s": imported - began,
                "supercircuit_s": prepared - imported,
                "supercircuit_cpu_s": cpu_prepared - cpu_began,
                "search_s": ended - prepared,
                "search_cpu_s": cpu_ended - cpu_prepared,
                "evaluations": told,
                "best": {name: float(value) for name, value in best.outcome.metrics.items()},
            }
        ),
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
