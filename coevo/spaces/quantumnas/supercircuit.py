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
from coevo.spaces.quantumnas.classifier import ANGLES, WEIGHT_DECAY, EncodedImages, MaskedAdam, learning_rate_at
from coevo.spaces.quantumnas.data import N_QUBITS, read_training_images
from coevo.spaces.quantumnas.options import Options
from coevo.supernets import PlainSampler, RestrictedSampler, Sampler, ShrinkingSampler

FILE, CHECKPOINT = "supercircuit.safetensors", "supercircuit.checkpoint.safetensors"
START_SPREAD = 0.1  # radians
CHECKPOINT_EVERY_S = 2.0
Array = NDArray[Any]
_OTHERS_THAT_MATTER = ("gates", "data", "data_seed", "max_blocks", "sampler", "subcircuits_per_step", "train_images")


def make_sampler(options: Options) -> Sampler:
    """Genes are (U3 width, CU3 width) of every block, then the number of blocks."""
    width = range(1, N_QUBITS + 1)
    choices = [width] * (2 * options.max_blocks) + [range(1, options.max_blocks + 1)]
    if options.sampler == "plain":
        return PlainSampler(choices)
    if options.sampler == "restricted":
        return RestrictedSampler(choices)
    return ShrinkingSampler(choices, depth=-1)


def masks_of(genes: Array, max_blocks: int) -> NDArray[np.float32]:
    """[genes, max_blocks, 2, 4, 3]: 1 for the angles of gates that exist; genes are int64 [genes, 2 max_blocks + 1]."""
    widths = genes[:, :-1].reshape(-1, max_blocks, 2, 1, 1)
    used = np.arange(max_blocks)[None, :, None, None, None] < genes[:, -1].reshape(-1, 1, 1, 1, 1)
    exists = (np.arange(N_QUBITS)[:, None] < widths) & used
    return np.ascontiguousarray(np.broadcast_to(exists, (len(genes), max_blocks, *ANGLES))).astype(np.float32)


def train_supercircuit(
    options: Options, seed: int, folder: Path, progress: Callable[[float, float, str], None] | None = None
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
        progress(0, steps, "reading the images")
    images = EncodedImages(read_training_images(options)[0])
    sampler = make_sampler(options)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    start = rng.uniform(-START_SPREAD, START_SPREAD, (options.max_blocks, *ANGLES)).astype(np.float32)
    optimizer = MaskedAdam(start, WEIGHT_DECAY)
    genes = np.array([sampler.first()] * options.subcircuits_per_step, dtype=np.int64)
    step = 0
    if checkpoint.is_file():
        stored = _read(checkpoint, said)
        for name, array in optimizer.state().items():
            array[...] = stored[name]
        genes, step = stored["genes"].copy(), int(stored["step"][0])
    saved = time.monotonic()
    while step < steps:
        genes = _train_step(options, seed, step, sampler, genes, optimizer, images)
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
    """The angles [max_blocks, 2, 4, 3]."""
    return np.asarray(_read(path, None)["weights"], dtype=np.float32)


def _train_step(
    options: Options,
    seed: int,
    step: int,
    sampler: Sampler,
    genes: Array,
    optimizer: MaskedAdam,
    images: EncodedImages,
) -> Array:
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, step)))
    done = step / options.supercircuit_steps
    genes = np.array([sampler.draw(rng, tuple(gene), done) for gene in genes.tolist()], dtype=np.int64)
    deepest = int(genes[:, -1].max())
    masks = masks_of(genes, options.max_blocks)
    batch = rng.integers(0, len(images.states), options.supercircuit_batch_images)
    _, gradients = images.gradient((optimizer.weights * masks)[:, :deepest], batch)
    # Every angle moves by the mean over those of the drawn SubCircuits that have it.
    sums = np.zeros_like(optimizer.weights)
    sums[:deepest] = (gradients * masks[:, :deepest]).sum(axis=0)
    count = masks.sum(axis=0)
    rate = learning_rate_at(step, options.supercircuit_steps, options.supercircuit_learning_rate)
    optimizer.step(sums / np.maximum(count, 1), np.minimum(count, 1), rate)
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
