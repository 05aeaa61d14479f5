"""The part `large`: 10 qubits, 10 observables, 200 gates with noise; time and memory beside Aer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _bench
import numpy as np
from _quantum_shared import bandwidth, cpu_ms, median, native_gates

from coevo.cost_models.circuit_noise import noisy_expectations, program_from_gates
from coevo.hardware.quantum import QuantumDevice

HERE = Path(__file__).resolve().parent


def ten_qubits(seed: int) -> tuple[QuantumDevice, list[int], list[Any]]:
    """Device, a line of ten of its qubits, and 200 native gates on them."""
    device = QuantumDevice.from_snapshot(HERE / "snapshots" / "fake_guadalupe.json")
    active = [0, 1, 2, 3, 5, 8, 11, 14, 13, 12]
    return device, active, native_gates(device, active, 200, np.random.default_rng(seed))


def size_of(active: list[int], gates: list[Any]) -> dict[str, int]:
    two = sum(len(place) == 2 for _, place, _ in gates)
    return {"two_qubit_gates": two, "qubits": len(active), "observables": len(active)}


def large(arguments: Any, result: _bench.Result) -> None:
    device, active, gates = ten_qubits(arguments.seed)
    program = program_from_gates(gates, device, active)
    rows: dict[str, Any] = size_of(active, gates)
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator

    circuit = QuantumCircuit(device.num_qubits)
    for name, place, angles in gates:
        getattr(circuit, name)(*angles, *place)
    circuit.save_density_matrix(qubits=active)
    real = QuantumDevice.from_name("FakeGuadalupeV2")
    states: dict[str, Any] = {}
    for name, precision in (("float64", "double"), ("float32", "single")):
        simulator = AerSimulator(
            method="density_matrix", noise_model=real.noise_model, max_parallel_threads=1, precision=precision
        )
        dtype = np.dtype(name).type
        noisy_expectations([program], dtype=dtype)  # compiles

        def ours(dtype: Any = dtype) -> Any:
            return noisy_expectations([program], dtype=dtype)

        def theirs(simulator: Any = simulator) -> Any:
            found = simulator.run(circuit).result()
            if not found.success:
                raise RuntimeError(f"Aer failed: {found.status}")
            return found

        if name == "float64":
            states["aer"] = theirs().data(0)["density_matrix"]
            wanted = [
                float(np.array([1, -1]) @ device.readout_matrix(qubit) @ states["aer"].probabilities([index]))
                for index, qubit in enumerate(active)
            ]
            rows["largest_difference_to_aer"] = float(np.abs(ours()[0, 0] - wanted).max())
            states.clear()
        taken: dict[str, list[tuple[float, float]]] = {"coevo": [], "aer": []}
        for _ in range(max(3, arguments.repeats // 4)):
            taken["coevo"].append(peak_mib(ours))
            taken["aer"].append(peak_mib(theirs))
        rows[name] = {
            side: {
                "ms": _bench.summary([one[0] for one in found]),
                "peak_mib_above_start": _bench.summary([one[1] for one in found]),
            }
            for side, found in taken.items()
        }
        print(
            _bench.table(
                (f"10 qubits, {name}", "ms", "MiB"),
                [(s, median([o[0] for o in f]), median([o[1] for o in f])) for s, f in taken.items()],
            )
        )
        rows[name]["bandwidth"] = bandwidth(program, dtype, median([one[0] for one in taken["coevo"]]), _copy_gb_s())
        result.bars.append(
            _bench.at_least(
                f"10 qubits, 10 observables, 200 gates, {name}: time of Aer for ONE sample over ours for any number",
                median([one[0] for one in taken["aer"]]) / median([one[0] for one in taken["coevo"]]),
                "x",
                1,
                f"memory above start: ours {median([o[1] for o in taken['coevo']]):.0f} MiB, "
                f"Aer's {median([o[1] for o in taken['aer']]):.0f} MiB; {rows[name]['bandwidth']['share']:.0%} of a "
                "copy's memory bandwidth",
            )
        )
    result.bars.append(
        _bench.at_most("10 qubits: largest difference to Aer", rows["largest_difference_to_aer"], "1", 1e-10)
    )
    result.measurements["large"] = rows


def peak_mib(work: Callable[[], Any]) -> tuple[float, float]:
    """(CPU ms, MiB above the start) of work in a process of its own, so that peaks do not add up."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = _peak_kib()
        taken = cpu_ms(work)
        after = _peak_kib()
        os.write(send, json.dumps([taken, (after - before) / 1024]).encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    if not text:
        raise RuntimeError("the measured process ended without an answer")
    taken, grown = json.loads(text)
    return taken, grown


def _peak_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise RuntimeError("this system does not tell a process's peak memory (VmHWM)")


def _copy_gb_s() -> float:
    """Bytes read and written a second by one thread's copy of 256 MiB."""
    source = np.ones(2**25)
    target = np.empty_like(source)
    taken = [cpu_ms(lambda: np.copyto(target, source)) for _ in range(6)]
    return 2 * source.nbytes / median(taken[1:]) / 1e6
