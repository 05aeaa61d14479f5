"""Taking a design home: scratch training, one look at the test images, and every file that a user needs.

Besides what the caller adds, the folder holds
    circuit.qpy, circuit.qasm3   encoder | barrier | body | measurement on logical qubits; x[..] and theta[..] unbound
    isa.qpy, isa.qasm3           the same on the device, in its gates: theta bound, x unbound
    layout.json                  where each logical qubit starts, where routing leaves it, and what was mapped how
    weights.safetensors          theta, float64 [gates, 3]
    examples.json                some validation images with the logits they must give, noise-free and noisy
    drawing.svg
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import missing_extra
from coevo.hardware.quantum import QuantumDevice
from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas.circuits import Mapped, Mapper, gate_angles, logical_circuit
from coevo.spaces.quantumnas.classifier import EncodedImages, accuracy_and_loss, train_from_scratch
from coevo.spaces.quantumnas.data import Images, read_test_images, read_training_images
from coevo.spaces.quantumnas.drawing import draw
from coevo.spaces.quantumnas.evaluate import NoisyScorer
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.space import CoDesign

FORMAT = 1
EXAMPLES = 8
Array = NDArray[Any]


def export_design(options: Options, design: CoDesign, context: WorkContext) -> dict[str, float]:
    """Trains the design from fresh weights, tests it once and writes the folder; returns the measurements.

    Of `scratch_restarts` trainings the one with the highest noisy validation accuracy is kept (the lower noisy loss
    where two are equal); the test images are read after that.
    """
    steps = options.scratch_steps
    context.progress(0, steps + 3, "reading the images")
    training, validation = read_training_images(options)
    trained = train_restarts(
        options, design, training, context.seed, lambda step: context.progress(step, steps + 3, "training from scratch")
    )
    context.progress(steps, steps + 3, "mapping to the device")
    device = QuantumDevice.from_name(options.device)
    mapper = Mapper(device, options.optimization_level, options.transpiler_seed)
    angles, mapped = choose_restart(design, trained, NoisyScorer(mapper, validation), design.layout)

    context.progress(steps + 1, steps + 3, "testing")
    measured = {
        **_measure("validation", angles, mapped, NoisyScorer(mapper, validation)),
        **_measure("test", angles, mapped, NoisyScorer(mapper, read_test_images(options))),
        "two_qubit_gates": float(mapped.two_qubit_gates),
        "depth": float(mapped.depth),
        "parameters": float(design.parameters),
    }
    context.progress(steps + 2, steps + 3, "writing the circuits")
    write_circuits(context.folder, design, angles, mapped, device)
    shown = np.linspace(0, len(validation.labels) - 1, EXAMPLES).astype(int)
    write_examples(context.folder, angles, mapped, mapper, Images(validation.inputs[shown], validation.labels[shown]))
    (context.folder / "drawing.svg").write_text(draw(design), encoding="utf-8")
    context.progress(steps + 3, steps + 3, "exported")
    return measured


def train_restarts(options: Options, design: CoDesign, training: Images, seed: int, progress: Any = None) -> Array:
    """Angles [restarts, blocks, 2, 4, 3] in float64, trained noise-free from fresh weights."""
    seeds = [
        int(np.random.SeedSequence(seed, spawn_key=(2, n)).generate_state(1)[0])
        for n in range(options.scratch_restarts)
    ]
    angles = train_from_scratch(
        design.mask(), EncodedImages(training), options.scratch_steps, options.scratch_learning_rate, seeds, progress
    )
    return angles.astype(np.float64)


def choose_restart(
    design: CoDesign, trained: Array, scorer: NoisyScorer, layout: tuple[int, ...] | None
) -> tuple[Array, Mapped]:
    """The training with the best noisy accuracy on the scorer's (validation) images, and its mapped circuit."""
    best: tuple[float, float] | None = None
    for angles in trained:
        mapped = scorer.map(design, angles, layout)
        accuracy, loss = accuracy_and_loss(scorer.logits(mapped), scorer.images.labels)
        if best is None or (accuracy, -loss) > best:
            best, chosen = (accuracy, -loss), (angles, mapped)
    return chosen


def write_circuits(folder: Path, design: CoDesign, angles: Array, mapped: Mapped, device: QuantumDevice) -> None:
    """circuit.*, isa.*, layout.json and weights.safetensors."""
    from qiskit import qasm3, qpy
    from qiskit.circuit import ParameterVector

    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise missing_extra("safetensors", "quantum") from error

    bound = np.array(gate_angles(design, angles))
    theta = ParameterVector("theta", bound.size)
    logical = logical_circuit(design, [[theta[3 * row + k] for k in range(3)] for row in range(len(bound))])
    for name, circuit in (("circuit", logical), ("isa", mapped.whole())):
        with (folder / f"{name}.qpy").open("wb") as handle:
            qpy.dump(circuit, handle)
        (folder / f"{name}.qasm3").write_text(qasm3.dumps(circuit), encoding="utf-8")
    save_file({"theta": bound}, folder / "weights.safetensors")
    _write_json(
        folder / "layout.json",
        {
            "format": FORMAT,
            "device": device.fingerprint(),
            "initial": list(mapped.initial),
            "final": list(mapped.final),
            "meaning": "entry i is the physical qubit of logical qubit i, before and after the body; "
            "classical bit i of isa.* is logical qubit i",
            "widths": [list(pair) for pair in design.widths],
        },
    )


def write_examples(folder: Path, angles: Array, mapped: Mapped, mapper: Mapper, images: Images) -> None:
    """examples.json: images with their logits, for `verify` and for whoever rebuilds the circuit elsewhere."""
    noisy = NoisyScorer(mapper, images).logits(mapped)
    noise_free = EncodedImages(images, np.float64).logits(angles[None])[0]
    rows = [
        {"x": x.tolist(), "label": int(label), "noise_free_logits": free.tolist(), "noisy_logits": real.tolist()}
        for x, label, free, real in zip(images.inputs, images.labels, noise_free, noisy, strict=True)
    ]
    meaning = "x: the encoder's angles in radians; logits: <Z> of logical qubits 0 to 3 with infinitely many shots"
    _write_json(folder / "examples.json", {"format": FORMAT, "meaning": meaning, "images": rows})


def _measure(name: str, angles: Array, mapped: Mapped, scorer: NoisyScorer) -> dict[str, float]:
    images = scorer.images
    accuracy, loss = accuracy_and_loss(scorer.logits(mapped), images.labels)
    noise_free = EncodedImages(images, np.float64).logits(angles[None])[0]
    free_accuracy, free_loss = accuracy_and_loss(noise_free, images.labels)
    return {
        f"noisy_{name}_accuracy": accuracy,
        f"noisy_{name}_loss_nat": loss,
        f"noise_free_{name}_accuracy": free_accuracy,
        f"noise_free_{name}_loss_nat": free_loss,
        f"{name}_images": float(len(images.labels)),
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
