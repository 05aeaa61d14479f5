"""Taking a design home: scratch training, one look at the test examples, and every file that a user needs.

Besides what the caller adds, the folder holds
    circuit.qpy, circuit.qasm3   encoder | barrier | body | measurement on logical qubits; x[..] and theta[..] unbound
    isa.qpy, isa.qasm3           the same on the device, in its gates: theta bound, x unbound
    layout.json                  where each logical qubit starts, where routing leaves it, and what was mapped how
    weights.safetensors          theta, float64 [angles of the design], in the order of its gates
    examples.json                some validation examples with the logits they must give, or the energies, noise-free
                                 and noisy
    drawing.svg
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import missing_extra
from coevo.search.problem import WorkContext
from coevo.spaces.quantumnas.ansatz.design import CoDesign
from coevo.spaces.quantumnas.export.drawing import draw
from coevo.spaces.quantumnas.judging.noisy import NoisyScorer
from coevo.spaces.quantumnas.mapping.circuits import Front, Mapped, Mapper, logical_circuit
from coevo.spaces.quantumnas.mapping.couplings import open_device
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.tasks.task import Classification, Examples
from coevo.spaces.quantumnas.training.circuits import train_from_scratch
from coevo.spaces.quantumnas.training.objectives import Objective, accuracy_and_loss

FORMAT = 2
EXAMPLES = 8
Array = NDArray[Any]


def export_design(setting: Setting, design: CoDesign, context: WorkContext) -> dict[str, float]:
    """Trains the design from fresh weights, tests it once and writes the folder; returns the measurements.

    Of `scratch_restarts` trainings the one that is best under noise on validation examples is kept (the lower loss
    where two are equally accurate; the lowest energy); the test examples are read after that.
    """
    task, template, steps = setting.task, setting.template, setting.options.scratch_steps
    context.progress(0, steps + 3, "reading the task")
    training, validation = task.read_training() if isinstance(task, Classification) else (None, None)
    objective = Objective(task, template, training)
    trained = train_restarts(
        setting,
        design,
        objective,
        context.seed,
        lambda step: context.progress(step, steps + 3, "training from scratch"),
    )
    context.progress(steps, steps + 3, "mapping to the device")
    scorer = scorer_of(setting, validation)
    angles, mapped = choose_restart(design, trained, scorer)

    context.progress(steps + 1, steps + 3, "testing")
    measured: dict[str, float] = {}
    if isinstance(task, Classification):
        assert validation is not None
        measured |= _accuracies("validation", setting, design, angles, mapped, scorer, validation)
        measured |= _accuracies("test", setting, design, angles, mapped, scorer, task.read_test())
    else:
        noise_free = Objective(task, template, None, np.float64)
        active = template.actives([design.layers])
        measured["noisy_energy"] = float(scorer.outputs([mapped])[0])
        measured["noise_free_energy"] = float(noise_free.energies(angles[None], active)[0])
    measured |= {
        "two_qubit_gates": float(mapped.two_qubit_gates),
        "depth": float(mapped.depth),
        "parameters": float(template.parameters(design.layers)),
    }
    context.progress(steps + 2, steps + 3, "writing the circuits")
    write_circuits(context.folder, setting, design, angles, mapped, scorer)
    shown = None
    if validation is not None:
        rows = np.linspace(0, len(validation.labels) - 1, min(EXAMPLES, len(validation.labels))).astype(int)
        shown = Examples(validation.inputs[rows], validation.labels[rows])
    write_examples(context.folder, setting, design, angles, mapped, scorer, shown)
    (context.folder / "drawing.svg").write_text(draw(setting, design), encoding="utf-8")
    context.progress(steps + 3, steps + 3, "exported")
    return measured


def scorer_of(setting: Setting, examples: Examples | None, optimization_level: int | None = None) -> NoisyScorer:
    """The exact noisy scorer of a setting; the optimisation level is the options' unless given."""
    task, options = setting.task, setting.options
    front = Front(task.encoder if isinstance(task, Classification) else (), task.n_qubits)
    level = options.optimization_level if optimization_level is None else optimization_level
    mapper = Mapper(open_device(options.device), front, level, options.transpiler_seed)
    return NoisyScorer(setting.template, task, mapper, examples)


def train_restarts(setting: Setting, design: CoDesign, objective: Objective, seed: int, progress: Any = None) -> Array:
    """Angles [restarts, n_angles] in float64, trained noise-free from fresh weights."""
    options, template = setting.options, setting.template
    seeds = [
        int(np.random.SeedSequence(seed, spawn_key=(2, n)).generate_state(1)[0])
        for n in range(options.scratch_restarts)
    ]
    angles = train_from_scratch(
        template, template.actives([design.layers]), objective,
        options.scratch_steps, options.scratch_learning_rate, seeds, progress,
    )  # fmt: skip
    return angles.astype(np.float64)


def choose_restart(design: CoDesign, trained: Array, scorer: NoisyScorer) -> tuple[Array, Mapped]:
    """The training that is best under noise on the scorer's (validation) examples, and its mapped circuit."""
    mapped = [scorer.map(design, angles) for angles in trained]
    outputs = scorer.outputs(mapped)
    if scorer.examples is None:
        best = int(np.argmin(outputs))
    else:
        scores = [accuracy_and_loss(logits, scorer.examples.labels) for logits in outputs]
        best = max(range(len(scores)), key=lambda index: (scores[index][0], -scores[index][1], -index))
    return trained[best], mapped[best]


def write_circuits(
    folder: Path, setting: Setting, design: CoDesign, angles: Array, mapped: Mapped, scorer: NoisyScorer
) -> None:
    """circuit.*, isa.*, layout.json and weights.safetensors."""
    from qiskit import qasm3, qpy
    from qiskit.circuit import ParameterVector

    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise missing_extra("safetensors", "quantum") from error

    used = setting.template.used_angles(design.layers)
    theta = ParameterVector("theta", len(used))
    symbols: list[Any] = list(angles.tolist())
    for position, slot in enumerate(used):
        symbols[slot] = theta[position]
    gates = setting.template.gates_of(design.layers)
    logical = logical_circuit(scorer.mapper.front, gates, symbols)
    for name, circuit in (("circuit", logical), ("isa", mapped.whole())):
        with (folder / f"{name}.qpy").open("wb") as handle:
            qpy.dump(circuit, handle)
        (folder / f"{name}.qasm3").write_text(qasm3.dumps(circuit), encoding="utf-8")
    save_file({"theta": np.ascontiguousarray(angles[used])}, folder / "weights.safetensors")
    _write_json(
        folder / "layout.json",
        {
            "format": FORMAT,
            "device": scorer.mapper.device.fingerprint(),
            "initial": list(mapped.initial),
            "final": list(mapped.final),
            "meaning": "entry i is the physical qubit of logical qubit i, before and after the body; "
            "classical bit i of isa.* is logical qubit i",
            "layers": [list(places) for places in design.layers],
        },
    )


def write_examples(
    folder: Path, setting: Setting, design: CoDesign, angles: Array, mapped: Mapped, scorer: NoisyScorer, shown: Any
) -> None:
    """examples.json: what the circuit must give, for `verify` and for whoever rebuilds it elsewhere."""
    task, template = setting.task, setting.template
    active = template.actives([design.layers])
    if shown is None:
        content = {
            "format": FORMAT,
            "meaning": "energies with infinitely many shots, in the Hamiltonian's unit",
            "noise_free_energy": float(Objective(task, template, None, np.float64).energies(angles[None], active)[0]),
            "noisy_energy": float(scorer.outputs([mapped])[0]),
        }
        _write_json(folder / "examples.json", content)
        return
    noisy = scorer.outputs([mapped], shown)[0]
    noise_free = Objective(task, template, shown, np.float64).logits(angles[None], active)[0]
    rows = [
        {"x": x.tolist(), "label": int(label), "noise_free_logits": free.tolist(), "noisy_logits": real.tolist()}
        for x, label, free, real in zip(shown.inputs, shown.labels, noise_free, noisy, strict=True)
    ]
    meaning = (
        "x: the encoder's angles in radians; logits: <Z> of the qubits with infinitely many shots, through the head"
    )
    _write_json(folder / "examples.json", {"format": FORMAT, "meaning": meaning, "examples": rows})


def _accuracies(
    name: str,
    setting: Setting,
    design: CoDesign,
    angles: Array,
    mapped: Mapped,
    scorer: NoisyScorer,
    examples: Examples,
) -> dict[str, float]:
    accuracy, loss = accuracy_and_loss(scorer.outputs([mapped], examples)[0], examples.labels)
    noise_free = Objective(setting.task, setting.template, examples, np.float64)
    logits = noise_free.logits(angles[None], setting.template.actives([design.layers]))[0]
    free_accuracy, free_loss = accuracy_and_loss(logits, examples.labels)
    return {
        f"noisy_{name}_accuracy": accuracy,
        f"noisy_{name}_loss_nat": loss,
        f"noise_free_{name}_accuracy": free_accuracy,
        f"noise_free_{name}_loss_nat": free_loss,
        f"{name}_examples": float(len(examples.labels)),
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
