"""What the parts of `quantum.py` share: CPU times, and the circuits and states that they measure."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from coevo.cost_models.circuit_noise import Program
from coevo.hardware.quantum import QuantumDevice

QUBITS, RING = 4, ((0, 1), (1, 2), (2, 3), (3, 0))
ENCODER = tuple((("ry", "rz", "rx", "ry")[index // 4], index % 4, index) for index in range(16))
"""MNIST-4's encoder: (gate, qubit, input)."""


def cpu_ms(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return 1e3 * (time.process_time() - began)


def median(values: list[float]) -> float:
    return float(np.median(values))


def gates_of_u3_cu3(blocks: int) -> list[Any]:
    """The gate list of `Circuit`; angles as [blocks, 2, qubits, 3] flat."""
    gates, slot = [], 0
    for _ in range(blocks):
        for name, places in (("u3", [(qubit,) for qubit in range(QUBITS)]), ("cu3", RING)):
            for place in places:
                gates.append((name, place, (slot, slot + 1, slot + 2)))
                slot += 3
    return gates


def random_states(rng: np.random.Generator, samples: int, dtype: Any) -> np.ndarray:
    from coevo.kernels.statevector import product_states

    kind = np.complex64 if dtype == np.float32 else np.complex128
    return product_states(rng.uniform(-0.5, 2.8, (samples, 16)), ENCODER, QUBITS).astype(kind)


def native_gates(device: QuantumDevice, active: list[int], count: int, rng: np.random.Generator) -> list[Any]:
    """Random native gates among active qubits; every third on two of them, so that all are entangled."""
    pairs = [place for place in device.calibration.instructions["cx"] if {*place} <= {*active}]
    gates: list[Any] = [("sx", (qubit,), ()) for qubit in active]
    while len(gates) < count:
        if len(gates) % 3 == 0:
            gates.append(("cx", pairs[int(rng.integers(len(pairs)))], ()))
        elif len(gates) % 3 == 1:
            gates.append(("rz", (active[int(rng.integers(len(active)))],), (float(rng.uniform(-3, 3)),)))
        else:
            gates.append(("sx", (active[int(rng.integers(len(active)))],), ()))
    return gates


def bandwidth(program: Program, dtype: Any, taken_ms: float, copy_gb_s: float) -> dict[str, float]:
    """Share of a plain copy's bandwidth that the sweep reaches: four passes over the operators a block (reordering
    reads and writes, the product reads and writes). An operator that has reached few qubits is small and may stay in a
    cache, so on a CPU the share can only be a bound from above."""
    from coevo.kernels.pauli_transfer.plan import plan

    made = plan([program.body.rows], [program.read], [program.encoder.qubits])
    moved = 4 * made.blocks.shape[1] * len(program.read) * 4**made.width * np.dtype(dtype).itemsize
    reached = moved / taken_ms / 1e6
    return {
        "moved_gb": moved / 1e9,
        "reached_gb_s": reached,
        "copy_gb_s": copy_gb_s,
        "share": reached / copy_gb_s,
    }
