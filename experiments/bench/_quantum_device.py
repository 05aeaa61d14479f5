"""The parts `fitness` and `large` on a CUDA device: torch, Triton and NumPy alone, from the snapshots beside this file.

Both engines of a device are measured: Triton's kernels, and plain tensors beside them. Times are wall clock from
programs that were read to values on the host; beside them stands how long the device was busy. Bytes are those that the
sweep's kernels must read and write: every tile that an operator has reached, once a stage. What the CPU and Aer take is
in the file that the same benchmark wrote on a CPU.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _bench
import numpy as np
from _quantum_large import size_of, ten_qubits
from _quantum_shared import QUBITS, median, native_gates

from coevo.cost_models.circuit_noise import Input, Program, noisy_expectations, program_from_gates
from coevo.hardware.quantum import QuantumDevice

HERE = Path(__file__).resolve().parent
ON_CPU = _bench.ROOT / "experiments" / "results" / "quantum.json"
LIMITS = {"float64": 1e-10, "float32": 1e-5}


def fitness_on_device(arguments: Any, result: _bench.Result) -> None:
    device = QuantumDevice.from_snapshot(HERE / "snapshots" / "fake_quito.json")
    rng = np.random.default_rng(arguments.seed)
    programs = [_candidate(device, rng) for _ in range(16 * arguments.candidates)]
    data = rng.uniform(-0.5, 2.8, (arguments.samples, 16))
    rows = {}
    for count in (arguments.candidates, len(programs)):
        rows[f"{count} programs"] = _measured(arguments, programs[:count], data, f"{count} programs", result)
    result.measurements["fitness"] = rows | _on_cpu("fitness")


def _candidate(device: QuantumDevice, rng: np.random.Generator) -> Program:
    active = [int(q) for q in rng.permutation(5)[:QUBITS]]
    front: list[Any] = []
    for index in range(16):  # ry(x) as rz sx rz sx, and rz(x)
        qubit = (active[index % 4],)
        if (index // 4) % 2:
            front.append(("rz", qubit, (Input(index),)))
        else:
            front += [("sx", qubit, ()), ("rz", qubit, (Input(index, 1.0, np.pi),)), ("sx", qubit, ())]
    body = native_gates(device, list(range(5)), 85, rng)
    return program_from_gates(front + body, device, active, num_inputs=16)


def large_on_device(arguments: Any, result: _bench.Result) -> None:
    device, active, gates = ten_qubits(arguments.seed)
    programs = [program_from_gates(gates, device, active)]
    rows = size_of(active, gates) | _measured(arguments, programs, None, "10 qubits", result)
    result.measurements["large"] = rows | _on_cpu("large")


def _measured(
    arguments: Any, programs: list[Program], data: Any, what: str, result: _bench.Result
) -> dict[str, dict[str, Any]]:
    """{precision: {engine: times, memory, distance to the CPU}}, with the share of a copy's bandwidth."""
    import torch

    on_cpu = noisy_expectations(programs, data, engine="torch")
    copy_gb_s = _copy_gb_s(arguments.device)
    rows: dict[str, dict[str, Any]] = {}
    result.measurements["accelerator"] = _bench.gpu()
    for name, limit in LIMITS.items():
        rows[name] = {}
        dtype = np.dtype(name).type
        for engine in ("triton", "torch"):

            def judge(engine: str = engine, dtype: Any = dtype) -> Any:
                return noisy_expectations(programs, data, engine=engine, device=arguments.device, dtype=dtype)

            apart = float(np.abs(judge() - on_cpu).max())  # the first call compiles
            held = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            times = [_wall_ms(judge) for _ in range(arguments.repeats)]
            peak_mib = (torch.cuda.max_memory_allocated() - held) / 2**20
            busy = _busy_us(judge)
            rows[name][engine] = {
                "wall_ms": _bench.summary(times),
                "ms_a_program": median(times) / len(programs),
                "device_busy_ms": sum(us for us, _ in busy.values()) / 1e3,
                "launches_and_transfers": sum(count for _, count in busy.values()),
                "peak_mib": peak_mib,
                "largest_difference_to_cpu": apart,
            }
            result.bars.append(
                _bench.at_most(f"{what} on the device, {engine}, {name}: difference to the CPU", apart, "1", limit)
            )
        sweep_us, stages = _busy_sweep(programs, data, dtype, arguments.device)
        moved = _moved_bytes(programs, np.dtype(name).itemsize)
        rows[name]["sweep"] = {
            "stages": stages,
            "ms": sweep_us / 1e3,
            "moved_gb": moved / 1e9,
            "reached_gb_s": moved / sweep_us / 1e3,
            "copy_gb_s": copy_gb_s,
            "share": moved / sweep_us / 1e3 / copy_gb_s,
        }
        ours, plain = rows[name]["triton"], rows[name]["torch"]
        print(
            f"{what}, {name}: {ours['wall_ms']['median']:.3f} ms (device {ours['device_busy_ms']:.3f}, "
            f"{ours['peak_mib']:.0f} MiB), plain tensors {plain['wall_ms']['median']:.3f} ms (device "
            f"{plain['device_busy_ms']:.3f}, {plain['peak_mib']:.0f} MiB); sweep {sweep_us:.0f} us in {stages} stages, "
            f"{rows[name]['sweep']['share']:.0%} of a copy's {copy_gb_s:.0f} GB/s"
        )
    return rows


def _busy_sweep(programs: list[Program], data: Any, dtype: Any, device: str) -> tuple[float, int]:
    """(us, launches) of the sweep's kernel in one call."""
    return _busy_us(lambda: noisy_expectations(programs, data, engine="triton", device=device, dtype=dtype))["sweep"]


def _moved_bytes(programs: list[Program], itemsize: int) -> int:
    """Bytes that the sweep's kernels read and write."""
    from coevo.kernels.pauli_transfer.plan import plan
    from coevo.kernels.pauli_transfer.triton_sweep import MIN_WIDTH, stages_of

    made = plan(
        [program.body.rows for program in programs],
        [program.read for program in programs],
        [program.encoder.qubits for program in programs],
        MIN_WIDTH,
    )
    parts = stages_of(made, (1 << made.starts[:, :, 0]).tolist())
    return 2 * int(parts.tiles.sum()) * 4**parts.tile * itemsize


def _wall_ms(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()  # its values are on the host at the end
    return 1e3 * (time.perf_counter() - began)


def _busy_us(work: Callable[[], Any]) -> dict[str, tuple[float, int]]:
    """{kernel or transfer: (us, how many)} of one call; the median call of five by its total."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    found = []
    for _ in range(5):
        with profile(activities=[ProfilerActivity.CUDA]) as profiled:
            work()
            torch.cuda.synchronize()
        events = [event for event in profiled.key_averages() if event.self_device_time_total > 0]
        found.append({event.key: (float(event.self_device_time_total), event.count) for event in events})
    return sorted(found, key=lambda events: sum(us for us, _ in events.values()))[2]


def _on_cpu(part: str) -> dict[str, Any]:
    """What the benchmark's file of a CPU has under the part; nothing where there is no such file."""
    if not ON_CPU.exists():
        return {}
    document = json.loads(ON_CPU.read_text(encoding="utf-8"))
    there = {key: document["device"][key] for key in ("cpu", "cores", "commit")}
    return {"on_a_cpu": {"device": there, "measured": document["measurements"].get(part)}}


def _copy_gb_s(device: str) -> float:
    """Bytes read and written a second by a copy of 1 GiB of random numbers on the device."""
    import torch

    source = torch.rand(2**30 // 4, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(20):
        target.copy_(source)
    torch.cuda.synchronize()
    return 20 * 2 * 2**30 / (time.perf_counter() - began) / 1e9
