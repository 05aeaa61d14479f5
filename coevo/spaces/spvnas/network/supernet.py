"""The network whose weights all designs of a space share (arXiv 2007.16100, section 4.2)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.modules.minkunet import MinkUNet, check_input, prepare
from coevo.kernels.sparse.modules.spvcnn import DROPOUT, PointBranch, voxelize_points
from coevo.kernels.sparse.shape import STAGES
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor
from coevo.spaces.spvnas.design import Backbone, Bounds
from coevo.spaces.spvnas.network.elastic_blocks import ElasticConvBlock, ElasticResidualBlock, ElasticStem
from coevo.spaces.spvnas.network.layers import POINT_PLACES
from coevo.spaces.spvnas.network.static import build_network
from coevo.supernets.elastic.linear import ElasticLinear
from coevo.supernets.elastic.row_norm import ElasticBatchNorm
from coevo.supernets.elastic.slicing import joined_channels, leading


class Supernet(nn.Module):
    """The largest network of `bounds`; after `set_design` its forward runs that part of it.

    Parameters have the names of the static network's (`build_network`). In evaluation a design needs statistics of its
    own: `coevo.supernets.elastic.calibrate(net, batches, net)` after `set_design`.

    Args:
        bounds: the space.
        num_classes: columns of the result.
        in_channels: of the input.
    """

    def __init__(self, bounds: Bounds | None = None, num_classes: int = 19, in_channels: int = 4) -> None:
        super().__init__()
        self.bounds = Bounds() if bounds is None else bounds
        self.num_classes, self.in_channels = num_classes, in_channels
        whole = self.bounds.largest
        self.design = whole
        self.stem = ElasticStem(in_channels, whole.widths[0])
        for stage in range(2 * STAGES):
            up = stage >= STAGES
            begin = ElasticConvBlock(whole.widths[stage], whole.transitions[stage], transposed=up)
            inputs, most_first = whole.transitions[stage], None
            if up:
                inputs, most_first = inputs + whole.skip(stage), inputs
            blocks = []
            for block, middle in enumerate(whole.middles[stage]):
                outputs, projects = whole.widths[stage + 1], whole.needs_shortcut(stage, block)
                blocks.append(ElasticResidualBlock(inputs, middle, outputs, projects, most_first))
                inputs, most_first = outputs, None
            if up:
                self.add_module(f"up{stage - STAGES + 1}", nn.ModuleList([begin, nn.ModuleList(blocks)]))
            else:
                self.add_module(f"stage{stage + 1}", nn.ModuleList([begin, *blocks]))
        self.classifier = nn.ModuleList([ElasticLinear(whole.widths[-1], num_classes)])
        if self.bounds.points != "none":
            self.point_transforms = nn.ModuleList(
                nn.ModuleList([ElasticLinear(whole.widths[a], whole.widths[b]), ElasticBatchNorm(whole.widths[b])])
                for a, b in POINT_PLACES
            )
            self.dropout = nn.Dropout(DROPOUT)

    def set_design(self, design: Backbone) -> None:
        """What forward runs from now on. InputError where the design is no part of the space."""
        if design == self.design:
            return
        misfit = self.bounds.misfit(design)
        if misfit is not None:
            raise InputError(f"the design is no part of the supernet's space {self.bounds.id}: {misfit}")
        self.design = design
        for module in self.modules():
            if isinstance(module, ElasticBatchNorm):
                module.calibrated = 0

    def forward(self, x: SparseTensor | PointTensor) -> Tensor:
        """Logits [rows, num_classes], a row a voxel, or a point where points are "raw".

        Raises:
            InputError: the input is of another kind than `points` wants or does not fit; in evaluation, the design was
                not calibrated.
        """
        raw = self.bounds.points == "raw"
        wanted = PointTensor if raw else SparseTensor
        if not isinstance(x, wanted):
            raise InputError(
                f"a supernet with points={self.bounds.points!r} takes a {wanted.__name__}, got a {type(x).__name__}"
            )
        branch = None
        if isinstance(x, PointTensor):
            voxels, branch = voxelize_points(x)
        else:
            voxels = x
            if self.bounds.points == "voxels":
                branch = PointBranch(x.coords.to(torch.float32), x.count, exact=True)
        check_input("Supernet", self.in_channels, voxels)
        prepare(voxels)
        return self._run(voxels, branch)

    def _run(self, voxels: SparseTensor, points: PointBranch | None) -> Tensor:
        """As `SPVCNN.run`, and without points as `MinkUNet.forward`."""
        x = stem = self.stem(voxels, self.design.widths[0])
        at_points = stem.feats
        if points is not None:
            at_points = points.from_voxels(stem)
            x = points.to_voxels(stem, at_points)
        skips = [stem]
        for stage in range(STAGES):
            x = self._stage(x, stage)
            skips.append(x)
        for stage in range(STAGES, 2 * STAGES):
            if points is not None and stage in (STAGES, STAGES + 2):
                at_points = points.from_voxels(x, self._transform((stage - STAGES) // 2, at_points, points.count))
                x = points.to_voxels(x, at_points)
                x = x.with_feats(self.dropout(x.feats))
            x = self._stage(x, stage, skips[2 * STAGES - 1 - stage])
        out = x.feats
        if points is not None:
            out = points.from_voxels(x, self._transform(2, at_points, points.count))
        logits: Tensor = self.classifier[0](out, self.num_classes)
        return logits

    def stage(self, stage: int) -> tuple[ElasticConvBlock, list[ElasticResidualBlock]]:
        """The layers of a stage, 0 .. 7: what begins it, and its blocks."""
        if stage < STAGES:
            begin, *blocks = self.get_submodule(f"stage{stage + 1}").children()
        else:
            begin, others = self.get_submodule(f"up{stage - STAGES + 1}").children()
            blocks = list(others.children())
        return cast(ElasticConvBlock, begin), cast(list[ElasticResidualBlock], blocks)

    def perceptron(self, number: int) -> tuple[ElasticLinear, ElasticBatchNorm]:
        """The layers of the point branch, 0 .. 2."""
        linear, norm = self.point_transforms[number].children()
        return cast(ElasticLinear, linear), cast(ElasticBatchNorm, norm)

    def _stage(self, x: SparseTensor, stage: int, skip: SparseTensor | None = None) -> SparseTensor:
        design, outputs = self.design, self.design.widths[stage + 1]
        begin, blocks = self.stage(stage)
        x = begin(x, design.transitions[stage])
        for block, middle in zip(blocks, design.middles[stage], strict=False):  # those beyond the depth are left out
            x, skip = block(x, middle, outputs, skip), None
        return x

    def _transform(self, number: int, features: Tensor, count: Tensor) -> Tensor:
        linear, norm = self.perceptron(number)
        found: Tensor = norm(linear(features, self.design.widths[POINT_PLACES[number][1]]), count, relu=True)
        return found

    @torch.no_grad()
    def extract(self, design: Backbone | None = None) -> MinkUNet:
        """The static network of a design (the one that is set, where it is None) with copies of its weights, in the
        supernet's dtype, mode and device; it gives what the supernet gives for that design.

        Nothing is run: shapes follow from the design alone. Statistics of batch norms are copied where the supernet is
        calibrated for the design, else they are those of a new network: calibrate it before evaluation.

        Raises:
            InputError: the design is no part of the space.
        """
        chosen = self.design if design is None else design
        misfit = self.bounds.misfit(chosen)
        if misfit is not None:
            raise InputError(f"the design is no part of the supernet's space {self.bounds.id}: {misfit}")
        like = next(self.parameters())
        net = build_network(chosen, self.num_classes, self.in_channels).to(like.device, like.dtype)
        net.train(self.training)
        shared = self.state_dict()
        joins = self._joins(chosen)
        for name, own in net.state_dict().items():
            of, _, kind = name.rpartition(".")
            if kind in ("running_mean", "running_var", "num_batches_tracked"):
                norm = self.get_submodule(of)
                if chosen != self.design or not getattr(norm, "calibrated", 0):
                    continue
            part = shared[name]
            if name in joins:
                part = part.index_select(part.dim() - 2, joins[name].to(part.device))
            own.copy_(leading(part, own.shape))
        return net

    def _joins(self, design: Backbone) -> dict[str, Tensor]:
        """Rows of the kernels whose input is two tensors side by side."""
        found = {}
        for stage in range(STAGES, 2 * STAGES):
            index = joined_channels(
                design.transitions[stage], design.skip(stage), self.bounds.largest.transitions[stage]
            )
            block = f"up{stage - STAGES + 1}.1.0"
            found[f"{block}.net.0.kernel"] = found[f"{block}.downsample.0.kernel"] = index
        return found
