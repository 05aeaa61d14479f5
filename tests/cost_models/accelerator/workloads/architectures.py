"""The bundled networks a second time, as torch modules: what the data files are compared with.

Written from the papers and from torchvision's definitions, with biases and normalisation, so that the number of
parameters is the published one. Modules live on the `meta` device: no weight is ever stored.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Sequential):
    """Convolution, normalisation, activation; `groups = -1` is depthwise."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, active=True):
        groups = inputs if groups < 0 else groups
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU() if active else nn.Identity(),
        )


def vgg16():
    layers, channels = [], 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, *head)


class Basic(nn.Module):
    expansion = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.body = nn.Sequential(Block(inputs, width, 3, stride), Block(width, width, 3, active=False))
        same = stride == 1 and inputs == width
        self.shortcut = nn.Identity() if same else Block(inputs, width, 1, stride, active=False)

    def forward(self, x):
        return functional.relu(self.body(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            Block(inputs, width, 1), Block(width, width, 3, stride), Block(width, outputs, 1, active=False)
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else Block(inputs, outputs, 1, stride, active=False)

    def forward(self, x):
        return functional.relu(self.body(x) + self.shortcut(x))


def resnet(block, depths):
    layers, channels = [Block(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)], 64
    for stage, depth in enumerate(depths):
        for place in range(depth):
            layers.append(block(channels, 64 * 2**stage, 2 if stage and not place else 1))
            channels = 64 * 2**stage * block.expansion
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels, inside):
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, inside, 1), nn.Conv2d(inside, channels, 1)

    def forward(self, x):
        return x * functional.sigmoid(self.up(functional.silu(self.down(functional.adaptive_avg_pool2d(x, 1)))))


class Inverted(nn.Module):
    """An inverted residual: expand, depthwise, project."""

    def __init__(self, inputs, outputs, kernel, stride, expansion, squeeze=False):
        super().__init__()
        inside = inputs * expansion
        layers = [Block(inputs, inside, 1)] if expansion > 1 else []
        layers.append(Block(inside, inside, kernel, stride, groups=-1))
        if squeeze:
            layers.append(Squeeze(inside, max(1, inputs // 4)))
        self.body = nn.Sequential(*layers, Block(inside, outputs, 1, active=False))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


def inverted(stem, stages, squeeze=False):
    """`stages`: (expansion, channels, depth, stride, kernel)."""
    layers, channels = list(stem), 32
    for expansion, width, depth, stride, kernel in stages:
        for place in range(depth):
            layers.append(Inverted(channels, width, kernel, stride if place == 0 else 1, expansion, squeeze))
            channels = width
    layers += [Block(channels, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers)


def mobilenet_v2():
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    return inverted([Block(3, 32, 3, 2)], [(*stage, 3) for stage in stages])


def mnasnet_b1():
    stages = ((1, 16, 1, 1, 3), (3, 24, 3, 2, 3), (3, 40, 3, 2, 5), (6, 80, 3, 2, 5), (6, 96, 2, 1, 3),
              (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))  # fmt: skip
    return inverted([Block(3, 32, 3, 2)], stages)


def efficientnet_b0():
    stages = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
              (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))  # fmt: skip
    return inverted([Block(3, 32, 3, 2)], stages, squeeze=True)


class Fire(nn.Module):
    def __init__(self, inputs, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.one, self.three = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = functional.relu(self.squeeze(x))
        return functional.relu(torch.cat([self.one(x), self.three(x)], 1))


def squeezenet(stem, pools):
    """`pools`: behind which fire modules the image shrinks."""
    layers, channels = [stem, nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)], stem.out_channels
    for place, width in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        layers.append(Fire(channels, width, 4 * width))
        channels = 8 * width
        if place in pools:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
    return nn.Sequential(*layers, nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))


class UNet(nn.Module):
    """U-Net without padding: skips are cut to the size of what comes from below."""

    def __init__(self):
        super().__init__()
        widths = (64, 128, 256, 512, 1024)
        self.down = nn.ModuleList(self.pair(i, o) for i, o in zip((1, *widths[:-1]), widths, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(w, w // 2, 2, 2) for w in widths[:0:-1])
        self.merge = nn.ModuleList(self.pair(w, w // 2) for w in widths[:0:-1])
        self.out = nn.Conv2d(64, 2, 1)

    @staticmethod
    def pair(inputs, outputs):
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3), nn.ReLU(), nn.Conv2d(outputs, outputs, 3), nn.ReLU())

    def forward(self, x):
        skips = []
        for place, pair in enumerate(self.down):
            x = pair(functional.max_pool2d(x, 2) if place else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x, skip = up(x), skips.pop()
            top, left = (skip.shape[2] - x.shape[2]) // 2, (skip.shape[3] - x.shape[3]) // 2
            skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            x = merge(torch.cat([skip, x], 1))
        return self.out(x)


class Transformer(nn.Module):
    """One layer: attention with fewer key heads than heads where asked, then a feed-forward of two or three matrices.
    `cached`: how many further keys and values stand ready."""

    def __init__(self, width, heads, key_heads, inside, gated, cached=0):
        super().__init__()
        size, bias = width // heads, not gated
        self.heads, self.key_heads, self.size, self.cached = heads, key_heads, size, cached
        self.query, self.out = nn.Linear(width, width, bias), nn.Linear(width, width, bias)
        self.key, self.value = (nn.Linear(width, key_heads * size, bias) for _ in range(2))
        self.up, self.down = nn.Linear(width, inside, bias), nn.Linear(inside, width, bias)
        self.gate = nn.Linear(width, inside, bias) if gated else None
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x, *cache):
        batch, length, width = x.shape
        query, key, value = (
            layer(x).view(batch, length, heads, self.size).transpose(1, 2)
            for layer, heads in ((self.query, self.heads), (self.key, self.key_heads), (self.value, self.key_heads))
        )
        if cache:
            key, value = torch.cat([cache[0], key], 2), torch.cat([cache[1], value], 2)
        mixed = functional.scaled_dot_product_attention(query, key, value, enable_gqa=self.heads != self.key_heads)
        x = self.norms[0](x + self.out(mixed.transpose(1, 2).reshape(batch, length, width)))
        inside = functional.silu(self.gate(x)) * self.up(x) if self.gate is not None else functional.gelu(self.up(x))
        return self.norms[1](x + self.down(inside))


IMAGE = (3, 224, 224)
ARCHITECTURES = {
    "vgg16": (vgg16, IMAGE),
    "resnet18": (lambda: resnet(Basic, (2, 2, 2, 2)), IMAGE),
    "resnet50": (lambda: resnet(Bottleneck, (3, 4, 6, 3)), IMAGE),
    "mobilenet_v2": (mobilenet_v2, IMAGE),
    "mnasnet_b1": (mnasnet_b1, IMAGE),
    "efficientnet_b0": (efficientnet_b0, IMAGE),
    "squeezenet1_0": (lambda: squeezenet(nn.Conv2d(3, 96, 7, 2), (2, 6)), IMAGE),
    "squeezenet1_1": (lambda: squeezenet(nn.Conv2d(3, 64, 3, 2), (1, 3)), IMAGE),
    "unet": (UNet, (1, 572, 572)),
    "bert_base_block": (lambda: Transformer(768, 12, 12, 3072, gated=False), (128, 768)),
    "llama_block": (lambda: Transformer(4096, 32, 8, 14336, gated=True), (2048, 4096)),
}


def on_meta(name, batch=1):
    """(module, example) without storage."""
    make, shape = ARCHITECTURES[name]
    with torch.device("meta"):
        return make(), torch.empty(batch, *shape)
