"""Topology-aware candidates (Anagolum et al., ASPLOS 2024): connected places first, then gates on their couplings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coevo.errors import InputError
from coevo.hardware.quantum import QuantumDevice
from coevo.spaces.quantumnas.ansatz.design import CoDesign, Layers
from coevo.spaces.quantumnas.setting import Setting

LAYOUTS = 64
_TEMPERATURE = 0.1  # of the choice among layouts whose qualities span 0 to 1; the artifact's
_PATIENCE = 20  # draws a candidate before the space counts as used up
_LONGEST_S = 1.0  # of a coherence time; a noise-free device's has no end

Errors = dict[tuple[int, int], tuple[float, float]]


def draw_candidates(
    setting: Setting, device: QuantumDevice, count: int, rng: np.random.Generator, layouts: int = LAYOUTS
) -> list[CoDesign]:
    """Distinct designs, up to `count` of them: a layout by its quality, a number of blocks, a share of the rotations,
    and CZ on couplings, the better ones more often."""
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
    """Distinct connected layouts and the chance of each, or the one layout that the options give.

    A layout grows from a qubit, chosen by its couplings, along random couplings; better ones are likelier. InputError
    where no calibrated qubits of the device are connected that many.
    """
    options = setting.options
    if isinstance(options.layout, tuple):
        return [options.layout], np.ones(1)
    allowed = list(range(device.num_qubits)) if options.qubits is None else list(options.qubits)
    allowed = [qubit for qubit in allowed if not device.calibration.missing([qubit])]
    errors = coupling_errors(device)
    near: dict[int, list[int]] = {qubit: [] for qubit in allowed}
    for a, b in errors:
        if a in near and b in near:
            near[a].append(b)
            near[b].append(a)
    weights = np.exp([float(len(near[qubit])) for qubit in allowed])
    found: dict[tuple[int, ...], None] = {}
    for _ in range(_PATIENCE * count if allowed else 0):
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
    quality = np.array([layout_quality(device, layout, errors) for layout in found])
    span = np.ptp(quality)
    chances = np.exp((quality - quality.max()) / (span if span > 0 else 1.0) / _TEMPERATURE)
    return list(found), chances / chances.sum()


def layout_quality(device: QuantumDevice, layout: tuple[int, ...], errors: Errors) -> float:
    """Success of the couplings x success of the readouts x coherence time (the mean of T1 and T2) in two-qubit gates;
    each a mean over the layout."""
    inside = [errors[pair] for pair in errors if set(pair) <= set(layout)]
    if not inside:
        return 0.0
    success, duration_s = 1 - np.mean([error for error, _ in inside]), np.mean([seconds for _, seconds in inside])
    readout = np.mean([np.trace(device.readout_matrix(qubit)) / 2 for qubit in layout])
    coherence_s = np.mean([min(time_s, _LONGEST_S) for qubit in layout for time_s in device.relaxation_times(qubit)])
    return float(success * readout * coherence_s / duration_s)


def coupling_errors(device: QuantumDevice) -> Errors:
    """{(a, b), a < b: (error, seconds) of the pair's best two-qubit gate}, calibrated and working pairs alone."""
    found: Errors = {}
    for places in device.calibration.instructions.values():
        for place, known in places.items():
            if len(place) != 2 or known.error is None or not known.duration_s or known.error >= 1:
                continue
            pair = (min(place), max(place))
            found[pair] = min(found.get(pair, (1.0, 0.0)), (known.error, known.duration_s))
    return found


def _draw_layers(setting: Setting, layout: tuple[int, ...], errors: Errors, rng: np.random.Generator) -> Layers:
    template = setting.template

    def error_of(a: int, b: int) -> float | None:
        found = errors.get((min(layout[a], layout[b]), max(layout[a], layout[b])))
        return None if found is None else found[0]

    known = [error_of(a, b) for a in range(len(layout)) for b in range(a + 1, len(layout))]
    mean = float(np.mean([error for error in known if error is not None] or [0.0]))
    layers = []
    for entry in template.used_layers(int(rng.integers(1, template.max_blocks + 1))):
        chosen: list[int] = []
        if entry.layer.where == "coupled":
            for place, (a, b) in enumerate(entry.places):
                error = error_of(a, b)
                # A half for a coupling of the layout's mean error, more for better ones.
                if error is not None and rng.random() < (mean / (mean + error) if mean > 0 else 0.5):
                    chosen.append(place)
        elif template.widths == "front":
            chosen = list(range(rng.integers(1, len(entry.places) + 1)))
        else:
            chosen = np.flatnonzero(rng.random(len(entry.places)) < 0.5).tolist()
            chosen = chosen or [int(rng.integers(len(entry.places)))]
        layers.append(tuple(chosen))
    return tuple(layers)
