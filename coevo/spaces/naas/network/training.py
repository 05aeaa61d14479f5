"""Training a supernet: in every step the largest network, the smallest and some between learn from one batch, the
others from the largest's answers too (the sandwich rule with in-place distillation, Yu and Huang 2019)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from coevo.errors import InputError, missing_extra
from coevo.search.canonical import derived_seed, stream
from coevo.search.space import Space
from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.network.families import family
from coevo.spaces.naas.network.images import Images
from coevo.spaces.naas.network.scale import Scale
from coevo.spaces.naas.network.supernet import Supernet, largest, smallest
from coevo.supernets.elastic import learn_together

SUPERNET, CHECKPOINT = "supernet.safetensors", "checkpoint"
BETWEEN = 2  # networks drawn in a step beside the largest and the smallest
CHECKPOINT_STEPS = 50
Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` of `batch` images each, Adam with a rate that falls as a cosine to zero."""

    steps: int
    batch: int = 64
    learning_rate: float = 2e-3


def train_supernet(
    name: str, scale: Scale, images: Images, plan: Plan, seed: int, folder: Path, progress: Progress = lambda *_: None
) -> Path:
    """The trained weights' file in `folder`. An interrupted training goes on from its last checkpoint there, to the
    same weights: which images and networks a step has follows from (seed, step)."""
    if plan.batch > len(images.train):
        raise InputError(f"a batch of {plan.batch} images is more than the {len(images.train)} that train")
    torch.manual_seed(derived_seed(seed, "supernet", name) % 2**31)
    network = Supernet(name, scale)
    optimiser = torch.optim.Adam(network.parameters(), plan.learning_rate)
    begin = _resume(folder, network, optimiser)
    whole, least = largest(name, scale), smallest(name, scale)
    space = Space(f"{name}/training", lambda pick: family(name)(pick, scale))
    train, labels = torch.from_numpy(images.train), torch.from_numpy(images.train_labels)
    for step in range(begin, plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * 0.5 * (1.0 + float(np.cos(np.pi * step / plan.steps)))
        draw = np.random.Generator(np.random.Philox(derived_seed(seed, "batch", step)))
        chosen = torch.from_numpy(draw.choice(len(train), plan.batch, replace=False))
        between = [space.build(space.sample(stream(seed, "network", step, k))) for k in range(BETWEEN)]
        loss = learn(network, optimiser, train[chosen], labels[chosen], whole, [least, *between])
        if (step + 1) % CHECKPOINT_STEPS == 0 and step + 1 < plan.steps:
            _save(folder, network, optimiser, step + 1)
        progress(step + 1, plan.steps, f"supernet {name}: loss {loss:.3f}")
    target = folder / SUPERNET
    _write(target, {key: value.detach().contiguous() for key, value in network.state_dict().items()})
    return target


def learn(
    network: Supernet,
    optimiser: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
    whole: NetworkDesign,
    parts: list[NetworkDesign],
) -> float:
    """One step on one batch; returns the largest network's loss."""
    optimiser.zero_grad(set_to_none=True)
    loss = learn_together(
        [whole, *parts],
        lambda design: network(images, design),
        lambda answers: functional.cross_entropy(answers, labels),
    )
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return float(loss)


def load_supernet(path: Path, name: str, scale: Scale) -> Supernet:
    """A trained supernet, ready to judge."""
    network = Supernet(name, scale)
    try:
        network.load_state_dict(_safetensors().load_file(path))
    except (RuntimeError, OSError) as error:
        raise InputError(f"{path}: no weights of {name} at this scale: {error}") from None
    return network.eval()


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise missing_extra("safetensors", "naas") from error
    return safetensors.torch


def _write(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    part = path.with_suffix(".part")
    _safetensors().save_file(tensors, part)
    os.replace(part, path)


def _save(folder: Path, network: Supernet, optimiser: torch.optim.Optimizer, step: int) -> None:
    """The checkpoint is whole when its note names it."""
    tensors = {f"weight/{key}": value.detach().contiguous() for key, value in network.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"adam/{number}/{key}": torch.as_tensor(value).contiguous() for key, value in state.items()}
    name = f"{CHECKPOINT}-{step}.safetensors"
    _write(folder / name, tensors)
    note = folder / f"{CHECKPOINT}.json"
    part = note.with_suffix(".part")
    part.write_text(json.dumps({"step": step, "file": name}), encoding="utf-8")
    os.replace(part, note)
    for old in folder.glob(f"{CHECKPOINT}-*.safetensors"):
        if old.name != name:
            old.unlink()


def _resume(folder: Path, network: Supernet, optimiser: torch.optim.Optimizer) -> int:
    note = folder / f"{CHECKPOINT}.json"
    if not note.is_file():
        return 0
    told = json.loads(note.read_text(encoding="utf-8"))
    tensors = _safetensors().load_file(folder / told["file"])
    network.load_state_dict({key[7:]: value for key, value in tensors.items() if key.startswith("weight/")})
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("adam/"):
            _, number, label = key.split("/")
            state.setdefault(int(number), {})[label] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(told["step"])
