"""MinkUNet in TorchSparse's own API (2.1, which is TorchSparse++): batch index first, default configuration.

TorchSparse is not on PyPI; where it was built from source it is measured like the others. Its maps are cached by
reference from the first tensor on, so a second run over the same tensor builds none.
"""

from __future__ import annotations

from typing import Any

import torch
from _sparse_case import CLASSES, INPUTS, widths_at
from torch import nn


def minkunet(library: Any, ratio: float, inputs: int = INPUTS) -> nn.Module:
    """`library` is the module `torchsparse`. Parameters have SPVNAS's names and layout as they are."""
    cs = widths_at(ratio)
    spnn = library.nn

    def block(into: int, out: int, kernel: int = 3, **given: Any) -> list[nn.Module]:
        return [spnn.Conv3d(into, out, kernel_size=kernel, bias=False, **given), spnn.BatchNorm(out)]

    class Residual(nn.Module):
        def __init__(self, into: int, out: int) -> None:
            super().__init__()
            self.net = nn.Sequential(*block(into, out), spnn.ReLU(True), *block(out, out))
            self.downsample = nn.Sequential(*block(into, out, 1)) if into != out else nn.Sequential()
            self.relu = spnn.ReLU(True)

        def forward(self, x: Any) -> Any:
            return self.relu(self.net(x) + self.downsample(x))

    class Between(nn.Module):
        def __init__(self, into: int, out: int, transposed: bool) -> None:
            super().__init__()
            self.net = nn.Sequential(*block(into, out, 2, stride=2, transposed=transposed), spnn.ReLU(True))

        def forward(self, x: Any) -> Any:
            return self.net(x)

    class MinkUNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(*block(inputs, cs[0]), spnn.ReLU(True), *block(cs[0], cs[0]), spnn.ReLU(True))
            for index in range(1, 5):
                into, out = cs[index - 1], cs[index]
                blocks = Between(into, into, False), Residual(into, out), Residual(out, out)
                self.add_module(f"stage{index}", nn.Sequential(*blocks))
            for index in range(1, 5):
                into, out, skip = cs[3 + index], cs[4 + index], cs[4 - index]
                blocks = nn.Sequential(Residual(out + skip, out), Residual(out, out))
                self.add_module(f"up{index}", nn.ModuleList([Between(into, out, True), blocks]))
            self.classifier = nn.Sequential(nn.Linear(cs[8], CLASSES))

        def enter(self, coords: torch.Tensor, feats: torch.Tensor, batch: int) -> Any:
            return library.SparseTensor(feats, coords)

        def forward(self, x: Any) -> torch.Tensor:
            x = self.stem(x)
            skips = [x]
            for index in range(1, 5):
                x = self.get_submodule(f"stage{index}")(x)
                skips.append(x)
            for index in range(1, 5):
                up, blocks = self.get_submodule(f"up{index}")
                x = blocks(library.cat([up(x), skips[4 - index]]))
            return self.classifier(x.feats)

    return MinkUNet()
