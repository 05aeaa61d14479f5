"""The weight-sharing network of a family: every design of it is a part of one set of weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from coevo.search.pick import Pick
from coevo.spaces.naas.network import ofa_mobilenet_v3
from coevo.spaces.naas.network.blocks import Bottleneck, Head, Inverted, MaxPool, Plain
from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.network.families import family
from coevo.spaces.naas.network.scale import Scale
from coevo.supernets.elastic import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear, recording, settled


def largest(name: str, scale: Scale) -> NetworkDesign:
    """The design with every choice at its largest."""
    return family(name)(Pick(lambda _, question: max(question.raw), {}), scale)


def smallest(name: str, scale: Scale) -> NetworkDesign:
    """The design with every choice at its smallest."""
    return family(name)(Pick(lambda _, question: min(question.raw), {}), scale)


class _Normed(nn.Module):
    """Convolution and batch norm."""

    def __init__(self, inputs: int, outputs: int, kernels: tuple[int, ...], depthwise: bool = False):
        super().__init__()
        self.conv = ElasticConv2d(inputs, outputs, kernels, depthwise)
        self.norm = ElasticBatchNorm2d(outputs)

    def forward(self, x: Tensor, outputs: int, kernel: int, stride: int = 1) -> Tensor:
        normed: Tensor = self.norm(self.conv(x, outputs, kernel, stride))
        return normed


class _Plain(nn.Module):
    def __init__(self, block: Plain):
        super().__init__()
        self.normed = _Normed(block.inputs, block.outputs, (block.kernel,))

    def forward(self, x: Tensor, block: Plain) -> Tensor:
        out = functional.relu(self.normed(x, block.outputs, block.kernel, block.stride))
        return out + x if block.residual else out


class _MaxPool(nn.Module):
    def forward(self, x: Tensor, block: MaxPool) -> Tensor:
        return functional.max_pool2d(x, 3, 2, 1)


class _Bottleneck(nn.Module):
    def __init__(self, block: Bottleneck):
        super().__init__()
        self.reduce = _Normed(block.inputs, block.middle, (1,))
        self.spatial = _Normed(block.middle, block.middle, (3,))
        self.expand = _Normed(block.middle, block.outputs, (1,))
        self.shortcut = _Normed(block.inputs, block.outputs, (1,)) if block.projects else None

    def forward(self, x: Tensor, block: Bottleneck) -> Tensor:
        out = functional.relu(self.reduce(x, block.middle, 1))
        out = functional.relu(self.spatial(out, block.middle, 3, block.stride))
        out = self.expand(out, block.outputs, 1)
        if block.projects:
            assert self.shortcut is not None
            pooled = functional.avg_pool2d(x, block.stride, block.stride, 0, True) if block.stride > 1 else x
            x = self.shortcut(pooled, block.outputs, 1)
        added: Tensor = functional.relu(out + x)
        return added


class _Inverted(nn.Module):
    def __init__(self, block: Inverted):
        super().__init__()
        kernels = ofa_mobilenet_v3.KERNELS if block.kernel == max(ofa_mobilenet_v3.KERNELS) else (block.kernel,)
        self.expand = _Normed(block.inputs, block.middle, (1,)) if block.expands else None
        self.depthwise = _Normed(block.middle, block.middle, kernels, depthwise=True)
        self.squeeze = ElasticLinear(block.middle, block.squeezed) if block.squeezed else None
        self.excite = ElasticLinear(block.squeezed, block.middle) if block.squeezed else None
        self.project = _Normed(block.middle, block.outputs, (1,))

    def forward(self, x: Tensor, block: Inverted) -> Tensor:
        out = x
        if block.expands:
            assert self.expand is not None
            out = functional.hardswish(self.expand(out, block.middle, 1))
        out = functional.hardswish(self.depthwise(out, block.middle, block.kernel, block.stride))
        if block.squeezed:
            assert self.squeeze is not None and self.excite is not None
            pooled = functional.relu(self.squeeze(out.mean(dim=(2, 3)), block.squeezed))
            out = out * functional.hardsigmoid(self.excite(pooled, block.middle))[:, :, None, None]
        out = self.project(out, block.outputs, 1)
        joined: Tensor = out + x if block.adds else out
        return joined


class _Head(nn.Module):
    def __init__(self, block: Head):
        super().__init__()
        self.layers = nn.ModuleList(ElasticLinear(a, b) for a, b in zip(block.widths, block.widths[1:], strict=False))

    def forward(self, x: Tensor, block: Head) -> Tensor:
        out = x.mean(dim=(2, 3))
        for number, layer in enumerate(self.layers):
            out = layer(functional.hardswish(out) if number else out, block.widths[number + 1])
        return out


_MODULES = {Plain: _Plain, Bottleneck: _Bottleneck, Inverted: _Inverted, Head: _Head}


class Supernet(nn.Module):
    """The largest network of a family; `forward(images, design)` runs a part of it on [batch, channels, rows, columns],
    resized to the design's input size."""

    def __init__(self, name: str, scale: Scale):
        super().__init__()
        self.scale = scale
        whole = largest(name, scale)
        self.blocks = nn.ModuleList(
            _MaxPool() if isinstance(block, MaxPool) else _MODULES[type(block)](block) for block in whole.blocks
        )

    def forward(self, images: Tensor, design: NetworkDesign) -> Tensor:
        """Logits [batch, classes]."""
        x = resized(images, design.input_size)
        for block, place in zip(design.blocks, design.places, strict=True):
            x = self.blocks[place](x, block)
        return x

    @torch.no_grad()
    def accuracy(
        self, design: NetworkDesign, calibration: Tensor, images: Tensor, labels: Tensor, batch: int = 500
    ) -> float:
        """Share of `images` that the design classifies right, with batch norm's statistics from `calibration`."""
        with recording(self):
            self(calibration, design)
        right = 0
        with settled(self):
            for start in range(0, len(images), batch):
                found = self(images[start : start + batch], design).argmax(dim=1)
                right += int((found == labels[start : start + batch]).sum())
        return right / len(images)


def resized(images: Tensor, size: int) -> Tensor:
    """Images of size x size, bilinear where they are not."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)
