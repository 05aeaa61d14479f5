"""The SuperCircuit: one set of angles for every SubCircuit, trained by sampling (QuantumNAS, HPCA 2022, section 4).

Each step draws SubCircuits, runs only their gates and moves only their angles. The angles start near 0, where a gate
is nearly the identity, so that a SubCircuit and the same one with a block more begin as neighbours. Training is a
function of (options, seed) alone: every step draws from a generator of its own, and the checkpoint holds the angles,
the optimiser, the last genes and the step, so an interrupted training ends with the same bytes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import CorruptRun, missing_extra
from coevo.spaces.quantumnas.ansatz.template import Template
from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.tasks.task import Classification
from coevo.spaces.quantumnas.training.adam import WEIGHT_DECAY, MaskedAdam, learning_rate_at
from coevo.spaces.quantumnas.training.circuits import START_SPREAD
from coevo.spaces.quantumnas.training.objectives import Objective, Task
from coevo.supernets import Sampler, Subnets, make_sampler

FILE, CHECKPOINT = "supercircuit.safetensors", "supercircuit.checkpoint.safetensors"
CHECKPOINT_EVERY_S = 2.0
Array = NDArray[Any]
_OTHERS_THAT_MATTER = (
    "gates", "widths", "artifact_depth", "data", "data_path", "data_seed", "max_blocks", "sampler",
    "sharpness", "start", "subcircuits_per_step", "train_examples",
)  # fmt: skip


def train_supercircuit(
    options: Options,
    task: Task,
    template: Template,
    seed: int,
    folder: Path,
    progress: Callable[[float, float, str], None] | None = None,
) -> Path:
    """Trains in `folder`, going on from its checkpoint where there is one; returns the file of the angles.

    Raises CorruptRun where the folder holds a training of other options or another seed.
    """
    said = {"seed": seed, "options": {name: value for name, value in options.model_dump().items() if _matters(name)}}
    final, checkpoint = folder / FILE, folder / CHECKPOINT
    if final.is_file():
        _read(final, said)
        return final
    steps = options.supercircuit_steps
    if progress is not None:
        progress(0, steps, "reading the task")
    training = task.read_training()[0] if isinstance(task, Classification) else None
    objective = Objective(task, template, training, sharpness=options.sharpness)
    sampler = sampler_of(options, template)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    start = rng.uniform(-START_SPREAD, START_SPREAD, template.n_angles).astype(np.float32)
    optimizer = MaskedAdam(template.with_constants(start), WEIGHT_DECAY)
    genes = np.array([sampler.first()] * options.subcircuits_per_step, dtype=np.int64)
    step = 0
    if checkpoint.is_file():
        stored = _read(checkpoint, said)
        for name, array in optimizer.state().items():
            array[...] = stored[name]
        genes, step = stored["genes"].copy(), int(stored["step"][0])
    saved = time.monotonic()
    while step < steps:
        genes = _train_step(options, template, seed, step, sampler, genes, optimizer, objective)
        step += 1
        if progress is not None and step % 50 == 0:
            progress(step, steps, "training the SuperCircuit")
        if time.monotonic() - saved > CHECKPOINT_EVERY_S and step < steps:
            _write(checkpoint, {**optimizer.state(), "genes": genes, "step": np.array([step])}, said)
            saved = time.monotonic()
    _write(final, {"weights": optimizer.weights}, said)
    checkpoint.unlink(missing_ok=True)
    return final


def load_supercircuit(path: Path) -> NDArray[np.float32]:
    """The angles [n_angles]."""
    return np.asarray(_read(path, None)["weights"], dtype=np.float32)


def sampler_of(options: Options, template: Template) -> Sampler:
    """The sampler that the options name, over the template's genes; a SubCircuit's size is its number of gates."""
    subnets = Subnets(template.gene_choices, depth=len(template.gene_choices) - 1, sizes=template.sizes_of_genes)
    return make_sampler(options.sampler, subnets)


def _train_step(
    options: Options,
    template: Template,
    seed: int,
    step: int,
    sampler: Sampler,
    genes: Array,
    optimizer: MaskedAdam,
    objective: Objective,
) -> Array:
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, step)))
    done = step / options.supercircuit_steps
    genes = np.array([sampler.draw(rng, tuple(gene), done) for gene in genes.tolist()], dtype=np.int64)
    active = template.actives_of_genes(genes)
    mask = template.angle_mask(active)
    batch = rng.integers(0, objective.count, options.supercircuit_batch) if objective.count > 1 else None
    shared = np.broadcast_to(optimizer.weights, mask.shape)
    _, gradients = objective.value_and_gradient(np.ascontiguousarray(shared), active, batch)
    # Every angle moves by the mean over those of the drawn SubCircuits that have it.
    count = mask.sum(axis=0)
    mean = (gradients * mask).sum(axis=0) / np.maximum(count, 1).astype(gradients.dtype)
    rate = learning_rate_at(step, options.supercircuit_steps, options.supercircuit_learning_rate)
    optimizer.step(mean, count > 0, rate)
    return genes


def _matters(name: str) -> bool:
    """Whether an option changes the SuperCircuit."""
    return name.startswith("supercircuit_") or name in _OTHERS_THAT_MATTER


def _write(path: Path, arrays: dict[str, Array], said: dict[str, Any]) -> None:
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise missing_extra("safetensors", "quantum") from error
    part = path.with_suffix(".part")
    # One metadata entry: safetensors stores several in an order that differs from run to run.
    save_file(arrays, part, metadata={"training": json.dumps(said, sort_keys=True)})
    with part.open("rb") as handle:
        os.fsync(handle.fileno())
    os.replace(part, path)


def _read(path: Path, said: dict[str, Any] | None) -> dict[str, Array]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise missing_extra("safetensors", "quantum") from error
    try:
        with safe_open(path, framework="numpy") as handle:
            told = json.loads((handle.metadata() or {}).get("training", "null"))
            names = handle.keys()
            arrays = {name: handle.get_tensor(name) for name in names}
    except (SafetensorError, ValueError) as error:
        raise CorruptRun(f"{path} cannot be read as a SuperCircuit ({error}); delete it to train anew") from error
    if said is not None and told != said:
        raise CorruptRun(f"{path} was trained with other options or another seed; use a fresh run folder")
    return arrays
