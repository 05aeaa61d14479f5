"""The part `noise_aware`: a full-batch training step through the noise beside the noise-free one.

Both sides compute the loss of 1,000 samples (MNIST-4's training examples) and its gradient by the 192 angles of 64 U3
and CU3 gates. The noisy side does so through every channel of the circuit that Qiskit routed on FakeQuitoV2, SWAPs
included; its sweeps do not depend on the samples, so the ratio falls as these grow. Bars are on 1,000; other numbers of
samples stand in their notes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _bench
import numpy as np
from _quantum_shared import ENCODER, QUBITS, cpu_ms, gates_of_u3_cu3, random_states

from coevo.cost_models.circuit_noise import NoiseAwareCircuit, cross_entropy, read_program
from coevo.hardware.quantum import QuantumDevice

FULL_BATCH = 1000
"""MNIST-4's training examples."""


def noise_aware(arguments: Any, result: _bench.Result) -> None:
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import ParameterVector

    from coevo.kernels.statevector import Circuit, Readout

    device, rng = QuantumDevice.from_name("FakeQuitoV2"), np.random.default_rng(arguments.seed)
    blocks = 8
    theta = ParameterVector("theta", blocks * 24)
    pixels = ParameterVector("x", 16)
    circuit = QuantumCircuit(QUBITS)
    for gate, qubit, index in ENCODER:
        getattr(circuit, gate)(pixels[index], qubit)
    circuit.barrier()
    for name, place, (a, b, c) in gates_of_u3_cu3(blocks):
        t, p, m = theta[a], theta[b], theta[c]
        if name == "u3":  # rz sx rz sx rz, by hand: every angle stays affine in the weights
            (qubit,) = place
            circuit.rz(m, qubit)
            circuit.sx(qubit)
            circuit.rz(t + np.pi, qubit)
            circuit.sx(qubit)
            circuit.rz(p + np.pi, qubit)
        else:  # OpenQASM 2's cu3, its two U gates in the same way
            control, target = place
            circuit.rz((m + p) / 2, control)
            circuit.rz((m - p) / 2, target)
            circuit.cx(control, target)
            circuit.rz(-(p + m) / 2, target)
            circuit.sx(target)
            circuit.rz(np.pi - t / 2, target)
            circuit.sx(target)
            circuit.rz(np.pi, target)
            circuit.cx(control, target)
            circuit.sx(target)
            circuit.rz(t / 2 + np.pi, target)
            circuit.sx(target)
            circuit.rz(p + np.pi, target)
    template = transpile(
        circuit, target=device.target, initial_layout=[0, 1, 2, 3], optimization_level=1, seed_transpiler=0
    )
    final = template.layout.final_index_layout()
    program = read_program(template, device, final, inputs=list(pixels), weights=list(theta))
    rows: dict[str, Any] = {"two_qubit_gates": template.num_nonlocal_gates(), "gates": 8 * blocks}
    for name in ("float64", "float32"):
        dtype = np.dtype(name).type
        counts = (64, 256, FULL_BATCH, 4096)
        for samples in counts:
            data, labels = rng.uniform(-0.5, 2.8, (samples, 16)), rng.integers(0, 4, samples)
            weights = rng.uniform(-3, 3, len(theta)).astype(dtype)
            noisy = NoiseAwareCircuit(program, data, dtype)
            loss = cross_entropy(labels)
            states = random_states(rng, samples, dtype)
            free = Readout(Circuit(QUBITS, gates_of_u3_cu3(blocks)), states, labels, np.eye(4), dtype)
            sides: dict[str, Callable[[], Any]] = {
                "noisy": lambda noisy=noisy, weights=weights, loss=loss: noisy.value_and_gradient(weights, loss),
                "noisy, no data": lambda noisy=noisy, weights=weights: noisy.sweeps(weights),
                "noise-free": lambda free=free, weights=weights: free.value_and_gradient(weights[None]),
            }
            times: dict[str, list[float]] = {side: [] for side in sides}
            for side in sides.values():
                side()
            for _ in range(arguments.repeats * 3):
                for side, work in sides.items():
                    times[side].append(cpu_ms(work))
            rows[f"{name}, {samples} samples"] = {side: _bench.summary(taken) for side, taken in times.items()}
        found = {samples: rows[f"{name}, {samples} samples"] for samples in counts}
        table = [[samples, *(row[side]["median"] for side in sides)] for samples, row in found.items()]
        print(_bench.table((f"full-batch step, {name}", *sides), table))
        ratios = {samples: row["noisy"]["median"] / row["noise-free"]["median"] for samples, row in found.items()}
        row = found[FULL_BATCH]
        others = ", ".join(f"{samples}: {ratio:.2f} x" for samples, ratio in ratios.items() if samples != FULL_BATCH)
        result.bars.append(
            _bench.at_most(
                f"noise-aware step over the noise-free one, {name}, {FULL_BATCH} samples",
                ratios[FULL_BATCH],
                "x",
                3,
                f"{row['noisy']['median']:.3g} ms over {row['noise-free']['median']:.3g} ms; other samples: {others}",
            )
        )
        result.bars.append(
            _bench.at_most(
                f"the noisy sweeps, {name}: 4,096 samples over 64",
                found[4096]["noisy, no data"]["median"] / found[64]["noisy, no data"]["median"],
                "x",
                1.3,
                "without meeting the data, which is one matrix product each way",
            )
        )
    result.measurements["noise_aware"] = rows
