"""Quantum circuits: noisy fitness, training steps with and without noise, and ten qubits.

    fitness      64 U3+CU3 SubCircuits on FakeQuitoV2, from transpiled QuantumCircuit to 500 x 4 expectation values,
                 beside every way that Aer offers, each measured on part of the data
    step         a SuperCircuit training step, 64 gates, batch 256, beside other libraries; each peer runs in its own
                 interpreter, named by --peer NAME=PYTHON (NAME: deepquantum, pyqtorch, tensorcircuit-ng, pennylane)
    noise_aware  a full-batch step through the noise beside the noise-free one on the same circuit, 64 to 4,096 samples
                 (1,000 are MNIST-4's training examples)
    large        10 qubits, 10 observables, 200 gates with noise: time and memory, beside Aer
    budget       QuantumNAS's whole search (1,210 evaluations), transpilation included, nothing cached, on 2 workers

Times are CPU times on one thread (times of the device with --device cuda); where two sides are compared they are taken
in turn within the same minute, and medians are shown. With --device cuda the parts fitness and large run on the device
with torch and NumPy alone, from the snapshots beside this file.

    python experiments/bench/quantum.py --json --out experiments/results/quantum.json
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import _bench
import numpy as np

from coevo.cost_models.circuit_noise import (
    Input,
    NoiseAwareCircuit,
    cross_entropy,
    noisy_expectations,
    program_from_gates,
    read_encoder,
    read_program,
)
from coevo.hardware.quantum import QuantumDevice

PARTS = ("fitness", "step", "noise_aware", "large", "budget")
HERE = Path(__file__).resolve().parent
BESIDE = {"tensorcircuit-ng": ("tensorcircuit-ng-unitary",), "pennylane": ("pennylane-default",)}
"""Peers measured in the same interpreter and told apart: no bar counts them."""
QUBITS, RING = 4, ((0, 1), (1, 2), (2, 3), (3, 0))


def cpu_ms(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return 1e3 * (time.process_time() - began)


def median(values: list[float]) -> float:
    return float(np.median(values))


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


def fitness(arguments: Any, result: _bench.Result) -> None:
    from _quantum_aer import ways
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import ParameterVector

    device, rng = QuantumDevice.from_name("FakeQuitoV2"), np.random.default_rng(arguments.seed)
    pixels = ParameterVector("x", 16)
    front = QuantumCircuit(QUBITS)
    for index, pixel in enumerate(pixels):
        getattr(front, ("ry", "rz", "rx", "ry")[index // 4])(pixel, index % 4)
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
        result.bars += [
            _bench.at_least(
                f"noisy fitness, {name}: time of Aer's fastest way over ours", rows[name]["ratio"], "x", 1000, fastest
            ),
            _bench.at_most(f"noisy fitness, {name}: a candidate", median(ours), "ms", 1.0, "reading included"),
        ]
    result.bars.append(
        _bench.at_most(
            "noisy fitness: largest difference to Aer", rows["float64"]["largest_difference_to_aer"], "1", 1e-10
        )
    )
    rows["two_qubit_gates"] = _bench.summary([float(body.num_nonlocal_gates()) for _, body, _ in candidates])
    rows["encoders"] = len(encoders)
    rows["channels_of_a_new_device_ms"] = channels_ms
    result.measurements["fitness"] = rows


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

    names = ("ry", "rz", "rx", "ry")
    rotations = [(names[index // 4], index % 4, index) for index in range(16)]
    kind = np.complex64 if dtype == np.float32 else np.complex128
    return product_states(rng.uniform(-0.5, 2.8, (samples, 16)), rotations, QUBITS).astype(kind)


def step(arguments: Any, result: _bench.Result) -> None:
    from coevo.kernels.statevector import Circuit, Readout
    from coevo.kernels.statevector.objective_reference import loss_and_gradient

    blocks, batch = 8, 256
    peers = dict(entry.split("=", 1) for entry in arguments.peer)
    interpreters = {name: python for peer, python in peers.items() for name in (peer, *BESIDE.get(peer, ()))}
    rows: dict[str, Any] = {}
    for name in ("float64", "float32"):
        dtype = np.dtype(name).type
        rng = np.random.default_rng(arguments.seed)
        states, labels = random_states(rng, batch, dtype), rng.integers(0, 4, batch)
        angles = rng.uniform(-3, 3, (blocks, 2, QUBITS, 3)).astype(dtype)
        flat = angles.reshape(1, -1)
        circuit = Circuit(QUBITS, gates_of_u3_cu3(blocks))
        ours = Readout(circuit, states, labels, np.eye(4), dtype)
        _, wanted = ours.value_and_gradient(flat)
        plain = loss_and_gradient(circuit, states, np.eye(4)[labels], np.eye(4), flat.astype(np.float64))[1]
        rows[name] = {"gradient_difference_to_the_reference": float(np.abs(plain - wanted).max())}
        times: dict[str, list[float]] = {"coevo": []}
        task = {
            "dtype": name,
            "qubits": QUBITS,
            "blocks": blocks,
            "ring": RING,
            "states": [states.real.tolist(), states.imag.tolist()],
            "labels": labels.tolist(),
            "angles": angles.tolist(),
        }
        running: dict[str, Any] = {}
        for peer, python in interpreters.items():
            process = subprocess.Popen(
                [python, str(HERE / "_quantum_peers.py"), peer],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            hello = _ask(process, task, peer)
            own = ours.value_and_gradient(flat, rows=np.arange(hello["states"]))[1]
            apart = float(np.abs(np.array(hello["gradient"]).reshape(own.shape) - own).max())
            rows[name][f"gradient_difference_to_{peer}"] = apart
            if apart > 1e-5:
                raise RuntimeError(f"{peer} computes another gradient: {apart:.2g} apart")
            running[peer] = (process, batch / hello["states"])
            rows[name][f"version_of_{peer}"] = hello["version"]
            times[peer] = []
        for _ in range(arguments.repeats):
            times["coevo"] += [cpu_ms(partial(ours.value_and_gradient, flat)) for _ in range(20)]
            for peer, (process, factor) in running.items():
                times[peer] += [factor * each for each in _ask(process, {"repeats": 2}, peer)["ms"]]
        for process, _ in running.values():
            process.stdin.close()
            process.wait(timeout=60)
        medians = {side: median(taken) for side, taken in times.items()}
        rows[name]["step_ms"] = {side: _bench.summary(taken) for side, taken in times.items()}
        print(_bench.table((f"a step, {name}", "ms"), list(medians.items())))
        fastest = min(peers, key=lambda peer: medians[peer]) if peers else None
        note = "no peer was named (--peer)"
        if fastest:
            apart = ", ".join(
                f"{side} {medians[side] / medians['coevo']:.3g} x" for side in running if side not in peers
            )
            note = f"{fastest}, of {', '.join(peers)}" + (f"; apart: {apart}" if apart else "")
        entry = _bench.at_least(
            f"training step, {name}: fastest peer over ours",
            medians[fastest] / medians["coevo"] if fastest else None,
            "x",
            50,
            note,
        )
        result.bars.append(entry if len(peers) == 4 else _bench.not_met(entry, "needs all four peers"))
        result.bars.append(
            _bench.at_most(
                f"training step, {name}: gradient's largest difference to the NumPy reference",
                rows[name]["gradient_difference_to_the_reference"],
                "1",
                1e-10 if name == "float64" else 1e-5,
            )
        )
    result.measurements["step"] = rows


def _ask(process: Any, request: Any, peer: str) -> Any:
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{peer} ended without an answer; run _quantum_peers.py by hand to see why")
    return json.loads(line)


def noise_aware(arguments: Any, result: _bench.Result) -> None:
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import ParameterVector

    from coevo.kernels.statevector import Circuit, Readout

    device, rng = QuantumDevice.from_name("FakeQuitoV2"), np.random.default_rng(arguments.seed)
    blocks = 8
    theta = ParameterVector("theta", blocks * 24)
    pixels = ParameterVector("x", 16)
    circuit = QuantumCircuit(QUBITS)
    for index, pixel in enumerate(pixels):
        getattr(circuit, ("ry", "rz", "rx", "ry")[index // 4])(pixel, index % 4)
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
        counts = (64, 256, 1000, 4096)
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
        for samples in counts[1:]:
            row = found[samples]
            result.bars.append(
                _bench.at_most(
                    f"noise-aware step over the noise-free one, {name}, {samples} samples",
                    row["noisy"]["median"] / row["noise-free"]["median"],
                    "x",
                    3,
                    f"{row['noisy']['median']:.3g} ms over {row['noise-free']['median']:.3g} ms",
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


def large(arguments: Any, result: _bench.Result) -> None:
    device = QuantumDevice.from_snapshot(HERE / "snapshots" / "fake_guadalupe.json")
    rng = np.random.default_rng(arguments.seed)
    active = [0, 1, 2, 3, 5, 8, 11, 14, 13, 12]  # a line
    gates = native_gates(device, active, 200, rng)
    program = program_from_gates(gates, device, active)
    rows: dict[str, Any] = {
        "two_qubit_gates": sum(len(place) == 2 for _, place, _ in gates),
        "qubits": len(active),
        "observables": len(active),
    }
    if arguments.device != "cpu":
        result.measurements["large"] = rows | on_device(arguments, [program], None, "large", result)
        return
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
        rows[name]["bandwidth"] = _shares(program, dtype, median([one[0] for one in taken["coevo"]]), _copy_gb_s())
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
    for name in ("float64", "float32"):
        missing = _bench.at_most(f"10 qubits on an H200, {name}: time", None, "ms", 1e3 * arguments.repeats)
        result.bars.append({**missing, "target": "measured", "note": "not measured: needs --device cuda"})
    result.measurements["large"] = rows


def budget(arguments: Any, result: _bench.Result) -> None:
    """In a process of its own with an empty folder; what numba compiled lasts a machine's life, so it is measured with
    its cache and apart without."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, fresh in (("compiled before", False), ("first use of the machine", True)):
            environment = os.environ | ({"NUMBA_CACHE_DIR": f"{scratch}/numba"} if fresh else {})
            sizes = (arguments.supercircuit_steps, arguments.trials, 2, arguments.seed)
            if not fresh:  # compiles
                _alone(environment, f"{scratch}/warm", 10, 16, *sizes[2:])
            found[name] = _alone(environment, f"{scratch}/{name}", *sizes)
    print(
        _bench.table(
            ("budget, 2 workers", "SuperCircuit s", "search s", "search CPU s", "evaluations"),
            [
                (name, row["supercircuit_s"], row["search_s"], row["search_cpu_s"], row["evaluations"])
                for name, row in found.items()
            ],
        )
    )
    row = found["compiled before"]
    entry = _bench.at_most(
        "QuantumNAS's whole search budget, 2 workers: wall clock",
        row["search_s"],
        "s",
        15,
        f"{row['evaluations']} evaluations; training the SuperCircuit {row['supercircuit_s']:.1f} s apart; with "
        f"numba's first compilation {found['first use of the machine']['search_s']:.1f} s",
    )
    whole = row["evaluations"] == 1210 and arguments.supercircuit_steps >= 6000
    result.bars.append(entry if whole else _bench.not_met(entry, "fewer evaluations or training steps"))
    result.measurements["budget"] = found


def _alone(environment: dict[str, str], *arguments: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / "_quantum_budget.py"), *map(str, arguments)],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


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
            rows[name] |= _shares(programs[0], dtype, median(times), _device_copy_gb_s(arguments.device))
        print(f"{part}, {name}: {median(times):.4f} ms a program, {apart:.2g} from the CPU; {rows[name]}")
        limit = 1e-10 if name == "float64" else 1e-5
        result.bars.append(_bench.at_most(f"{part} on the device, {name}: difference to the CPU", apart, "1", limit))
    return rows


def _shares(program: Any, dtype: Any, taken_ms: float, copy_gb_s: float) -> dict[str, float]:
    """Share of a plain copy's bandwidth that the sweep reaches: four passes over the operators a block (reordering
    reads and writes, the product reads and writes). An operator that has reached few qubits is small and may stay in a
    cache, so on a CPU the share can only be a bound from above."""
    from coevo.kernels.pauli_transfer.plan import plan

    made, _ = plan([program.body.rows], [program.read], [program.encoder.qubits])
    moved = 4 * made.blocks.shape[1] * len(program.read) * 4**made.width * np.dtype(dtype).itemsize
    reached = moved / taken_ms / 1e6
    return {
        "moved_gb": moved / 1e9,
        "reached_gb_s": reached,
        "copy_gb_s": copy_gb_s,
        "share": reached / copy_gb_s,
    }


def _copy_gb_s() -> float:
    """Bytes read and written a second by one thread's copy of 256 MiB."""
    source = np.ones(2**25)
    target = np.empty_like(source)
    taken = [cpu_ms(lambda: np.copyto(target, source)) for _ in range(6)]
    return 2 * source.nbytes / median(taken[1:]) / 1e6


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


def main() -> int:
    options = _bench.parser(__doc__)
    options.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    options.add_argument("--device", default="cpu", help="cpu, or cuda for fitness and large")
    options.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="of the part step")
    options.add_argument("--candidates", type=int, default=64)
    options.add_argument("--samples", type=int, default=500)
    options.add_argument("--aer-candidates", type=int, default=4, help="candidates that Aer judges (4)")
    options.add_argument("--aer-samples", type=int, default=40, help="samples that Aer judges, extrapolated (40)")
    options.add_argument("--trials", type=int, default=1210, help="evaluations of the part budget (1210)")
    options.add_argument("--supercircuit-steps", type=int, default=6000, help="of the part budget (6000)")
    options.add_argument("--repeats", type=int, default=12)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="qiskit_ibm_runtime")
    parts = arguments.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        options.error(f"unknown part {', '.join(sorted(unknown))}; expected some of {', '.join(PARTS)}")
    work = {"fitness": fitness, "step": step, "noise_aware": noise_aware, "large": large, "budget": budget}
    if arguments.device != "cpu":
        work = {"fitness": fitness_on_device, "large": large}
        parts = [part for part in parts if part in work]
    result = _bench.Result("quantum", ("qiskit", "qiskit-aer", "numba", "torch"))
    result.settings = {key: value for key, value in vars(arguments).items() if key not in ("json", "out", "peer")}
    result.settings["threads"] = int(os.environ["OMP_NUM_THREADS"])
    for part in parts:
        work[part](arguments, result)
    return result.finish(arguments)


if __name__ == "__main__":
    sys.exit(main())
