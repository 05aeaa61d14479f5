"""The launches of a sparse U-Net compiled for inference, as layers of a table."""

from __future__ import annotations

from coevo.cost_models.point_cloud_latency.layers import Layer
from coevo.errors import InputError
from coevo.kernels.sparse.shape import STAGES, UNetShape

POINTS = ("none", "voxels", "raw")
IN_CHANNELS = 4


def layers_of_unet(shape: UNetShape, points: str = "voxels", in_channels: int = IN_CHANNELS) -> tuple[Layer, ...]:
    """Everything that `compile_for_inference` launches after the maps, but for the classifier, whose time every network
    of a space shares (`calibrate` finds it). `points`: "none", "voxels" or "raw", as a Backbone has it.

    Raises:
        InputError: points is none of these.
    """
    if points not in POINTS:
        raise InputError(f"points must be one of {', '.join(POINTS)}, got {points!r}")
    widths = shape.widths
    found = [Layer.of("conv3", 0, in_channels, widths[0]), Layer.of("conv3", 0, widths[0], widths[0])]
    if points == "raw":
        found += [Layer.of("scatter", 0, in_channels, in_channels), Layer.of("corners", 0, 16, 16)]
        found += [Layer.of("gather", 0, widths[0], widths[0]), Layer.of("scatter", 0, widths[0], widths[0])]
    for stage in range(2 * STAGES):
        if points != "none" and stage in (STAGES, STAGES + 2):
            found += _passage(shape, stage)
        rising = stage >= STAGES
        level = 2 * STAGES - 1 - stage if rising else stage + 1
        kind, finer = ("up", level) if rising else ("down", level - 1)
        found.append(Layer.of(kind, finer, widths[stage], shape.transitions[stage]))
        inputs = shape.transitions[stage] + (shape.skip(stage) if rising else 0)
        for block, middle in enumerate(shape.middles[stage]):
            outputs = widths[stage + 1]
            found += [Layer.of("conv3", level, inputs, middle), Layer.of("conv3", level, middle, outputs)]
            if shape.needs_shortcut(stage, block):
                found.append(Layer.of("shortcut", level, inputs, outputs))
            inputs = outputs
    if points != "none":
        found.append(Layer.of("linear", 0, widths[6], widths[8]))
    if points == "raw":
        found.append(Layer.of("gather", 0, widths[8], widths[8]))
    return tuple(found)


def _passage(shape: UNetShape, stage: int) -> list[Layer]:
    """To the points and back before stage 4 (stride 16) and stage 6 (stride 4)."""
    level, before = 2 * STAGES - stage, 0 if stage == STAGES else STAGES
    width = shape.widths[stage]
    return [
        Layer.of("linear", 0, shape.widths[before], width),
        Layer.of("corners", level, 16, 16),
        Layer.of("gather", level, width, width),
        Layer.of("scatter", level, width, width),
    ]
