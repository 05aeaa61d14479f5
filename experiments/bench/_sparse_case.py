"""The networks of `gpu_sparse.py` as data, the work they are on a given scan, and the floor of that work.

Layers carry SPVNAS's names, so that one state dict serves every library. A convolution's weight is [offsets, in, out]
(a 1 x 1 x 1 one's [in, out]) in TorchSparse's order of offsets. Parameters are random, and batch norm's statistics are
those of the scan that calibrates them (`_sparse_reference.py`), so activations stay near one through 49 layers and
half precision is neither flattered nor broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

WIDTHS = (32, 32, 64, 128, 256, 256, 128, 96, 96)  # SPVNAS's at 1.0
CLASSES = 19
INPUTS = 4
STRIDES = (1, 2, 4, 8, 16)
# Datasheet rates of an H200 (dense half precision, memory); the floor of the issue is computed with them.
DATASHEET = {"flop_per_s": 989e12, "bytes_per_s": 4.8e12}


def widths_at(ratio: float) -> tuple[int, ...]:
    """Channels of the stem, the four stages and the four ups at a width ratio, truncated as SPVNAS does."""
    return tuple(int(ratio * width) for width in WIDTHS)


@dataclass(frozen=True)
class Layer:
    """One convolution: its name, channels, kernel size, and what its map joins.

    `kind`: "same" (3 x 3 x 3 or 1 x 1 x 1 at one stride), "down" (2 x 2 x 2 with stride 2) or "up" (its transpose).
    `stride` is the finer side's. `norm` is the batch norm behind it.
    """

    name: str
    norm: str
    inputs: int
    outputs: int
    kernel: int
    kind: str
    stride: int

    @property
    def weight_shape(self) -> tuple[int, ...]:
        volume = self.kernel**3
        return (self.inputs, self.outputs) if volume == 1 else (volume, self.inputs, self.outputs)


def minkunet_layers(ratio: float, inputs: int = INPUTS) -> list[Layer]:
    """The 49 convolutions of SPVNAS's MinkUNet, in the order in which they run."""
    cs = widths_at(ratio)
    layers = [
        Layer("stem.0", "stem.1", inputs, cs[0], 3, "same", 1),
        Layer("stem.3", "stem.4", cs[0], cs[0], 3, "same", 1),
    ]
    for index in range(1, 5):
        fine, stride, name = 2 ** (index - 1), 2**index, f"stage{index}"
        layers.append(Layer(f"{name}.0.net.0", f"{name}.0.net.1", cs[index - 1], cs[index - 1], 2, "down", fine))
        layers += _residual(f"{name}.1", cs[index - 1], cs[index], stride)
        layers += _residual(f"{name}.2", cs[index], cs[index], stride)
    for index in range(1, 5):
        stride, name = 2 ** (4 - index), f"up{index}"
        into, out, skip = cs[3 + index], cs[4 + index], cs[4 - index]
        layers.append(Layer(f"{name}.0.net.0", f"{name}.0.net.1", into, out, 2, "up", stride))
        layers += _residual(f"{name}.1.0", out + skip, out, stride)
        layers += _residual(f"{name}.1.1", out, out, stride)
    return layers


def _residual(name: str, inputs: int, outputs: int, stride: int) -> list[Layer]:
    layers = [
        Layer(f"{name}.net.0", f"{name}.net.1", inputs, outputs, 3, "same", stride),
        Layer(f"{name}.net.3", f"{name}.net.4", outputs, outputs, 3, "same", stride),
    ]
    if inputs != outputs:
        layers.append(Layer(f"{name}.downsample.0", f"{name}.downsample.1", inputs, outputs, 1, "same", stride))
    return layers


def random_state(ratio: float, seed: int, inputs: int = INPUTS, classes: int = CLASSES) -> dict[str, torch.Tensor]:
    """Parameters under SPVNAS's names, float32 on the CPU; batch norm's statistics are not calibrated yet."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, torch.Tensor] = {}
    for layer in minkunet_layers(ratio, inputs):
        seen = layer.inputs * (layer.kernel**3 if layer.kind == "same" else 8 if layer.kind == "down" else 1)
        state[f"{layer.name}.kernel"] = torch.randn(layer.weight_shape, generator=generator) * (2.0 / seen) ** 0.5
        state[f"{layer.norm}.weight"] = 0.5 + torch.rand(layer.outputs, generator=generator)
        state[f"{layer.norm}.bias"] = 0.2 * torch.randn(layer.outputs, generator=generator)
        state[f"{layer.norm}.running_mean"] = torch.zeros(layer.outputs)
        state[f"{layer.norm}.running_var"] = torch.ones(layer.outputs)
        state[f"{layer.norm}.num_batches_tracked"] = torch.tensor(0)
    last = widths_at(ratio)[8]
    state["classifier.0.weight"] = torch.randn(classes, last, generator=generator) * last**-0.5
    state["classifier.0.bias"] = 0.2 * torch.randn(classes, generator=generator)
    return state


def work_of(layers: list[Layer], statistics: list[dict[str, Any]], itemsize: int = 2) -> Iterator[dict[str, Any]]:
    """Each convolution's useful operations and fewest bytes on a scan, and its floor in microseconds.

    The bytes are each input, output and weight once and 4 bytes a pair of rows; perfect caching within a layer, none
    between layers. `statistics` are those of `_lidar_scans.statistics`.
    """
    voxels = {row["stride"]: row["voxels"] for row in statistics}
    pairs = {row["stride"]: row["pairs"] for row in statistics}
    for layer in layers:
        fine, coarse = voxels[layer.stride], voxels.get(2 * layer.stride, 0)
        rows_in, rows_out = {"same": (fine, fine), "down": (fine, coarse), "up": (coarse, fine)}[layer.kind]
        joined = pairs[layer.stride] if layer.kernel == 3 else fine
        flop = 2 * joined * layer.inputs * layer.outputs
        moved = itemsize * (rows_in * layer.inputs + rows_out * layer.outputs) + 4 * joined
        moved += itemsize * layer.kernel**3 * layer.inputs * layer.outputs
        yield {
            "layer": layer.name,
            "rows_in": rows_in,
            "rows_out": rows_out,
            "pairs": joined,
            "flop": flop,
            "bytes": moved,
            "floor_us": 1e6 * max(flop / DATASHEET["flop_per_s"], moved / DATASHEET["bytes_per_s"]),
        }


def floor_ms(ratio: float, statistics: list[dict[str, Any]]) -> float:
    """The sum of the convolutions' floors."""
    return sum(work["floor_us"] for work in work_of(minkunet_layers(ratio), statistics)) / 1e3
