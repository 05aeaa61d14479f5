"""Random programs of the snapshots beside the benchmarks: no Qiskit, so that they run where only torch is installed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("torch"):
    import torch

    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"  # read where kernels are defined: before any test imports them

SNAPSHOTS = Path(__file__).resolve().parents[3] / "experiments" / "bench" / "snapshots"


@pytest.fixture(scope="session")
def devices():
    """{name: QuantumDevice}: 5 qubits in a T, and 16 in a ring with ends."""
    from coevo.hardware.quantum import QuantumDevice

    return {name: QuantumDevice.from_snapshot(SNAPSHOTS / f"fake_{name}.json") for name in ("quito", "guadalupe")}


@pytest.fixture(scope="session")
def random_program():
    """(device, rng, active, gates, reads, inputs) -> a Program of random native gates and delays within a connected set
    of `active` qubits, some of them encoded, that reads `reads` of them."""
    from coevo.cost_models.circuit_noise import Input, program_from_gates

    def build(device, rng, active, gates, reads, inputs):
        near = {qubit: set() for qubit in range(device.num_qubits)}
        for a, b in device.edges:
            near[a].add(b)
            near[b].add(a)
        chosen = [int(rng.integers(device.num_qubits))]
        while len(chosen) < active:
            around = sorted(set().union(*(near[qubit] for qubit in chosen)) - set(chosen))
            chosen.append(around[int(rng.integers(len(around)))])
        made = []
        for qubit in rng.permutation(chosen)[: int(rng.integers(active + 1))].tolist() if inputs else []:
            for _ in range(int(rng.integers(1, 4))):
                angle = Input(int(rng.integers(inputs)), *rng.uniform(-2, 2, 2).tolist())
                made += [("rz", (qubit,), (angle,)), ("sx", (qubit,), ())]
        pairs = [place for place in device.calibration.instructions["cx"] if {*place} <= {*chosen}]
        for _ in range(gates):
            qubit = int(rng.choice(chosen))
            kind = rng.random()
            if pairs and kind < 0.4:
                made.append(("cx", pairs[int(rng.integers(len(pairs)))], ()))
            elif kind < 0.65:
                made.append(("rz", (qubit,), (float(rng.uniform(-3, 3)),)))
            elif kind < 0.95:
                made.append((("sx", "x")[int(rng.integers(2))], (qubit,), ()))
            else:
                made.append(("delay", (qubit,), (float(rng.uniform(0, 1e-5)),)))
        read = rng.permutation(chosen)[:reads].tolist()
        return program_from_gates(made, device, read, num_inputs=inputs)

    return build


@pytest.fixture(scope="session")
def random_batch(devices, random_program):
    """(seed) -> (programs, inputs [samples, columns]): both devices mixed, light cones from 1 to 6 qubits, programs of
    two one-qubit gates beside long ones, different numbers of encoded qubits."""

    def build(seed):
        rng = np.random.default_rng(seed)
        reads, inputs = int(rng.integers(1, 4)), int(rng.integers(4))
        programs = []
        for _ in range(int(rng.integers(1, 7))):
            name = ("quito", "guadalupe")[int(rng.integers(2))]
            active = int(rng.integers(reads, 6 if name == "quito" else 7))
            gates = int(rng.choice([0, 2, 20, 60]))
            programs.append(random_program(devices[name], rng, active, gates, reads, inputs))
        return programs, rng.uniform(-3, 3, (int(rng.integers(1, 6)), inputs))

    return build
