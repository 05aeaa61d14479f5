"""The part `step`: one training step of a SuperCircuit, 64 gates, batch 256, beside other libraries.

Each peer runs in its own interpreter (`_quantum_peers.py`), is given the same encoded states, labels and angles, and
must find the same gradient before it is timed.
"""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import _bench
import numpy as np
from _quantum_shared import QUBITS, RING, cpu_ms, gates_of_u3_cu3, median, random_states

HERE = Path(__file__).resolve().parent
BESIDE = {"tensorcircuit-ng": ("tensorcircuit-ng-unitary",), "pennylane": ("pennylane-default",)}
"""Peers measured in the same interpreter and told apart: no bar counts them."""


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
            rows[name].setdefault("first_step_s", {})[peer] = hello["first_s"]
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
        first = rows[name].get("first_step_s", {})
        lines = [(side, taken, first.get(side)) for side, taken in medians.items()]
        print(_bench.table((f"a step, {name}", "ms", "imports, building, compilation, first step: s"), lines))
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
