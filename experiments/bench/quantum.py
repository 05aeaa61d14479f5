"""Quantum circuits: noisy fitness, training steps with and without noise, and ten qubits.

    fitness      64 U3+CU3 SubCircuits on FakeQuitoV2, from transpiled QuantumCircuit to 500 x 4 expectation values,
                 beside every way that Aer offers, each measured on part of the data
    step         a SuperCircuit training step, 64 gates, batch 256, beside other libraries; each peer runs in its own
                 interpreter, named by --peer NAME=PYTHON (NAME: deepquantum, pyqtorch, tensorcircuit-ng, pennylane)
    noise_aware  a full-batch step through the noise beside the noise-free one on the same circuit, 64 to 4,096 samples
                 (1,000 are MNIST-4's training examples)
    large        10 qubits, 10 observables, 200 gates with noise: time and memory, beside Aer
    budget       QuantumNAS's whole search (1,210 evaluations), transpilation included, nothing cached, on 2 workers

Times are CPU times on one thread; where two sides are compared they are taken in turn within the same minute, and
medians are shown. With --device cuda the parts fitness and large run on the device (`_quantum_device.py`).

    python experiments/bench/quantum.py --json --out experiments/results/quantum.json
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import warnings
from importlib import import_module
from typing import Any

import _bench

PARTS = ("fitness", "step", "noise_aware", "large", "budget")
ON_DEVICE = ("fitness", "large")


def part(name: str, on_cpu: bool) -> Any:
    """A part's function; each stands in a file of its own and imports what it needs, when it is asked for."""
    if on_cpu:
        return getattr(import_module(f"_quantum_{name}"), name)
    return getattr(import_module("_quantum_device"), f"{name}_on_device")


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    options.add_argument("--device", default="cpu", help="cpu, or cuda for fitness and large")
    options.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="of the part step")
    options.add_argument("--candidates", type=int, default=64)
    options.add_argument("--samples", type=int, default=500)
    options.add_argument("--aer-candidates", type=int, default=8, help="candidates that Aer judges (8)")
    options.add_argument("--aer-samples", type=int, default=100, help="samples that Aer judges, extrapolated (100)")
    options.add_argument("--trials", type=int, default=1210, help="evaluations of the part budget (1210)")
    options.add_argument("--supercircuit-steps", type=int, default=6000, help="of the part budget (6000)")
    options.add_argument("--repeats", type=int, default=12)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="qiskit_ibm_runtime")
    parts = arguments.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        options.error(f"unknown part {', '.join(sorted(unknown))}; expected some of {', '.join(PARTS)}")
    if arguments.device != "cpu":
        parts = [name for name in parts if name in ON_DEVICE]
    result = _bench.Result("quantum", ("qiskit", "qiskit-aer", "numba", "torch", "triton"))
    result.settings = {key: value for key, value in vars(arguments).items() if key not in ("json", "out", "peer")}
    result.settings["parts"] = ",".join(parts)
    result.settings["threads"] = int(os.environ["OMP_NUM_THREADS"])
    for name in parts:
        part(name, arguments.device == "cpu")(arguments, result)
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
