"""MinkUNet (arXiv 1904.08755) as SPVNAS trains it on SemanticKITTI (arXiv 2007.16100, sec. 5)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.hierarchy import build_levels
from coevo.kernels.sparse.modules.activation import ReLU
from coevo.kernels.sparse.modules.batch_norm import BatchNorm
from coevo.kernels.sparse.modules.block_training import forked
from coevo.kernels.sparse.modules.blocks import ConvBlock, ResidualBlock, layers_of, run_fused, run_stage
from coevo.kernels.sparse.modules.conv import Conv3d
from coevo.kernels.sparse.shape import DEFAULT_SPLITS, STAGES, UNetShape, widths
from coevo.kernels.sparse.tensors import SparseTensor


class MinkUNet(nn.Module):
    """A U-Net over voxels of strides 1, 2, 4, 8 and 16; with 49 convolutions unless its shape says otherwise.

    Module names are those of SPVNAS, so that `load_torchsparse` reads its checkpoints.

    Args:
        num_classes: columns of the result.
        in_channels: of the input; SPVNAS has x, y, z in metres and the remission.
        width: factor of every stage's channels (0.5, 0.64 and 1 are published).
        channels: nine numbers instead, of the stem, the stages down and the stages up.
        shape: every number of channels and every depth instead (a network of SPVNAS's space).
    """

    def __init__(
        self, num_classes: int, in_channels: int = 4, width: float = 1.0, channels: Sequence[int] | None = None,
        shape: UNetShape | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(num_classes, in_channels) < 1:
            raise InputError(f"classes and input channels must be >= 1, got {num_classes} and {in_channels}")
        if shape is None:
            shape = UNetShape.plain(widths(width) if channels is None else channels)
        cs = shape.widths
        self.num_classes, self.in_channels, self.channels, self.shape = num_classes, in_channels, cs, shape
        self.stem = nn.Sequential(
            Conv3d(in_channels, cs[0]), BatchNorm(cs[0]), ReLU(), Conv3d(cs[0], cs[0]), BatchNorm(cs[0]), ReLU()
        )
        for stage in range(STAGES):
            begin = ConvBlock(cs[stage], shape.transitions[stage], 2, 2)
            self.add_module(f"stage{stage + 1}", nn.Sequential(begin, *_blocks(shape, stage)))
        for stage in range(STAGES, 2 * STAGES):
            begin = ConvBlock(cs[stage], shape.transitions[stage], 2, 2, transposed=True)
            blocks = nn.Sequential(*_blocks(shape, stage))
            self.add_module(f"up{stage - STAGES + 1}", nn.ModuleList([begin, blocks]))
        self.classifier = nn.Sequential(nn.Linear(cs[8], num_classes))

    def encode(self, x: SparseTensor) -> list[SparseTensor]:
        """The features after the stem and after each stage down."""
        return self.descend(run_fused(self.stem, x))

    def descend(self, x: SparseTensor) -> list[SparseTensor]:
        """`encode` from the stem's features on."""
        found = []
        for stage in range(1, STAGES + 1):
            skip, x = forked(x)
            found.append(skip)
            down, *blocks = layers_of(self.get_submodule(f"stage{stage}"))
            x = run_stage(down, blocks, x)
        return [*found, x]

    def ascend(self, x: SparseTensor, skip: SparseTensor, stage: int) -> SparseTensor:
        """One stage up, 1 .. 4, joined with the features of the same voxels on the way down."""
        widen, blocks = layers_of(self.get_submodule(f"up{stage}"))
        return run_stage(widen, layers_of(blocks), x, skip)

    def forward(self, x: SparseTensor) -> Tensor:
        """Logits [N, num_classes], in the order of x's rows (`x.with_feats(logits).in_given_order()` goes back).

        Raises:
            InputError: the input's channels are not the network's, or its stride is not 1.
        """
        check_input(type(self).__name__, self.in_channels, x)
        prepare(x)
        skips = self.encode(x)
        y = skips[STAGES]
        for stage in range(1, STAGES + 1):
            y = self.ascend(y, skips[STAGES - stage], stage)
        logits: Tensor = self.classifier(y.feats)
        return logits


def _blocks(shape: UNetShape, stage: int) -> list[ResidualBlock]:
    """The residual blocks of a stage, 0 .. 7."""
    inputs = shape.transitions[stage] + (shape.skip(stage) if stage >= STAGES else 0)
    found = []
    for block, middle in enumerate(shape.middles[stage]):
        outputs = shape.widths[stage + 1]
        found.append(ResidualBlock(inputs, outputs, middle, shape.needs_shortcut(stage, block)))
        inputs = outputs
    return found


def check_input(name: str, in_channels: int, x: SparseTensor) -> None:
    """InputError unless x fits the first convolution of a network of this name."""
    if x.stride != (1, 1, 1) or x.feats.shape[1] != in_channels:
        raise InputError(
            f"{name} expects voxels of stride (1, 1, 1) with {in_channels} channels, got stride {x.stride} with "
            f"{x.feats.shape[1]}"
        )


def prepare(x: SparseTensor) -> None:
    """Makes the voxels and maps of all strides at once where they are missing and the kernels for it run. Waits for the
    device, once a scan."""
    if not x.feats.is_cuda or not len(x.feats) or len(x.caches.levels) > 1:
        return
    made = build_levels(x.coords, STAGES + 1, splits=DEFAULT_SPLITS).caches()
    x.caches.levels.update(made.levels)
    x.caches.maps.update(made.maps)
