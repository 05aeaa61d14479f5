"""MinkUNet (arXiv 1904.08755) as SPVNAS trains it on SemanticKITTI (arXiv 2007.16100, sec. 5)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.hierarchy import build_levels
from coevo.kernels.sparse.modules.activation import ReLU
from coevo.kernels.sparse.modules.batch_norm import BatchNorm
from coevo.kernels.sparse.modules.blocks import ConvBlock, ResidualBlock, layers_of, run_fused
from coevo.kernels.sparse.modules.conv import Conv3d
from coevo.kernels.sparse.tensors import SparseTensor

CHANNELS = (32, 32, 64, 128, 256, 256, 128, 96, 96)
"""Of the stem, the four stages down and the four up, at width 1."""
STAGES = 4


def widths(width: float) -> tuple[int, ...]:
    """`CHANNELS` times `width`, cut to whole numbers. InputError where one would have no channel."""
    found = tuple(int(width * each) for each in CHANNELS)
    if min(found) < 1:
        raise InputError(f"the width must leave every stage a channel, got {width}: {found}")
    return found


class MinkUNet(nn.Module):
    """A U-Net over voxels of strides 1, 2, 4, 8 and 16 with 49 convolutions.

    Module names are those of SPVNAS, so that `load_torchsparse` reads its checkpoints.

    Args:
        num_classes: columns of the result.
        in_channels: of the input; SPVNAS has x, y, z in metres and the remission.
        width: factor of every stage's channels (0.5, 0.64 and 1 are published).
        channels: nine numbers instead, of the stem, the stages down and the stages up.
    """

    def __init__(
        self, num_classes: int, in_channels: int = 4, width: float = 1.0, channels: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        cs = widths(width) if channels is None else tuple(channels)
        if len(cs) != len(CHANNELS) or min(cs) < 1 or min(num_classes, in_channels) < 1:
            raise InputError(f"a MinkUNet needs nine numbers of channels, classes and inputs, all >= 1, got {cs}, "
                             f"{num_classes} and {in_channels}")  # fmt: skip
        self.num_classes, self.in_channels, self.channels = num_classes, in_channels, cs
        self.stem = nn.Sequential(
            Conv3d(in_channels, cs[0]), BatchNorm(cs[0]), ReLU(), Conv3d(cs[0], cs[0]), BatchNorm(cs[0]), ReLU()
        )
        for stage in range(1, STAGES + 1):
            here, there = cs[stage - 1], cs[stage]
            down = nn.Sequential(ConvBlock(here, here, 2, 2), ResidualBlock(here, there), ResidualBlock(there, there))
            self.add_module(f"stage{stage}", down)
        for stage in range(1, STAGES + 1):
            here, there, skip = cs[STAGES + stage - 1], cs[STAGES + stage], cs[STAGES - stage]
            blocks = nn.Sequential(ResidualBlock(there + skip, there), ResidualBlock(there, there))
            self.add_module(f"up{stage}", nn.ModuleList([ConvBlock(here, there, 2, 2, transposed=True), blocks]))
        self.classifier = nn.Sequential(nn.Linear(cs[8], num_classes))

    def encode(self, x: SparseTensor) -> list[SparseTensor]:
        """The features after the stem and after each stage down."""
        return self.descend(run_fused(self.stem, x))

    def descend(self, x: SparseTensor) -> list[SparseTensor]:
        """`encode` from the stem's features on."""
        found = [x]
        for stage in range(1, STAGES + 1):
            found.append(self.get_submodule(f"stage{stage}")(found[-1]))
        return found

    def ascend(self, x: SparseTensor, skip: SparseTensor, stage: int) -> SparseTensor:
        """One stage up, 1 .. 4, joined with the features of the same voxels on the way down."""
        widen, blocks = layers_of(self.get_submodule(f"up{stage}"))
        first, last = layers_of(blocks)
        found: SparseTensor = last(first(widen(x), skip))
        return found

    def forward(self, x: SparseTensor) -> Tensor:
        """Logits [N, num_classes], in the order of x's rows (`x.with_feats(logits).in_given_order()` goes back).

        Raises:
            InputError: the input's channels are not the network's, or its stride is not 1.
        """
        check_input(self, x)
        prepare(x)
        skips = self.encode(x)
        y = skips[STAGES]
        for stage in range(1, STAGES + 1):
            y = self.ascend(y, skips[STAGES - stage], stage)
        logits: Tensor = self.classifier(y.feats)
        return logits


def check_input(net: MinkUNet, x: SparseTensor) -> None:
    """InputError unless x fits the network's first convolution."""
    if x.stride != (1, 1, 1) or x.feats.shape[1] != net.in_channels:
        raise InputError(
            f"{type(net).__name__} expects voxels of stride (1, 1, 1) with {net.in_channels} channels, got stride "
            f"{x.stride} with {x.feats.shape[1]}"
        )


def prepare(x: SparseTensor) -> None:
    """Makes the voxels and maps of all strides at once where they are missing and the kernels for it run. Waits for the
    device, once a scan."""
    if not x.feats.is_cuda or not len(x.feats) or len(x.caches.levels) > 1:
        return
    made = build_levels(x.coords, STAGES + 1).caches()
    x.caches.levels.update(made.levels)
    x.caches.maps.update(made.maps)
