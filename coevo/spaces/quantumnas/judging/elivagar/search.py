"""Elivagar as a whole, a baseline: topology-aware candidates, early rejection by resilience, ranking by the score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas.ansatz.design import CoDesign, Layers
from coevo.spaces.quantumnas.judging.elivagar.score import ElivagarScore, Ranked
from coevo.spaces.quantumnas.mapping.couplings import open_device
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.threads import one_thread

LAYOUTS = 64
_TEMPERATURE = 0.25  # of the choice among layouts whose qualities span 0 to 1
_PATIENCE = 20  # draws a candidate before the space counts as used up


def elivagar_search(
    setting: Setting,
    candidates: int = 2500,
    seed: int = 0,
    keep: int = 25,
    resilient_share: float = 0.5,
    layouts: int = LAYOUTS,
    **scoring: Any,
) -> list[Ranked]:
    """The `keep` best of so many candidates, best first, to be trained (`export.folder.train_restarts`).

    Args:
        setting: of the gate set `native`, whose two-qubit gates are the device's couplings, so that no candidate is
            routed.
        candidates: distinct ones that are drawn; fewer where the space has no more.
        keep: how many are returned.
        resilient_share: of the candidates, the most resilient, whose capacity is computed at all.
        layouts: connected ones that are drawn before the candidates choose among them.
        scoring: `replicas`, `draws`, `samples_per_class` and `shots` of `ElivagarScore`.

    Raises InputError for another gate set, a task without classes, and numbers that make no sense.
    """
    if not setting.template.gate_set.native:
        raise InputError(
            f'Elivagar draws circuits on the device\'s couplings: expected gates = "native", got '
            f"{setting.template.gate_set.name!r}"
        )
    if candidates < 1 or keep < 1 or layouts < 1 or not 0 < resilient_share <= 1:
        raise InputError(
            f"expected 1 candidate, 1 to keep and 1 layout or more and a share in (0, 1], got {candidates}, {keep}, "
            f"{layouts} and {resilient_share}"
        )
    device = open_device(setting.options.device)
    with one_thread():
        scores = ElivagarScore(setting, device, seed=seed, **scoring)
        drawn = draw_candidates(setting, device, candidates, np.random.default_rng(seed), layouts)
        mapped = [scores.map(design) for design in drawn]
        resilience = [scores.resilience(one) for one in mapped]
        order = sorted(range(len(drawn)), key=lambda index: -resilience[index])
        ranked = [
            Ranked(
                drawn[index], resilience[index], scores.capacity(drawn[index]),
                mapped[index].two_qubit_gates, mapped[index].depth,
            )
            for index in order[: math.ceil(resilient_share * len(drawn))]
        ]  # fmt: skip
    return sorted(ranked, key=lambda found: -found.score)[:keep]


def draw_candidates(
    setting: Setting, device: QuantumDevice, count: int, rng: np.random.Generator, layouts: int = LAYOUTS
) -> list[CoDesign]:
    """Distinct designs: a layout by its quality, a number of blocks, a share of the rotations, and CZ on couplings, the
    better ones more often."""
    places, chances = draw_layouts(setting, device, rng, layouts)
    errors = coupling_errors(device)
    found: dict[CoDesign, None] = {}
    for _ in range(_PATIENCE * count):
        layout = places[rng.choice(len(places), p=chances)]
        found[CoDesign(layout, _draw_layers(setting, layout, errors, rng))] = None
        if len(found) == count:
            break
    return list(found)


def draw_layouts(
    setting: Setting, device: QuantumDevice, rng: np.random.Generator, count: int
) -> tuple[list[tuple[int, ...]], NDArray[np.float64]]:
    """Connected layouts and the chance of each. A layout grows from a qubit, chosen by its couplings, along random
    couplings; its quality is the mean success of its couplings times that of its readouts times its coherence in
    two-qubit gates, and better ones are more likely."""
    options = setting.options
    if isinstance(options.layout, tuple):
        return [options.layout], np.ones(1)
    allowed = list(options.qubits or range(device.num_qubits))
    allowed = [qubit for qubit in allowed if not device.calibration.missing([qubit])]
    near = {qubit: [] for qubit in allowed}  # type: dict[int, list[int]]
    for a, b in coupling_errors(device):
        if a in near and b in near:
            near[a].append(b)
            near[b].append(a)
    weights = np.exp([len(near[qubit]) for qubit in allowed])
    found: dict[tuple[int, ...], None] = {}
    for _ in range(_PATIENCE * count):
        layout = [allowed[rng.choice(len(allowed), p=weights / weights.sum())]]
        while len(layout) < setting.n_qubits:
            border = [there for here in layout for there in near[here] if there not in layout]
            if not border:
                break
            layout.append(border[rng.integers(len(border))])
        if len(layout) == setting.n_qubits:
            found[tuple(layout)] = None
        if len(found) == count:
            break
    if not found:
        raise InputError(
            f"no {setting.n_qubits} connected and calibrated qubits on {device.name} among those that a layout may use"
        )
    quality = np.array([layout_quality(device, layout) for layout in found])
    span = np.ptp(quality)
    scaled = (quality - quality.max()) / (span if span > 0 else 1.0)
    chances = np.exp(scaled / _TEMPERATURE)
    return list(found), chances / chances.sum()


def layout_quality(device: QuantumDevice, layout: tuple[int, ...]) -> float:
    """Success of couplings x success of readouts x coherence time in two-qubit gates; means over the layout."""
    errors = coupling_errors(device)
    inside = [pair for pair in errors if set(pair) <= set(layout)]
    success = np.mean([1 - errors[pair][0] for pair in inside]) if inside else 0.0
    duration_s = np.mean([errors[pair][1] for pair in inside]) if inside else 1.0
    readout = np.mean([np.trace(device.readout_matrix(qubit)) / 2 for qubit in layout])
    coherence_s = np.mean([min(device.relaxation_times(qubit)) for qubit in layout])
    return float(success * readout * coherence_s / duration_s)


def coupling_errors(device: QuantumDevice) -> dict[tuple[int, int], tuple[float, float]]:
    """{(a, b), a < b: (error, seconds) of the pair's best two-qubit gate}, calibrated pairs alone."""
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for places in device.calibration.instructions.values():
        for place, known in places.items():
            if len(place) != 2 or known.error is None or known.duration_s is None or known.error >= 1:
                continue
            pair = (min(place), max(place))
            found[pair] = min(found.get(pair, (1.0, 0.0)), (known.error, known.duration_s))
    return found


def _draw_layers(
    setting: Setting, layout: tuple[int, ...], errors: dict[tuple[int, int], tuple[float, float]], rng: Any
) -> Layers:
    template = setting.template
    pairs = {
        (a, b): errors[(min(layout[a], layout[b]), max(layout[a], layout[b]))][0]
        for a in range(len(layout))
        for b in range(a + 1, len(layout))
        if (min(layout[a], layout[b]), max(layout[a], layout[b])) in errors
    }
    mean = float(np.mean(list(pairs.values()))) if pairs else 0.0
    layers = []
    for entry in template.used_layers(int(rng.integers(1, template.max_blocks + 1))):
        if entry.layer.where == "coupled":
            # A half for a coupling of the layout's mean error, more for better ones.
            layers.append(
                tuple(
                    place
                    for place, (a, b) in enumerate(entry.places)
                    if (a, b) in pairs and rng.random() < mean / (mean + pairs[a, b] or 1.0)
                )
            )
        elif template.widths == "front":
            layers.append(tuple(range(rng.integers(1, len(entry.places) + 1))))
        else:
            chosen = np.flatnonzero(rng.random(len(entry.places)) < 0.5).tolist()
            layers.append(tuple(chosen or [int(rng.integers(len(entry.places)))]))
    return tuple(layers)
