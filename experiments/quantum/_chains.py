"""Human designs of the native gate set: full layers on a chain of coupled qubits, for a search to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from coevo.search.design import Design, Origin
from coevo.search.space import Space
from coevo.spaces.quantumnas.judging.elivagar.candidates import coupling_errors, layout_quality
from coevo.spaces.quantumnas.mapping.couplings import Coupling, open_device
from coevo.spaces.quantumnas.setting import Setting

DRAWN = 400  # paths, of which the best by calibration are taken


def chain_designs(space: Space, setting: Setting, blocks: Sequence[int], paths: int, seed: int) -> list[Design]:
    """Designs with a U3 on every qubit and a CZ between each two neighbours of a chain in every block: for each number
    of blocks one on each of the device's best `paths` chains (`layout_quality`). Logical qubits are numbered along the
    chain, so the circuits are the same on every device."""
    device = open_device(setting.options.device)
    errors = coupling_errors(device)
    rng = np.random.default_rng(seed)
    found = {path for _ in range(DRAWN) if (path := _draw_path(setting.coupling, setting.n_qubits, rng))}
    best = sorted(found, key=lambda path: (-layout_quality(device, path, errors), path))[:paths]
    return [_chain(space, path, count) for count in blocks for path in best]


def _draw_path(coupling: Coupling, length: int, rng: np.random.Generator) -> tuple[int, ...] | None:
    """A random walk along couplings that visits no qubit twice, or None where it ran into a dead end."""
    near = coupling.neighbours(range(coupling.num_qubits))
    path = [int(rng.integers(coupling.num_qubits))]
    while len(path) < length:
        free = [there for there in near[path[-1]] if there not in path]
        if not free:
            return None
        path.append(free[rng.integers(len(free))])
    return tuple(path)


def _chain(space: Space, path: tuple[int, ...], blocks: int) -> Design:
    def choose(name: str, question: Any) -> Any:
        if name == "layout":
            return path
        if name.startswith("layout"):
            return path[int(name.removeprefix("layout"))]
        if name == "blocks":
            return blocks
        if name.endswith(".u3"):
            return len(path)
        first, second = name.rpartition(".")[2].split("-")  # "block0.cz.3-4"
        return abs(int(first) - int(second)) == 1

    grown = space.grow(choose, Origin("enqueued"))
    assert grown.refusal is None, grown.refusal
    return grown.design
