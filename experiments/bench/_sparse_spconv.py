"""MinkUNet and CenterPoint's encoder in spconv's own API: spconv 2 and its drop-in spconv-triton.

Names of submodules are SPVNAS's. Maps are built by `get_indice_pairs_implicit_gemm` inside the first layer that needs
one; `maps_kept` returns what it built the first time, which spconv itself does for submanifold layers alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from _sparse_case import CLASSES, INPUTS, minkunet_layers, widths_at
from torch import nn


def minkunet(library: Any, ratio: float, shape: tuple[int, int, int], inputs: int = INPUTS) -> nn.Module:
    """`library` is the module `spconv.pytorch`; `shape` the grid's, each a multiple of 16."""
    cs = widths_at(ratio)
    sparse = library.SparseSequential

    def same(into: int, out: int, stride: int, kernel: int = 3) -> list[nn.Module]:
        conv = library.SubMConv3d(into, out, kernel, bias=False, indice_key=f"same{stride}" if kernel > 1 else None)
        return [conv, nn.BatchNorm1d(out)]

    class Residual(nn.Module):
        def __init__(self, into: int, out: int, stride: int) -> None:
            super().__init__()
            self.net = sparse(*same(into, out, stride), nn.ReLU(True), *same(out, out, stride))
            self.downsample = sparse(*same(into, out, stride, kernel=1)) if into != out else None

        def forward(self, x: Any) -> Any:
            inner = self.net(x)
            short = x if self.downsample is None else self.downsample(x)
            return inner.replace_feature(torch.relu(inner.features + short.features))

    class Between(nn.Module):
        def __init__(self, conv: nn.Module, out: int) -> None:
            super().__init__()
            self.net = sparse(conv, nn.BatchNorm1d(out), nn.ReLU(True))

        def forward(self, x: Any) -> Any:
            return self.net(x)

    class MinkUNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = sparse(*same(inputs, cs[0], 1), nn.ReLU(True), *same(cs[0], cs[0], 1), nn.ReLU(True))
            for index in range(1, 5):
                into, out, stride = cs[index - 1], cs[index], 2**index
                down = library.SparseConv3d(into, into, 2, stride=2, bias=False, indice_key=f"down{stride}")
                blocks = Between(down, into), Residual(into, out, stride), Residual(out, out, stride)
                self.add_module(f"stage{index}", nn.Sequential(*blocks))
            for index in range(1, 5):
                into, out, skip, stride = cs[3 + index], cs[4 + index], cs[4 - index], 2 ** (4 - index)
                up = library.SparseInverseConv3d(into, out, 2, bias=False, indice_key=f"down{2 * stride}")
                blocks = nn.Sequential(Residual(out + skip, out, stride), Residual(out, out, stride))
                self.add_module(f"up{index}", nn.ModuleList([Between(up, out), blocks]))
            self.classifier = nn.Sequential(nn.Linear(cs[8], CLASSES))

        def enter(self, coords: torch.Tensor, feats: torch.Tensor, batch: int) -> Any:
            return library.SparseConvTensor(feats, coords, list(shape), batch)

        def forward(self, x: Any) -> torch.Tensor:
            x = self.stem(x)
            skips = [x]
            for index in range(1, 5):
                x = self.get_submodule(f"stage{index}")(x)
                skips.append(x)
            for index in range(1, 5):
                up, blocks = self.get_submodule(f"up{index}")
                x = up(x)
                x = blocks(x.replace_feature(torch.cat([x.features, skips[4 - index].features], dim=1)))
            return self.classifier(x.features)

    return MinkUNet()


def centerpoint(library: Any, shape: tuple[int, int, int], inputs: int) -> nn.Module:
    """CenterPoint's sparse encoder (det3d's SpMiddleResNetFHD): 16, 32, 64, 128 channels and a last squeeze of z."""
    sparse = library.SparseSequential

    class Block(nn.Module):
        def __init__(self, width: int, key: str) -> None:
            super().__init__()
            first, second = (library.SubMConv3d(width, width, 3, bias=False, indice_key=key) for _ in range(2))
            self.net = sparse(first, nn.BatchNorm1d(width), nn.ReLU(True), second, nn.BatchNorm1d(width))

        def forward(self, x: Any) -> Any:
            inner = self.net(x)
            return inner.replace_feature(torch.relu(inner.features + x.features))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            first = library.SubMConv3d(inputs, 16, 3, bias=False, indice_key="same1")
            layers: list[nn.Module] = [sparse(first, nn.BatchNorm1d(16), nn.ReLU(True))]
            layers += [Block(16, "same1"), Block(16, "same1")]
            for index, (into, out) in enumerate(((16, 32), (32, 64), (64, 128)), start=2):
                padding = (1, 1, 0) if index == 4 else 1
                down = library.SparseConv3d(into, out, 3, stride=2, padding=padding, bias=False)
                layers.append(sparse(down, nn.BatchNorm1d(out), nn.ReLU(True)))
                layers += [Block(out, f"same{index}"), Block(out, f"same{index}")]
            squeeze = library.SparseConv3d(128, 128, (1, 1, 3), stride=(1, 1, 2), bias=False)
            layers.append(sparse(squeeze, nn.BatchNorm1d(128), nn.ReLU(True)))
            self.layers = nn.ModuleList(layers)

        def enter(self, coords: torch.Tensor, feats: torch.Tensor, batch: int) -> Any:
            return library.SparseConvTensor(feats, coords, list(shape), batch)

        def forward(self, x: Any) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x)
            return x.features

    return Encoder()


def load(net: nn.Module, state: dict[str, torch.Tensor], ratio: float, inputs: int = INPUTS) -> nn.Module:
    """SPVNAS's parameters in spconv's layout: [out, x, y, z, in]; a 1 x 1 x 1 layer's is read as [in, out]."""
    rest = dict(state)
    with torch.no_grad():
        for layer in minkunet_layers(ratio, inputs):
            weight, held = rest.pop(f"{layer.name}.kernel"), net.get_submodule(layer.name).weight
            if layer.kernel == 1:
                held.data.view(layer.inputs, layer.outputs).copy_(weight)
                continue
            cube = weight.view(*[layer.kernel] * 3, layer.inputs, layer.outputs)
            held.copy_(cube.permute(4, 2, 1, 0, 3) if layer.kernel == 3 else cube.permute(4, 0, 1, 2, 3))
        missing, unexpected = net.load_state_dict(rest, strict=False)
    left = [name for name in missing if name.rpartition(".")[0] not in {x.name for x in minkunet_layers(ratio)}]
    if left or unexpected:
        raise ValueError(f"the state has no {left}, and {unexpected} stand nowhere")
    return net


@contextlib.contextmanager
def maps_kept(library: Any) -> Iterator[None]:
    """Every map is built once inside; the next layer or run that asks for the same gets the first one's."""
    built: dict[Any, Any] = {}
    original = library.ops.get_indice_pairs_implicit_gemm

    def kept(indices: torch.Tensor, *given: Any, **named: Any) -> Any:
        key = (len(indices), str(named.get("ksize")), str(named.get("stride")), named.get("subm"))
        if key not in built:
            built[key] = original(indices, *given, **named)
        return built[key]

    library.ops.get_indice_pairs_implicit_gemm = kept
    try:
        yield
    finally:
        library.ops.get_indice_pairs_implicit_gemm = original
