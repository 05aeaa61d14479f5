"""Designs that nobody searched for: what QuantumNAS compares with (HPCA 2022, section 5)."""

from __future__ import annotations

import numpy as np

from coevo.errors import InputError
from coevo.spaces.quantumnas.ansatz.design import Layers
from coevo.spaces.quantumnas.ansatz.template import Template


def full_width(template: Template, parameters: int) -> Layers:
    """The human design: full-width layers stacked from the front until the budget of trained angles is met.

    The last layer is cut where the budget ends, so that the count is equal wherever the gates divide it. Layers
    without angles come with the block that they stand in. InputError for a budget below one gate's or beyond all
    blocks.
    """
    most = template.parameters(tuple(tuple(range(len(entry.places))) for entry in template.block_layers))
    if parameters > most:
        raise InputError(
            f"a budget of {parameters} parameters is more than the {most} of all {template.max_blocks} blocks; give a "
            "smaller one, or a larger option 'max_blocks'"
        )
    layers: list[tuple[int, ...]] = []
    left = parameters
    for entry in template.block_layers:
        if left <= 0:
            break
        chosen = []
        for place in range(len(entry.places)):
            angles = len(template.gates[entry.first + place][2])
            if angles and left < angles:
                break
            left -= angles
            chosen.append(place)
        layers.append(tuple(chosen))
    if not any(layers):
        raise InputError(f"a budget of {parameters} parameters is less than one gate's; give a larger one")
    while not layers[-1]:  # what is left of the budget is less than one gate's
        layers.pop()
    return tuple(layers)


def random_layers(template: Template, parameters: int, rng: np.random.Generator) -> Layers:
    """Random gates of the template's set with as many trained angles: the random design of equal parameters."""
    best: tuple[int, Layers] | None = None
    for _ in range(200):  # the nearest of many: some counts cannot be met exactly by this set
        order = rng.permutation(len(template.gates) - template.prologue_gates) + template.prologue_gates
        left, chosen = parameters, set()
        for gate in order.tolist():
            angles = len(template.gates[gate][2])
            if 0 < angles <= left:
                left -= angles
                chosen.add(gate)
        # Gates without angles come at the rate of the others.
        share = len(chosen) / max(1, sum(bool(slots) for _, _, slots in template.gates))
        chosen |= {g for g in order.tolist() if not template.gates[g][2] and rng.random() < share}
        layers = tuple(
            tuple(place for place in range(len(entry.places)) if entry.first + place in chosen)
            for entry in template.block_layers
        )
        if best is None or left < best[0]:
            best = (left, layers)
        if left == 0:
            break
    assert best is not None
    return best[1]
