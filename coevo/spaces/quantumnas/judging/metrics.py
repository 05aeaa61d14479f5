"""What the judge measures, and what a search optimises unless told otherwise: names and units, by the options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coevo.spaces.quantumnas.options import Options
from coevo.spaces.quantumnas.tasks.task import Classification, GroundState

SIZES = {"two_qubit_gates": "gates", "depth": "gates", "parameters": "1"}


def metrics_of(options: Options, task: Classification | GroundState) -> dict[str, str]:
    """{metric: unit} of the judging stage."""
    ground = isinstance(task, GroundState)
    unit = task.hamiltonian.unit if isinstance(task, GroundState) else "nat"
    free = {"noise_free_energy": unit} if ground else {"noise_free_accuracy": "1"}
    if options.estimator == "none":
        return free | ({} if ground else {"noise_free_loss": unit}) | {"parameters": "1"}
    if options.estimator in ("success_rate", "estnoise"):
        estimated = {"estimated_energy": unit} if ground else {"estimated_accuracy": "1", "estimated_loss": unit}
        return {"success_rate": "1", **estimated, **free, **SIZES}
    noisy = {"noisy_energy": unit} if ground else {"noisy_accuracy": "1", "noisy_loss": unit}
    if options.estimator == "exact" and not ground:
        noisy["noisy_calibrated_loss"] = unit
    if options.estimator == "trajectories":
        return {**noisy, **{f"{name}_standard_error": kind for name, kind in noisy.items()}, **free, **SIZES}
    worst = {f"worst_{name}": kind for name, kind in noisy.items()} if robust(options) else {}
    main = next(iter(noisy))
    scaled = {scaled_name(main, scale): noisy[main] for scale in options.noise_scales}
    return {**noisy, **worst, **scaled, **free, **SIZES}


def default_objectives(options: Options, task: Classification | GroundState) -> dict[str, str]:
    """What a search optimises unless told otherwise: the worst case where one was asked for."""
    ground = isinstance(task, GroundState)
    if options.estimator == "none":
        return {"noise_free_energy": "min"} if ground else {"noise_free_accuracy": "max"}
    if options.estimator in ("success_rate", "estnoise"):
        return {"estimated_energy" if ground else "estimated_loss": "min", "two_qubit_gates": "min"}
    prefix = "worst_" if robust(options) else ""
    first = {f"{prefix}noisy_energy": "min"} if ground else {f"{prefix}noisy_accuracy": "max"}
    return {**first, "two_qubit_gates": "min"}


def robust(options: Options) -> bool:
    """Whether a worst case over other calibrations was asked for."""
    return bool(options.noise_scales or options.drifts)


def stand_ins(names: Iterable[str], values: Mapping[str, float]) -> dict[str, float]:
    """The metrics among `names` that `values` ("accuracy", "loss", "energy") may stand for: "noisy_loss",
    "noise_free_loss", "worst_noisy_loss" and "noisy_loss_x2" are all losses."""
    found = {}
    for name in names:
        for kind, value in values.items():
            if f"_{kind}" in name:
                found[name] = value
    return found


def scaled_name(metric: str, scale: float) -> str:
    """The metric under `scale` times the noise: "noisy_accuracy_x2"."""
    return f"{metric}_x{scale:g}"
