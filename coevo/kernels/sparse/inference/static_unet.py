"""MinkUNet and SPVCNN as a fixed list of fused convolutions over a hierarchy of levels.

What is concatenated on the way up stands side by side in one buffer: the convolution of the way up writes its part, and
on the way copies the part that came down beside it. Until then the latter is kept by itself: buffers with room for
both would take 103 MiB instead of 30 for 120,000 voxels, all the way down and up. A residual block is two launches: its
shortcut, norms, residual and ReLUs ride on its convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coevo.kernels.sparse.convolution.alignment import missing
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.hierarchy import Hierarchy
from coevo.kernels.sparse.inference.alignment import align_conv, align_linear, aligned
from coevo.kernels.sparse.inference.folding import FoldedConv, fold, fold_linear
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.modules.blocks import ConvBlock, ResidualBlock, layers_of
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.modules.spvcnn import SPVCNN
from coevo.kernels.sparse.points.devoxelize import Corners, devoxelize
from coevo.kernels.sparse.points.lookup import find_corners
from coevo.kernels.sparse.points.scatter_mean import Membership, scatter_mean
from coevo.kernels.sparse.shape import STAGES, UNetShape

LEVELS = STAGES + 1
ONE = (1, 1, 1)
HEAD = Plan(dataflow="unsorted", rows=128, columns=32, depth=32, warps=4, stages=3)
"""How the classifier's product is carried out on a device."""


class _Residual:
    """The two launches of a residual block."""

    def __init__(self, block: ResidualBlock, dtype: torch.dtype) -> None:
        first, norm, _, last, last_norm = layers_of(block.net)
        self.first = fold(first, norm, dtype, relu=True)
        self.last = fold(last, last_norm, dtype, relu=True, shortcut=block.downsample)

    def __call__(self, x: Tensor, kernel_map: KernelMap) -> Tensor:
        middle = self.first(x, kernel_map)
        if self.last.shortcut_weight is None:
            return self.last(middle, kernel_map, residual=x)
        return self.last(middle, kernel_map, shortcut=x)


class StaticUNet:
    """The network in `dtype`, in evaluation mode, over preallocated capacities. It copies the weights, to `device` if
    that is given."""

    def __init__(self, net: MinkUNet, dtype: torch.dtype, device: torch.device | None = None) -> None:
        self.dtype, self.num_classes = dtype, net.num_classes
        shape = net.shape
        self.skips = tuple(aligned(shape.widths[level]) for level in range(STAGES))
        self.widened = tuple(aligned(shape.transitions[2 * STAGES - 1 - level]) for level in range(STAGES))
        self.in_channels = net.in_channels
        first, norm, _, last, last_norm, _ = layers_of(net.stem)
        self.stem = [fold(first, norm, dtype, relu=True), fold(last, last_norm, dtype, relu=True)]
        self.down: list[FoldedConv] = []
        self.up: list[FoldedConv] = []
        self.blocks_down: list[list[_Residual]] = []
        self.blocks_up: list[list[_Residual]] = []
        for stage in range(1, STAGES + 1):
            block, *others = net.get_submodule(f"stage{stage}").children()
            self.down.append(_fold_block(block, dtype))
            self.blocks_down.append([_residual(each, dtype) for each in others])
            block, blocks = net.get_submodule(f"up{stage}").children()
            self.up.append(_fold_block(block, dtype))
            self.blocks_up.append([_residual(each, dtype) for each in blocks.children()])
        linear = net.classifier[0]
        assert isinstance(linear, nn.Linear)
        self.classifier = fold_linear(linear, None, dtype, relu=False)
        device = device or linear.weight.device
        on_device = device.type == "cuda" and dtype is not torch.float64
        align_linear(self.classifier, outputs=False)
        self.head = FoldedConv(
            self.classifier.weight[None], linear.bias.detach().float(), False, plan=HEAD if on_device else None
        )
        self.transforms = []
        if isinstance(net, SPVCNN):
            for layers in net.point_transforms:
                assert isinstance(layers, nn.Sequential)
                inner, its_norm = layers[0], layers[1]
                assert isinstance(inner, nn.Linear) and isinstance(its_norm, nn.BatchNorm1d)
                self.transforms.append(fold_linear(inner, its_norm, dtype, relu=True))
                align_linear(self.transforms[-1])
        self._align(shape)
        for conv in (*self.convolutions().values(), self.head):
            conv.to(device)
        for layer in (self.classifier, *self.transforms):
            layer.to(device)

    def _align(self, shape: UNetShape) -> None:
        """Every layer between the input and the classifier with channels in multiples of 16."""
        cs, begins, middles = shape.widths, shape.transitions, shape.middles
        align_conv(self.stem[0], [self.in_channels])
        align_conv(self.stem[1], [cs[0]])
        for stage in range(STAGES):
            up = stage + STAGES
            align_conv(self.down[stage], [cs[stage]])
            _align_blocks(self.blocks_down[stage], [begins[stage]], middles[stage], cs[stage + 1])
            align_conv(self.up[stage], [cs[up]])
            _align_blocks(self.blocks_up[stage], [begins[up], shape.skip(up)], middles[up], cs[up + 1])

    def convolutions(self) -> dict[str, FoldedConv]:
        """Every launch of a convolution by the name of its module in the network."""
        found = {"stem.0": self.stem[0], "stem.3": self.stem[1]}
        for stage in range(STAGES):
            for name, conv, blocks in (
                (f"stage{stage + 1}", self.down[stage], self.blocks_down[stage]),
                (f"up{stage + 1}", self.up[stage], self.blocks_up[stage]),
            ):
                found[f"{name}.0"] = conv
                for place, block in enumerate(blocks):
                    inner = f"{name}.{place + 1}" if name.startswith("stage") else f"{name}.1.{place}"
                    found[f"{inner}.net.0"], found[f"{inner}.net.3"] = block.first, block.last
        return found

    def set_plans(self, plans: dict[str, Plan]) -> None:
        """Ways to carry out convolutions, by names of `convolutions`."""
        for name, each in self.convolutions().items():
            each.plan = plans.get(name, each.plan)

    def __call__(self, features: Tensor, made: Hierarchy, count: Tensor, coords: Tensor | None = None) -> Tensor:
        """Logits [N, num_classes] of features [N, in_channels], in their order.

        Args:
            features: at the rows from which `made` was built; or at points.
            made: the levels of strides 1 to 16 and their maps.
            count: int32 [1] on the device, rows in use.
            coords: float [N, 4], of the points, for a network of raw points; `made` merged them.
        """
        features = features.to(self.dtype)
        if coords is not None:
            features = nn.functional.pad(features, (0, missing(self.in_channels)))
            found: Tensor = self.classifier(self._penultimate(features, made, coords))
            return found
        if not len(features):
            return features.new_zeros((0, self.num_classes))
        x = self._penultimate(self._entered(features, made), made, None)
        back = KernelMap(
            made.places[None], made.levels[0].count, count, made.levels[0].capacity, ONE, ONE, ONE, symmetric=False
        )
        return self.head(x, back)  # the product with the classifier fetches rows in the order given

    def _entered(self, features: Tensor, made: Hierarchy) -> Tensor:
        """The features in the order of the voxels of stride 1, with as many channels as the first layer takes."""
        channels = aligned(self.in_channels)
        if features.is_cuda:
            from coevo.kernels.sparse.inference.triton_rows import take_rows

            return take_rows(features, made.order, made.levels[0].count, channels)
        taken = features.index_select(0, made.order.clamp(0, len(features) - 1))
        return nn.functional.pad(taken, (0, channels - self.in_channels))

    def _penultimate(self, features: Tensor, made: Hierarchy, coords: Tensor | None) -> Tensor:
        """What the classifier takes, [rows of level 0 or points, C], of features at the rows of level 0 or points."""
        points = _Points(made, coords) if self.transforms else None
        x = points.scatter(features, 0) if points is not None else features
        x = self.stem[1](self.stem[0](x, made.submanifold[0]), made.submanifold[0])
        skips = [x]
        at_points = x
        if points is not None:
            at_points = points.gather(x, 0)
            x = points.scatter(at_points, 0)
        for stage in range(STAGES):
            x = self.down[stage](x, made.down[stage])
            for block in self.blocks_down[stage]:
                x = block(x, made.submanifold[stage + 1])
            skips.append(x)
        del skips[STAGES:]
        for stage in range(STAGES):
            if points is not None and stage in (0, 2):
                level = STAGES - stage
                at_points = points.gather(x, level, self.transforms[stage // 2](at_points))
                x = points.scatter(at_points, level)
            level = STAGES - 1 - stage
            joined = _empty(features, made.levels[level].capacity, self.widened[level] + self.skips[level], self.dtype)
            self.up[stage](x, made.down[level].inverse(), copied=skips.pop(), out=joined)
            x = joined
            for block in self.blocks_up[stage]:
                x = block(x, made.submanifold[level])
        if points is not None:
            x = points.gather(x, 0, self.transforms[2](at_points))
        return x


class _Points:
    """SPVCNN's points among the levels: those of `coords`, or without them the voxels of stride 1 themselves."""

    def __init__(self, made: Hierarchy, coords: Tensor | None) -> None:
        self.made, self.is_raw = made, coords is not None
        finest = made.levels[0]
        if coords is not None:
            self.coords, self.count = coords, None
            self.places = made.places
        else:
            self.coords, self.count = finest.coords.to(torch.float32), finest.count
            rows = torch.arange(finest.capacity, dtype=torch.int32, device=finest.coords.device)
            self.places = torch.where(rows < finest.count, rows, -1)
        self._corners: dict[int, Corners] = {}
        self._members: dict[int, Membership] = {}

    def gather(self, x: Tensor, level: int, added: Tensor | None = None) -> Tensor:
        """[P, C]: the features x of a level interpolated at the points, plus `added`."""
        if level == 0 and not self.is_raw:
            return x if added is None else x + added
        if level not in self._corners:
            self._corners[level] = find_corners(self.coords, self.made.levels[level], self.count)
        return devoxelize(x, self._corners[level], added)

    def scatter(self, features: Tensor, level: int) -> Tensor:
        """[rows of the level, C]: the means of the features over the points of each voxel."""
        if level == 0 and not self.is_raw:
            return features
        if level not in self._members:
            index = self.places
            if level:
                above = self.made.ancestors[level - 1]
                index = torch.where(index >= 0, above.index_select(0, index.clamp(0, max(len(above) - 1, 0))), -1)
            self._members[level] = Membership(index, self.made.levels[level].capacity, is_sorted=not self.is_raw)
        return scatter_mean(features, self._members[level])


def _empty(like: Tensor, rows: int, channels: int, dtype: torch.dtype) -> Tensor:
    return torch.empty((rows, channels), dtype=dtype, device=like.device)


def _fold_block(block: nn.Module, dtype: torch.dtype) -> FoldedConv:
    assert isinstance(block, ConvBlock)
    conv, norm, _ = layers_of(block.net)
    return fold(conv, norm, dtype, relu=True)


def _align_blocks(blocks: list[_Residual], inputs: list[int], middles: Sequence[int], width: int) -> None:
    for block, middle in zip(blocks, middles, strict=True):
        align_conv(block.first, inputs)
        align_conv(block.last, [middle], shortcut=inputs)
        inputs = [width]


def _residual(block: nn.Module, dtype: torch.dtype) -> _Residual:
    assert isinstance(block, ResidualBlock)
    return _Residual(block, dtype)
