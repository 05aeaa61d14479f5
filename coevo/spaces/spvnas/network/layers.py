"""The layers of a design by shape propagation, without building it: what is counted, timed and drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from coevo.kernels.sparse.shape import STAGES, UNetShape

KINDS = ("submanifold", "down", "up", "pointwise", "linear")
"""3x3x3; 2x2x2 with stride 2 to the coarser level; its transpose; 1x1x1 shortcuts; products at points."""
POINT_PLACES = ((0, 4), (4, 6), (6, 8))
"""Widths between which the perceptrons of the point branch go."""
VOLUMES = {"submanifold": 27, "down": 8, "up": 8, "pointwise": 1, "linear": 1}


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or a linear layer.

    Attributes:
        name: of its module in the static network.
        kind: one of `KINDS`.
        level: of the map that it goes over, 0 .. 4 for strides 1 .. 16; the finer one for "down" and "up". Linear
            layers are at level 0, on points.
        inputs, outputs: channels.
        normed: whether a batch norm follows; else the layer has a bias (the classifier).
    """

    name: str
    kind: str
    level: int
    inputs: int
    outputs: int
    normed: bool = True

    @property
    def parameters(self) -> int:
        """Weights, the bias that linear layers have, and scale and shift of a norm."""
        weights = VOLUMES[self.kind] * self.inputs * self.outputs
        return weights + self.outputs * ((self.kind == "linear") + 2 * self.normed)


def layers_of(design: UNetShape, num_classes: int = 19, in_channels: int = 4) -> tuple[Layer, ...]:
    """All layers in the order in which they run. A design whose `points` is "none", or that has no `points`, has no
    point branch."""
    return tuple(_layers(design, num_classes, in_channels))


def _layers(design: UNetShape, num_classes: int, in_channels: int) -> Iterator[Layer]:
    cs = design.widths
    pointed = getattr(design, "points", "none") != "none"
    yield Layer("stem.0", "submanifold", 0, in_channels, cs[0])
    yield Layer("stem.3", "submanifold", 0, cs[0], cs[0])
    for stage in range(2 * STAGES):
        up = stage >= STAGES
        if pointed and stage in (STAGES, STAGES + 2):
            yield _transform(design, (stage - STAGES) // 2)
        name, level = (f"up{stage - STAGES + 1}", 2 * STAGES - 1 - stage) if up else (f"stage{stage + 1}", stage + 1)
        kind, finer = ("up", level) if up else ("down", stage)
        yield Layer(f"{name}.0.net.0", kind, finer, cs[stage], design.transitions[stage])
        inputs, outputs = design.transitions[stage] + (design.skip(stage) if up else 0), cs[stage + 1]
        for block, middle in enumerate(design.middles[stage]):
            inner = f"{name}.1.{block}" if up else f"{name}.{block + 1}"
            if design.needs_shortcut(stage, block):
                yield Layer(f"{inner}.downsample.0", "pointwise", level, inputs, outputs)
            yield Layer(f"{inner}.net.0", "submanifold", level, inputs, middle)
            yield Layer(f"{inner}.net.3", "submanifold", level, middle, outputs)
            inputs = outputs
    if pointed:
        yield _transform(design, 2)
    yield Layer("classifier.0", "linear", 0, cs[-1], num_classes, normed=False)


def _transform(design: UNetShape, number: int) -> Layer:
    first, last = POINT_PLACES[number]
    return Layer(f"point_transforms.{number}.0", "linear", 0, design.widths[first], design.widths[last])
