"""What a study needs before its first stage: this device's latency table and the trained supernet; and what
`coevo measure` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coevo.cost_models.point_cloud_latency import LatencyTable, default_path, fingerprint, read_table, write_table
from coevo.errors import InputError
from coevo.search.problem import WorkContext
from coevo.spaces.spvnas.judging.measuring import Effort, space_table
from coevo.spaces.spvnas.judging.stages import SUPERNET, TABLE
from coevo.spaces.spvnas.setting import Setting
from coevo.spaces.spvnas.training.parallel import Group
from coevo.spaces.spvnas.training.recipe import Recipe
from coevo.spaces.spvnas.training.supernet import Plan, train_supernet
from coevo.spaces.spvnas.training.validation import Validation

Progress = Callable[[float, float, str], None]


def prepare(setting: Setting, context: WorkContext) -> Mapping[str, Path]:
    """{supernet, latency_table} inside the context's folder. The table comes first: it is what may be refused."""
    path = context.folder / "latency_table.json"
    if not path.is_file():
        write_table(table_of(setting, context.progress), path)
    made = {TABLE: path}
    if {"part", "whole"} & set(setting.options.ladder):
        splits, options = setting.splits, setting.options
        recipe = recipe_of(setting, options.training.steps, context.seed)
        plan = Plan(options.training.whole, options.training.full_depth, options.training.between)
        made[SUPERNET], _ = train_supernet(
            setting.bounds, splits.train, recipe, plan, context.folder / "supernet",
            Group(device=setting.device()), threads=options.training.threads,
            checkpoint_every=options.training.checkpoint_every, progress=context.progress,
        )  # fmt: skip
    return made


def recipe_of(setting: Setting, steps: int, seed: int, rate: float = 1.0) -> Recipe:
    """Of the options; `rate` is a factor on the learning rate."""
    from coevo.spaces.spvnas.data.augment import Augmentation

    options, training = setting.options, setting.options.training
    return Recipe(
        steps, training.batch, training.learning_rate_per_scan * rate, warmup_steps=min(training.warmup_steps, steps),
        voxel_m=options.voxel_m, most_voxels=training.most_voxels, precision=setting.precision(), seed=seed,
        augmentation=Augmentation(flip=training.flip, polar_mix=training.polar_mix), reproducible=training.reproducible,
    )  # fmt: skip


def table_of(setting: Setting, progress: Progress) -> LatencyTable:
    """The one that the options name, else this device's own where it fits the space, else one that is measured now.

    Raises:
        InputError: the options' table is of another device or does not span the space.
    """
    device = fingerprint(str(setting.device()))
    if setting.table is not None:
        setting.table.check_device(device, str(setting.options.latency_table))
        _check_span(setting, setting.table)
        return setting.table
    own = default_path(device, setting.options.points, _dtype_name(setting))
    if own.is_file():
        table = read_table(own)
        try:
            _check_span(setting, table)
        except InputError:  # of a smaller space; this one's is measured for this run alone
            return measured_table(setting, progress)
        return table
    return measured_table(setting, progress)


def measured_table(setting: Setting, progress: Progress) -> LatencyTable:
    """Of this space on this device, on scans that judge the search; validation scans are not touched."""
    options = setting.options
    search = setting.splits.search
    chosen = range(min(options.latency_scans, len(search)))
    scans = Validation(search, chosen, voxel_m=options.voxel_m, points=options.points, device=setting.device())
    effort = Effort(options.table_networks, options.table_coarse, options.timings)
    said = f"{len(chosen)} scans, {search.source}"
    return space_table(
        setting.bounds, scans.samples, dtype=setting.dtype(), said=said, effort=effort, progress=progress
    )  # fmt: skip


def measure(setting: Setting, target: Path | None, progress: Progress) -> dict[str, Any]:
    """`coevo measure`: the table goes to `target`, or to this device's own place."""
    table = measured_table(setting, progress)
    path = target or default_path(table.device, table.points, table.dtype)
    write_table(table, path)
    ends = {name: table.predict(layers) for name, layers in _ends(setting).items()}
    return {
        "device": dict(table.device),
        "dtype": table.dtype,
        "points": table.points,
        "scans": table.scans,
        "entries": sum(grid.ms.shape[0] * grid.ms.shape[1] for grid in table.grids.values()),
        "calibrated_on": table.calibration.networks,
        "smallest_p50_ms": ends["smallest"].p50_ms,
        "largest_p50_ms": ends["largest"].p50_ms,
        "table": str(path),
    }


def _check_span(setting: Setting, table: LatencyTable) -> None:
    if table.dtype != _dtype_name(setting):
        raise InputError(f"the latency table is of {table.dtype} networks, the options deploy {_dtype_name(setting)}; "
                         "measure again (coevo measure)")  # fmt: skip
    for layers in _ends(setting).values():
        table.of_layers(layers)


def _ends(setting: Setting) -> dict[str, Any]:
    from coevo.cost_models.point_cloud_latency.unet import layers_of_unet

    bounds = setting.bounds
    return {name: layers_of_unet(getattr(bounds, name), bounds.points) for name in ("smallest", "largest")}


def _dtype_name(setting: Setting) -> str:
    return str(setting.dtype()).removeprefix("torch.")
