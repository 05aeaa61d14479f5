"""One SuperCircuit step, forward and backward: the NumPy kernel beside PyTorch doing the same work.

8 blocks of U3 + CU3 on 4 qubits (64 gates), 256 encoded images, loss and gradient of all 192 angles, one thread:

    kernel          coevo.kernels.statevector, gradient written out
    torch, layers   the same Kronecker products and embedded gates, gradient by autograd
    torch, gates    one gate after the other on the batch, gradient by autograd, as quantum libraries do it

Gradients are compared before anything is timed. Milliseconds are CPU time; medians of repeats taken in turn.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import _bench
from coevo.spaces.quantumnas.classifier import EncodedImages
from coevo.spaces.quantumnas.data import Images
from coevo.spaces.quantumnas.space import RING
from coevo.spaces.quantumnas.threads import one_thread

QUBITS, BLOCKS, IMAGES, REPEATS = 4, 8, 256, 60


def main() -> int:
    import torch

    arguments = _bench.parser(__doc__).parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images = EncodedImages(Images(rng.uniform(-0.5, 2.8, (IMAGES, 16)), rng.integers(0, 4, IMAGES)))
    angles = rng.uniform(-3, 3, (1, BLOCKS, 2, QUBITS, 3)).astype(np.float32)
    peers = {"torch, layers": torch_layers(images), "torch, gates": torch_gates(images)}
    sides: dict[str, Callable[[], Any]] = {"kernel": lambda: images.gradient(angles)[1]}
    for name, loss in peers.items():
        sides[name] = lambda loss=loss: torch_gradient(loss, angles)
    result = _bench.Result("supercircuit_step", packages=("torch",))
    result.settings = {"qubits": QUBITS, "blocks": BLOCKS, "images": IMAGES, "repeats": REPEATS, "threads": 1}
    with one_thread():
        wanted = sides["kernel"]()
        apart = max(float(np.abs(side() - wanted).max()) for side in sides.values())
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(REPEATS):
            for name, side in sides.items():
                began = time.process_time()
                side()
                times[name].append(1e3 * (time.process_time() - began))
    medians = {name: _bench.summary(found)["median"] for name, found in times.items()}
    result.measurements = {
        "step_ms": {name: _bench.summary(found) for name, found in times.items()},
        "times_as_fast_as": {name: medians[name] / medians["kernel"] for name in peers},
        "largest_gradient_difference": apart,
    }
    result.bars = [
        _bench.at_most("gradients differ by", apart, "1", 1e-5),
        _bench.at_most("a step of the kernel", medians["kernel"], "ms CPU", 5),
        _bench.at_least(
            "times as fast as autograd over the same layers", medians["torch, layers"] / medians["kernel"], "x", 1
        ),
    ]
    print(_bench.table(("side", "ms a step"), list(medians.items())))
    return result.finish(arguments)


def torch_gradient(loss: Callable[[Any], Any], angles: Any) -> Any:
    import torch

    leaf = torch.tensor(angles, requires_grad=True)
    loss(leaf).backward()
    return leaf.grad.numpy()


def torch_loss(images: EncodedImages, out: Any) -> Any:
    import torch

    signs = torch.tensor(images._signs)
    logits = (out.real**2 + out.imag**2) @ signs
    return torch.nn.functional.cross_entropy(logits, torch.tensor(images.labels))


def torch_u3(angles: Any) -> Any:
    """[..., 3] -> [..., 2, 2]"""
    import torch

    half = angles[..., 0] / 2
    cosine, sine = torch.cos(half), torch.sin(half)
    phase_phi, phase_lam = torch.exp(1j * angles[..., 1]), torch.exp(1j * angles[..., 2])
    rows = [cosine + 0j, -phase_lam * sine, phase_phi * sine, phase_phi * phase_lam * cosine]
    return torch.stack(rows, -1).reshape(*angles.shape[:-1], 2, 2)


def torch_layers(images: EncodedImages) -> Callable[[Any], Any]:
    import torch

    from coevo.kernels.statevector import LayeredCircuit

    circuit = LayeredCircuit(QUBITS, RING)
    dim = 2**QUBITS
    rest = torch.tensor(circuit._rest).to(torch.complex64)[:, None]
    spread = torch.tensor(circuit._spread).to(torch.complex64).reshape(QUBITS, 4, -1)
    states = torch.tensor(images.states)

    def loss(angles: Any) -> Any:
        gates = torch_u3(angles[0])
        layer = gates[:, 0, 0]
        for qubit in range(1, QUBITS):
            size = 2 ** (qubit + 1)
            layer = (gates[:, 0, qubit, :, None, :, None] * layer[:, None, :, None, :]).reshape(BLOCKS, size, size)
        entries = gates[:, 1].reshape(BLOCKS, QUBITS, 4).transpose(0, 1)
        controlled = torch.bmm(entries, spread).reshape(QUBITS, BLOCKS, dim, dim) + rest
        for place in range(QUBITS):
            layer = torch.bmm(controlled[place], layer)
        while len(layer) > 1:
            layer = torch.bmm(layer[1::2], layer[0::2])
        return torch_loss(images, states @ layer[0].T)

    return loss


def torch_gates(images: EncodedImages) -> Callable[[Any], Any]:
    import torch

    states = torch.tensor(images.states)

    def loss(angles: Any) -> Any:
        gates = torch_u3(angles[0])
        out = states.reshape(IMAGES, *[2] * QUBITS)  # axis 4 - q holds qubit q
        for block in gates:
            for qubit in range(QUBITS):
                axis = QUBITS - qubit
                out = torch.tensordot(out, block[0, qubit], dims=([axis], [1])).movedim(-1, axis)
            for place, (control, target) in enumerate(RING):
                idle, busy = out.unbind(QUBITS - control)
                axis = QUBITS - target - (target < control)
                busy = torch.tensordot(busy, block[1, place], dims=([axis], [1])).movedim(-1, axis)
                out = torch.stack([idle, busy], QUBITS - control)
        return torch_loss(images, out.reshape(IMAGES, -1))

    return loss


if __name__ == "__main__":
    sys.exit(main())
