"""The part `fitness`: from transpiled circuits to noisy expectation values of a whole data set, beside Aer.

64 U3+CU3 SubCircuits on FakeQuitoV2, 500 samples of 16 inputs, four readouts. A candidate is two transpiled circuits,
its encoder and its body; the time is from these to [samples, readouts], channel assembly and the encoder's noise
included. Aer judges some candidates on some samples in every way that it offers; its time for all samples is
extrapolated by the slope between half of its samples and all of them, so its fixed costs count once.
"""

from __future__ import annotations

from typing import Any

import _bench
import numpy as np
from _quantum_shared import ENCODER, QUBITS, RING, cpu_ms, median

from coevo.cost_models.circuit_noise import noisy_expectations, read_encoder, read_program
from coevo.hardware.quantum import QuantumDevice


def fitness(arguments: Any, result: _bench.Result) -> None:
    from _quantum_aer import ways
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import ParameterVector

    device, rng = QuantumDevice.from_name("FakeQuitoV2"), np.random.default_rng(arguments.seed)
    pixels = ParameterVector("x", 16)
    front = QuantumCircuit(QUBITS)
    for gate, qubit, index in ENCODER:
        getattr(front, gate)(pixels[index], qubit)
    data = rng.uniform(-0.5, 2.8, (arguments.samples, 16))
    inputs = list(pixels)
    encoders: dict[tuple[int, ...], Any] = {}
    candidates = []
    for _ in range(arguments.candidates):
        layout = [int(q) for q in rng.permutation(5)[:QUBITS]]
        place = {"target": device.target, "initial_layout": layout, "seed_transpiler": 0, "optimization_level": 2}
        body = transpile(subcircuit(rng), **place)
        key = tuple(layout)
        if key not in encoders:
            encoders[key] = transpile(front, **place)
        candidates.append((key, body, body.layout.final_index_layout()))

    def judge(dtype: Any) -> np.ndarray:
        """From QuantumCircuits to expectation values; only the device's channel cache outlives a call."""
        read = {key: read_encoder(circuit, device, inputs) for key, circuit in encoders.items()}
        programs = [read_program(body, device, final, encoder=read[key]) for key, body, final in candidates]
        return noisy_expectations(programs, data, dtype=dtype)

    values = {name: judge(dtype) for name, dtype in (("float64", np.float64), ("float32", np.float32))}  # compiles too
    cold = QuantumDevice.from_name("FakeQuitoV2")

    def assemble() -> None:
        for _, body, final in candidates:
            read_program(body, cold, final)

    channels_ms = cpu_ms(assemble)  # a device never seen before: its channels are built once a search
    rows: dict[str, Any] = {}
    few = data[: arguments.aer_samples]
    for name, precision in (("float64", "double"), ("float32", "single")):
        dtype = np.dtype(name).type
        ours: list[float] = []
        theirs: dict[str, list[float]] = {}
        apart = 0.0
        chosen = rng.choice(len(candidates), size=arguments.aer_candidates, replace=False)
        for number in chosen:
            key, body, final = candidates[number]
            ours.append(cpu_ms(lambda dtype=dtype: judge(dtype)) / len(candidates))
            for way, run in ways(device, encoders[key], body, list(final), inputs, precision).items():
                run(few[:2])
                found: list[np.ndarray] = []
                taken = cpu_ms(lambda run=run, found=found: found.append(run(few)))
                more: list[np.ndarray] = []
                half = cpu_ms(lambda run=run, more=more: more.append(run(few[: len(few) // 2])))
                slope = max(0.0, (taken - half) / (len(few) - len(few) // 2))
                theirs.setdefault(way, []).append(taken + slope * (len(data) - len(few)))
                apart = max(apart, float(np.abs(found[0] - values["float64"][number, : len(few)]).max()))
            ours.append(cpu_ms(lambda dtype=dtype: judge(dtype)) / len(candidates))
        medians = {way: median(taken) for way, taken in theirs.items()}
        fastest = min(medians, key=lambda way: medians[way])
        rows[name] = {
            "coevo_ms_a_candidate": _bench.summary(ours),
            "aer_ms_a_candidate": {way: _bench.summary(taken) for way, taken in theirs.items()},
            "aer_fastest": fastest,
            "ratio": medians[fastest] / median(ours),
            "largest_difference_to_aer": apart,
            "largest_difference_to_float64": float(np.abs(values[name] - values["float64"]).max()),
        }
        print(_bench.table(("Aer's way, " + name, "ms a candidate"), list(medians.items())))
        print(f"coevo, {name}: {median(ours):.3f} ms a candidate")
        result.bars.append(
            _bench.at_least(
                f"noisy fitness, {name}: time of Aer's fastest way over ours",
                rows[name]["ratio"],
                "x",
                1000,
                f"{medians[fastest]:.0f} ms over {median(ours):.2f} ms a candidate, reading its circuits included; "
                f"{fastest}, {len(few)} of {len(data)} samples measured and extrapolated",
            )
        )
    result.bars.append(
        _bench.at_most(
            "noisy fitness: largest difference to Aer", rows["float64"]["largest_difference_to_aer"], "1", 1e-10
        )
    )
    rows["two_qubit_gates"] = _bench.summary([float(body.num_nonlocal_gates()) for _, body, _ in candidates])
    rows["encoders"] = len(encoders)
    rows["channels_of_a_new_device_ms"] = channels_ms
    result.measurements["fitness"] = rows


def subcircuit(rng: np.random.Generator) -> Any:
    """A random U3+CU3 SubCircuit: 1 to 8 blocks, front widths."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(QUBITS)
    for _ in range(int(rng.integers(1, 9))):
        for qubit in range(int(rng.integers(1, 5))):
            circuit.u(*rng.uniform(-np.pi, np.pi, 3), qubit)
        for control, target in RING[: int(rng.integers(1, 5))]:
            circuit.cu(*rng.uniform(-np.pi, np.pi, 3), 0, control, target)
    return circuit
