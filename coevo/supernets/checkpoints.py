"""What a training needs to go on where it was killed, to the same weights.

A checkpoint is a safetensors file with weights, statistics and momenta; it is whole when `checkpoint.json`, which is
written last, names it. What is random in a step follows from (seed, step), so that no generator's state is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import InputError, missing_extra

NOTE = "checkpoint.json"
VERSION = 1


class Checkpoints:
    """In one folder, of one training.

    Args:
        folder: made where it is not there.
        identity: what the weights follow from (space, recipe, data) as plain JSON; a checkpoint of another is refused.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder, self.identity = folder, json.loads(json.dumps(identity))

    def save(
        self,
        step: int,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: Any,
        state: Mapping[str, Any],
        beside: Mapping[str, Tensor] | None = None,
    ) -> None:
        """After `step` updates; `state` is plain JSON that `load` gives back, `beside` tensors that it fills."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"net/{name}": each for name, each in net.state_dict().items()}
        tensors |= {f"beside/{name}": each for name, each in (beside or {}).items()}
        numbers: dict[str, dict[str, int | float]] = {}
        for number, held in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{key}": each for key, each in held.items() if isinstance(each, Tensor)}
            plain = {key: each for key, each in held.items() if isinstance(each, int | float)}
            if plain:
                numbers[str(number)] = plain
        name = f"checkpoint-{step}.safetensors"
        write_tensors(self.folder / name, tensors)
        scale = None if scaler is None else {k: v for k, v in scaler.state_dict().items() if k in _SCALER}
        note = {
            "version": VERSION, "identity": self.identity, "step": step, "file": name, "scaler": scale, "state": state,
            "optimizer": numbers,
        }  # fmt: skip
        write_text(self.folder / NOTE, json.dumps(note, indent=1) + "\n")
        for old in self.folder.glob("checkpoint-*.safetensors"):
            if old.name != name:
                old.unlink(missing_ok=True)

    def load(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: Any,
        beside: Mapping[str, Tensor] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """(updates done, state) with everything put back; (0, {}) where there is no checkpoint.

        Raises:
            InputError: it is of another training, or damaged; nothing was put back then.
        """
        note = read_note(self.folder)
        if note is None:
            return 0, {}
        path = self.folder / NOTE
        if note["identity"] != self.identity:
            raise InputError(f"{path} is of another training: {_difference(note['identity'], self.identity)}. Train in "
                             "another folder, or remove this one")  # fmt: skip
        tensors = read_tensors(self.folder / str(note["file"]))
        weights = {name[4:]: each for name, each in tensors.items() if name.startswith("net/")}
        check_weights(net, weights, str(self.folder / str(note["file"])))
        besides = {name[7:]: each for name, each in tensors.items() if name.startswith("beside/")}
        check_shapes({name: tuple(each.shape) for name, each in (beside or {}).items()}, besides, str(path))
        momenta: dict[int, dict[str, Any]] = {
            int(number): dict(held) for number, held in note.get("optimizer", {}).items()
        }
        for name, each in tensors.items():
            if name.startswith("optimizer/"):
                _, number, key = name.split("/")
                momenta.setdefault(int(number), {})[key] = each
        net.load_state_dict(weights)
        with torch.no_grad():
            for name, each in (beside or {}).items():
                each.copy_(besides[name])
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": momenta, "param_groups": groups})
        if scaler is not None and note["scaler"] is not None:
            scaler.load_state_dict({**scaler.state_dict(), **note["scaler"]})
        return int(note["step"]), dict(note["state"])


_SCALER = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")


def read_note(folder: Path) -> dict[str, Any] | None:
    """What the folder's checkpoint says of itself; None where there is none. InputError where it is damaged."""
    path = folder / NOTE
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); remove the folder, and train again") from None
    if not isinstance(note, dict) or note.get("version") != VERSION:
        got = note.get("version") if isinstance(note, dict) else note
        raise InputError(f"{path}: expected a checkpoint of version {VERSION}, got {got!r}; train again")
    if not {"identity", "step", "file", "scaler", "state"} <= set(note):
        raise InputError(f"{path} is no checkpoint's note; remove the folder, and train again")
    return note


def check_weights(net: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """InputError unless the weights are the network's by name and shape."""
    check_shapes({name: tuple(each.shape) for name, each in net.state_dict().items()}, weights, where)


def check_shapes(held: Mapping[str, tuple[int, ...]], weights: Mapping[str, Tensor], where: str) -> None:
    """InputError unless the weights have these names and shapes."""
    given = {name: tuple(each.shape) for name, each in weights.items()}
    wrong = sorted(name for name in {*held, *given} if held.get(name) != given.get(name))
    if wrong:
        first, more = wrong[0], f", and {len(wrong) - 1} more differ" if len(wrong) > 1 else ""
        raise InputError(
            f"{where} does not fit the network: {first} is {given.get(first, 'absent')}, expected "
            f"{held.get(first, 'none')}{more}. It is of another space, design or version"
        )


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """A safetensors file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    plain = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    _safetensors().save_file(plain, str(part), dict(metadata) if metadata else None)
    os.replace(part, path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """InputError where the file is absent or damaged."""
    try:
        found: dict[str, Tensor] = _safetensors().load_file(str(path))
    except Exception as error:  # safetensors has an exception of its own for damaged files
        raise InputError(f"{path} cannot be read ({type(error).__name__}: {error})") from None
    return found


def write_text(path: Path, text: str) -> None:
    """Whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _difference(theirs: Any, mine: Mapping[str, Any]) -> str:
    if not isinstance(theirs, Mapping):
        return f"it names {theirs!r}"
    keys = [key for key in {**theirs, **mine} if theirs.get(key) != mine.get(key)]
    return "; ".join(f"{key} is {theirs.get(key)!r} there, {mine.get(key)!r} here" for key in keys)


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise missing_extra("safetensors", "spvnas", "sana") from error
    return safetensors.torch
