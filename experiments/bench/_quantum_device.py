"""The parts `fitness` and `large` on an accelerator: torch and NumPy alone, from the snapshots beside this file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import _bench
import numpy as np
from _quantum_large import size_of, ten_qubits
from _quantum_shared import QUBITS, bandwidth, median, native_gates

from coevo.cost_models.circuit_noise import Input, noisy_expectations, program_from_gates
from coevo.hardware.quantum import QuantumDevice

HERE = Path(__file__).resolve().parent


def fitness_on_device(arguments: Any, result: _bench.Result) -> None:
    device = QuantumDevice.from_snapshot(HERE / "snapshots" / "fake_quito.json")
    rng = np.random.default_rng(arguments.seed)
    programs = []
    for _ in range(arguments.candidates):
        active = [int(q) for q in rng.permutation(5)[:QUBITS]]
        front: list[Any] = []
        for index in range(16):  # ry(x) as rz sx rz sx, and rz(x)
            qubit = (active[index % 4],)
            if (index // 4) % 2:
                front.append(("rz", qubit, (Input(index),)))
            else:
                front += [("sx", qubit, ()), ("rz", qubit, (Input(index, 1.0, np.pi),)), ("sx", qubit, ())]
        body = native_gates(device, list(range(5)), 85, rng)
        programs.append(program_from_gates(front + body, device, active, num_inputs=16))
    data = rng.uniform(-0.5, 2.8, (arguments.samples, 16))
    result.measurements["fitness"] = on_device(arguments, programs, data, "fitness", result)


def large_on_device(arguments: Any, result: _bench.Result) -> None:
    device, active, gates = ten_qubits(arguments.seed)
    programs = [program_from_gates(gates, device, active)]
    result.measurements["large"] = size_of(active, gates) | on_device(arguments, programs, None, "large", result)


def on_device(arguments: Any, programs: list[Any], data: Any, part: str, result: _bench.Result) -> dict[str, Any]:
    """Time of the torch engine on a device, its distance to the CPU, and the share of the memory bandwidth."""
    import torch

    rows: dict[str, Any] = {"device": torch.cuda.get_device_name()}
    for name in ("float64", "float32"):
        dtype = np.dtype(name).type
        on_cpu = noisy_expectations(programs, data, engine="torch")

        def judge(dtype: Any = dtype) -> Any:
            found = noisy_expectations(programs, data, engine="torch", device=arguments.device, dtype=dtype)
            torch.cuda.synchronize()
            return found

        torch.cuda.reset_peak_memory_stats()
        apart = float(np.abs(judge() - on_cpu).max())
        memory_mib = torch.cuda.max_memory_allocated() / 2**20
        times = []
        for _ in range(arguments.repeats):
            began = time.perf_counter()
            judge()
            times.append(1e3 * (time.perf_counter() - began) / len(programs))
        rows[name] = {
            "ms_a_program": _bench.summary(times),
            "largest_difference_to_cpu": apart,
            "peak_mib": memory_mib,
        }
        if part == "large":
            rows[name] |= bandwidth(programs[0], dtype, median(times), _device_copy_gb_s(arguments.device))
        print(f"{part}, {name}: {median(times):.4f} ms a program, {apart:.2g} from the CPU; {rows[name]}")
        limit = 1e-10 if name == "float64" else 1e-5
        result.bars.append(_bench.at_most(f"{part} on the device, {name}: difference to the CPU", apart, "1", limit))
    return rows


def _device_copy_gb_s(device: str) -> float:
    import torch

    source = torch.empty(2**30 // 4, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(20):
        target.copy_(source)
    torch.cuda.synchronize()
    return 20 * 2 * 2**30 / (time.perf_counter() - began) / 1e9
