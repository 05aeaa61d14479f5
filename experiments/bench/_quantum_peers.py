"""One training step of a U3+CU3 circuit in another library, timed on request: a process that `quantum.py` talks to.

Run by the peer's own interpreter, which needs that library, NumPy and nothing of coevo:

    python _quantum_peers.py pyqtorch < requests

The first line of standard input is {"dtype", "qubits", "blocks", "ring", "states": [re, im], "labels", "angles"}; the
answer is {"gradient": [...], "states": how many states it is over, "version": ..., "first_s": CPU seconds of building
and of the first step, compilation included}. Every later line
{"repeats": n} is answered by {"ms": [...]}, CPU time.
Encoded states are given, so a step is: states through the blocks, <Z> of every qubit as logits, mean cross entropy, and
its gradient by all angles. Names: deepquantum, pyqtorch, tensorcircuit-ng, pennylane (lightning.qubit), and two for
comparison: tensorcircuit-ng-unitary (the body multiplied into one matrix first, as coevo does) and pennylane-default
(default.qubit under torch).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
Step = Callable[[], Any]  # one step; gives the gradient


def torch_loss(probabilities: Any, signs: Any, labels: Any) -> Any:
    import torch

    return torch.nn.functional.cross_entropy(probabilities @ signs, labels)


def signs_of(qubits: int, big_endian: bool) -> np.ndarray:
    """[2^n, n]: the eigenvalue of Z on qubit q for each basis state."""
    places = np.arange(qubits)[::-1] if big_endian else np.arange(qubits)
    return 1.0 - 2.0 * ((np.arange(2**qubits)[:, None] >> places) & 1)


def reversed_bits(states: np.ndarray, qubits: int) -> np.ndarray:
    """States from little-endian (qubit 0 is the low bit) to big-endian."""
    axes = [0, *range(qubits, 0, -1)]
    return np.ascontiguousarray(states.reshape(-1, *[2] * qubits).transpose(axes)).reshape(len(states), -1)


def deepquantum(task: dict[str, Any]) -> Step:
    import deepquantum as dq
    import torch

    torch.set_num_threads(1)
    real = torch.float64 if task["dtype"] == "float64" else torch.float32
    states = torch.tensor(reversed_bits(task["states"], task["qubits"])).to(
        torch.complex128 if real == torch.float64 else torch.complex64
    )
    signs = torch.tensor(signs_of(task["qubits"], True), dtype=real)
    labels = torch.tensor(task["labels"])
    angles = torch.tensor(task["angles"], dtype=real, requires_grad=True)
    circuit = dq.QubitCircuit(task["qubits"])
    for block in range(task["blocks"]):
        for qubit in range(task["qubits"]):
            circuit.u3(qubit, angles[block, 0, qubit])
        for place, (control, target) in enumerate(task["ring"]):
            circuit.cu(control, target, angles[block, 1, place])
    circuit.to(real)

    def build() -> Any:
        fresh = dq.QubitCircuit(task["qubits"])
        for block in range(task["blocks"]):
            for qubit in range(task["qubits"]):
                fresh.u3(qubit, angles[block, 0, qubit])
            for place, (control, target) in enumerate(task["ring"]):
                fresh.cu(control, target, angles[block, 1, place])
        return fresh

    def step() -> Any:
        angles.grad = None
        out = build()(state=states[:, :, None])
        out = out.reshape(len(states), -1)
        torch_loss(out.real**2 + out.imag**2, signs, labels).backward()
        return angles.grad.numpy()

    return step


def pyqtorch(task: dict[str, Any]) -> Step:
    import pyqtorch as pyq
    import torch

    torch.set_num_threads(1)
    real = torch.float64 if task["dtype"] == "float64" else torch.float32
    kind = torch.complex128 if real == torch.float64 else torch.complex64
    n = task["qubits"]
    states = torch.tensor(reversed_bits(task["states"], n)).to(kind)
    states = states.reshape(-1, *[2] * n).permute(*range(1, n + 1), 0).contiguous()
    signs = torch.tensor(signs_of(n, True), dtype=real)
    labels = torch.tensor(task["labels"])
    angles = torch.tensor(task["angles"], dtype=real, requires_grad=True)
    operations = []
    # U3(theta, phi, lambda) = RZ(phi) RY(theta) RZ(lambda) up to phase; under a control the phase is a PHASE gate.
    for block in range(task["blocks"]):
        for qubit in range(n):
            name = f"a{block}_0_{qubit}_"
            operations += [pyq.RZ(qubit, name + "2"), pyq.RY(qubit, name + "0"), pyq.RZ(qubit, name + "1")]
        for place, (control, target) in enumerate(task["ring"]):
            name = f"a{block}_1_{place}_"
            operations += [
                pyq.CRZ(control, target, name + "2"),
                pyq.CRY(control, target, name + "0"),
                pyq.CRZ(control, target, name + "1"),
                pyq.PHASE(control, name + "p"),
            ]
    circuit = pyq.QuantumCircuit(n, operations).to(dtype=kind)

    def step() -> Any:
        angles.grad = None
        values = {}
        for block in range(task["blocks"]):
            for layer in range(2):
                for place in range(n):
                    row = angles[block, layer, place]
                    for index in range(3):
                        values[f"a{block}_{layer}_{place}_{index}"] = row[index]
                    if layer:
                        values[f"a{block}_1_{place}_p"] = (row[1] + row[2]) / 2
        out = circuit.run(state=states, values=values).reshape(2**n, -1).T
        torch_loss(out.real**2 + out.imag**2, signs, labels).backward()
        return angles.grad.numpy()

    return step


def tensorcircuit(task: dict[str, Any], by_unitary: bool = False) -> Step:
    import jax

    jax.config.update("jax_enable_x64", task["dtype"] == "float64")
    import jax.numpy as jnp
    import tensorcircuit as tc

    tc.set_backend("jax")
    tc.set_dtype("complex128" if task["dtype"] == "float64" else "complex64")
    n = task["qubits"]
    states = jnp.array(reversed_bits(task["states"], n), dtype=tc.dtypestr)
    signs = jnp.array(signs_of(n, True), dtype=tc.rdtypestr)
    labels = jnp.array(task["labels"])
    angles = jnp.array(task["angles"], dtype=tc.rdtypestr)

    def block_of(state: Any, rows: Any) -> tuple[Any, None]:
        circuit = tc.Circuit(n, inputs=state)
        for qubit in range(n):
            theta, phi, lam = rows[0, qubit]
            circuit.u(qubit, theta=theta, phi=phi, lbd=lam)
        for place, (control, target) in enumerate(task["ring"]):
            theta, phi, lam = rows[1, place]
            circuit.cu(control, target, theta=theta, phi=phi, lbd=lam)
        return circuit.state(), None

    def amplitudes(state: Any, angles: Any) -> Any:
        return jax.lax.scan(block_of, state, angles)[0]  # unrolled, one compilation takes many minutes

    def loss(angles: Any) -> Any:
        if by_unitary:
            columns = jax.vmap(amplitudes, in_axes=(0, None))(jnp.eye(2**n, dtype=tc.dtypestr), angles)
            out = states @ columns
        else:
            out = jax.vmap(amplitudes, in_axes=(0, None))(states, angles)
        logits = (out.real**2 + out.imag**2) @ signs
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1))

    compiled = jax.jit(jax.value_and_grad(loss))

    def step() -> Any:
        return np.asarray(compiled(angles)[1].block_until_ready())

    return step


def pennylane(task: dict[str, Any]) -> Step:
    """lightning.qubit by its adjoint method. It takes a batch of initial states one after the other, so a step here is
    one state (the first) and `quantum.py` multiplies by the batch."""
    import pennylane as qml

    double = task["dtype"] == "float64"
    task["states"], task["labels"] = task["states"][:1], task["labels"][:1]
    device = qml.device("lightning.qubit", wires=task["qubits"], c_dtype=np.complex128 if double else np.complex64)
    return _of_pennylane(task, qml.QNode(_pennylane_circuit(task), device, interface="torch", diff_method="adjoint"))


def pennylane_default(task: dict[str, Any]) -> Step:
    """default.qubit takes the batch at once; torch differentiates it."""
    import pennylane as qml

    device = qml.device("default.qubit", wires=task["qubits"])
    return _of_pennylane(task, qml.QNode(_pennylane_circuit(task), device, interface="torch", diff_method="backprop"))


def _pennylane_circuit(task: dict[str, Any]) -> Any:
    import pennylane as qml

    n = task["qubits"]

    def circuit(angles: Any, states: Any) -> Any:
        qml.StatePrep(states, wires=range(n), validate_norm=False)
        for block in range(task["blocks"]):
            for qubit in range(n):  # U3 = RZ(phi) RY(theta) RZ(lambda) up to phase
                theta, phi, lam = angles[block, 0, qubit]
                qml.RZ(lam, qubit)
                qml.RY(theta, qubit)
                qml.RZ(phi, qubit)
            for place, pair in enumerate(task["ring"]):
                theta, phi, lam = angles[block, 1, place]
                qml.CRZ(lam, pair)
                qml.CRY(theta, pair)
                qml.CRZ(phi, pair)
                qml.PhaseShift((phi + lam) / 2, pair[0])
        return [qml.expval(qml.PauliZ(qubit)) for qubit in range(n)]

    return circuit


def _of_pennylane(task: dict[str, Any], circuit: Any) -> Step:
    import torch

    torch.set_num_threads(1)
    real, kind = (torch.float64, torch.complex128) if task["dtype"] == "float64" else (torch.float32, torch.complex64)
    states = torch.tensor(reversed_bits(task["states"], task["qubits"])).to(kind)
    labels = torch.tensor(task["labels"])
    angles = torch.tensor(task["angles"], dtype=real, requires_grad=True)

    def step() -> Any:
        angles.grad = None
        logits = torch.stack(circuit(angles, states if len(states) > 1 else states[0])).T.reshape(len(states), -1)
        torch.nn.functional.cross_entropy(logits, labels).backward()
        return angles.grad.numpy()

    return step


PEERS = {
    "deepquantum": deepquantum,
    "pyqtorch": pyqtorch,
    "tensorcircuit-ng": tensorcircuit,
    "tensorcircuit-ng-unitary": partial(tensorcircuit, by_unitary=True),
    "pennylane": pennylane,
    "pennylane-default": pennylane_default,
}
PACKAGES = {
    "pennylane": "pennylane-lightning",
    "pennylane-default": "pennylane",
    "tensorcircuit-ng-unitary": "tensorcircuit-ng",
}


def main() -> int:
    name = sys.argv[1]
    task = json.loads(sys.stdin.readline())
    task["states"] = np.array(task["states"][0]) + 1j * np.array(task["states"][1])
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    began = time.process_time()
    step = PEERS[name](task)
    gradient = np.asarray(step(), dtype=float)
    first_s = time.process_time() - began
    version = metadata.version(PACKAGES.get(name, name))
    hello = {"gradient": gradient.tolist(), "version": version, "states": len(task["states"]), "first_s": first_s}
    print(json.dumps(hello), file=answers, flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(json.loads(line)["repeats"]):
            began = time.process_time()
            step()
            times.append(1e3 * (time.process_time() - began))
        print(json.dumps({"ms": times}), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
