"""A network in plain torch operators, so that `torch.export` takes it.

What is exported is everything from features to logits, norms folded, over tables that say which row meets which. What
is not: turning coordinates into tables (`scan_tables`), whose sizes follow from the data; and the Triton kernels,
captured graph and speed of `compile_for_inference`. The program runs wherever torch does, without coevo.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.hierarchy import build_levels
from coevo.kernels.sparse.inference.folding import FoldedConv, FoldedLinear, fold, fold_linear
from coevo.kernels.sparse.modules.blocks import ConvBlock, ResidualBlock, layers_of
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.modules.spvcnn import SPVCNN
from coevo.kernels.sparse.points.lookup import find_corners
from coevo.kernels.sparse.shape import STAGES

Tables = dict[str, Tensor]
LEVELS = STAGES + 1
_TOGETHER = 9
"""Offsets whose features are gathered at once: all 27 would take 1.7 GB where SPVCNN is widest, one by one makes long
programs."""


def scan_tables(coords: Tensor, points: str) -> Tables:
    """The tables of a scan for a network with this point branch.

    Args:
        coords: whole numbers [N, 4] (batch, x, y, z) of distinct voxels; for "raw" points float [P, 4] in voxels.
        points: of the design.

    Returns:
        int64 tensors: "order" [rows of level 0] and "places" [N], from given rows to those of level 0 and back;
        "near0" .. "near4" [27, rows], "down0" .. "down3" [8, rows of the coarser level], "up0" .. "up3" [8, rows of
        the finer] with the row that is met at each offset, -1 for none; with points, "member0", "member2", "member4"
        [points], the voxel of each point, and "corners0" .. [points, 8] with "weights0" .. (float).

    Raises:
        InputError: coordinates repeat, cannot be packed, or are of another shape.
    """
    raw = points == "raw"
    made = build_levels(coords.floor().to(torch.int32) if raw else coords, LEVELS, merge=raw)
    found = {"order": made.order.long(), "places": made.places.long()}
    for level, near in enumerate(made.submanifold):
        found[f"near{level}"] = near.neighbours.long()
    for level, down in enumerate(made.down):
        found[f"down{level}"] = down.neighbours.long()
        found[f"up{level}"] = down.inverse().neighbours.long()
    if points == "none":
        return found
    finest = made.levels[0]
    where = coords if raw else finest.coords.to(torch.float32)
    rows = found["places"] if raw else torch.arange(finest.capacity, device=coords.device)
    for level in (0, 2, 4):
        corners = find_corners(where, made.levels[level])
        found[f"corners{level}"], found[f"weights{level}"] = corners.rows.long(), corners.weights
        found[f"member{level}"] = rows if level == 0 else made.ancestors[level - 1].long()[rows]
    return found


class PortableUNet(nn.Module):
    """A static network as it is now, in evaluation; `forward(feats, tables)` gives logits in the order given.

    Args:
        net: of any design, on the CPU or a device.
        dtype: of weights and features.
    """

    def __init__(self, net: MinkUNet, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.points = net.points if isinstance(net, SPVCNN) else "none"
        self.dtype = dtype
        first, norm, _, last, last_norm, _ = layers_of(net.stem)
        self.stem = nn.ModuleList([_Conv(fold(first, norm, dtype, True)), _Conv(fold(last, last_norm, dtype, True))])
        self.begins, self.blocks = nn.ModuleList(), nn.ModuleList()
        for stage in range(2 * STAGES):
            up = stage >= STAGES
            name = f"up{stage - STAGES + 1}" if up else f"stage{stage + 1}"
            begin, *blocks = layers_of(net.get_submodule(name))
            assert isinstance(begin, ConvBlock)
            conv, norm, _ = layers_of(begin.net)
            self.begins.append(_Conv(fold(conv, norm, dtype, True)))
            blocks = list(layers_of(blocks[0])) if up else blocks
            self.blocks.append(nn.ModuleList(_Block(each, dtype) for each in blocks))
        self.transforms = nn.ModuleList()
        for layers in net.point_transforms if isinstance(net, SPVCNN) else ():
            linear, norm, _ = layers_of(layers)
            self.transforms.append(_Linear(fold_linear(linear, norm, dtype, True)))
        self.classifier = _Linear(fold_linear(net.classifier[0], None, dtype, False))  # type: ignore[arg-type]

    def forward(self, feats: Tensor, tables: Tables) -> Tensor:
        """Logits [rows given, classes] of feats [rows given, in_channels]."""
        feats = feats.to(self.dtype)
        raw, pointed = self.points == "raw", self.points != "none"
        x = _means(feats, tables["places"], tables["near0"]) if raw else feats.index_select(0, tables["order"])
        near = tables["near0"]
        x = stem = self.stem[1](self.stem[0](x, near), near)
        at_points = x
        if raw:
            at_points = _interpolated(x, tables, 0)
            x = _means(at_points, tables["member0"], near)
        skips = [stem]
        for stage in range(STAGES):
            x = self.begins[stage](x, tables[f"down{stage}"])
            for block in self.blocks[stage].children():
                x = block(x, tables[f"near{stage + 1}"])
            skips.append(x)
        for stage in range(STAGES, 2 * STAGES):
            level = 2 * STAGES - 1 - stage
            if pointed and stage in (STAGES, STAGES + 2):
                at_points = _interpolated(x, tables, level + 1) + self.transforms[(stage - STAGES) // 2](at_points)
                x = _means(at_points, tables[f"member{level + 1}"], tables[f"near{level + 1}"])
            x = self.begins[stage](x, tables[f"up{level}"])
            x = torch.cat([x, skips[level]], dim=1)
            for block in self.blocks[stage].children():
                x = block(x, tables[f"near{level}"])
        if pointed:
            x = (_interpolated(x, tables, 0) if raw else x) + self.transforms[2](at_points)
        logits: Tensor = self.classifier(x)
        return logits if raw else logits.index_select(0, tables["places"])


class _Conv(nn.Module):
    weight: Tensor
    shift: Tensor

    def __init__(self, folded: FoldedConv) -> None:
        super().__init__()
        self.register_buffer("weight", folded.weight)
        self.register_buffer("shift", folded.shift.to(folded.weight.dtype))
        self.relu = folded.relu

    def forward(self, x: Tensor, table: Tensor, added: Tensor | None = None) -> Tensor:
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])])  # whoever meets nothing meets the row behind the last
        rows = torch.where(table < 0, x.shape[0], table).T
        sums = self.shift.expand(table.shape[1], -1)
        for begin in range(0, self.weight.shape[0], _TOGETHER):
            part = self.weight[begin : begin + _TOGETHER]
            met = padded[rows[:, begin : begin + _TOGETHER]]
            sums = torch.addmm(sums, met.reshape(-1, part.shape[0] * part.shape[1]), part.reshape(-1, part.shape[2]))
        if added is not None:
            sums = sums + added
        return torch.relu(sums) if self.relu else sums


class _Block(nn.Module):
    beside: Tensor

    def __init__(self, block: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        assert isinstance(block, ResidualBlock)
        first, norm, _, last, last_norm = layers_of(block.net)
        folded = fold(last, last_norm, dtype, True, block.downsample)
        self.first, self.last = _Conv(fold(first, norm, dtype, True)), _Conv(folded)
        self.projects = folded.shortcut_weight is not None
        if self.projects:
            self.register_buffer("beside", folded.shortcut_weight)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        found: Tensor = self.last(self.first(x, table), table, x @ self.beside if self.projects else x)
        return found


class _Linear(nn.Module):
    weight: Tensor
    bias: Tensor

    def __init__(self, folded: FoldedLinear) -> None:
        super().__init__()
        self.register_buffer("weight", folded.weight)
        self.register_buffer("bias", folded.bias)
        self.relu = folded.relu

    def forward(self, x: Tensor) -> Tensor:
        found = torch.addmm(self.bias, x, self.weight)
        return torch.relu(found) if self.relu else found


def _means(feats: Tensor, member: Tensor, near: Tensor) -> Tensor:
    """[rows, C]: means over the points of each of the voxels whose table `near` is."""
    rows = near.shape[1]
    sums = feats.new_zeros(rows, feats.shape[1]).index_add(0, member, feats)
    counts = feats.new_zeros(rows).index_add(0, member, torch.ones_like(feats[:, 0]))
    return sums / counts.clamp(min=1)[:, None]


def _interpolated(x: Tensor, tables: Tables, level: int) -> Tensor:
    """[points, C]."""
    rows, weights = tables[f"corners{level}"], tables[f"weights{level}"].to(x.dtype)
    return (x[rows.clamp(min=0)] * weights[:, :, None]).sum(dim=1)  # a corner that is absent has the weight 0


def export_program(net: MinkUNet, coords: Tensor, dtype: torch.dtype = torch.float32) -> Any:
    """A `torch.export.ExportedProgram` of the network; `program.module()(feats, scan_tables(coords, points))` gives
    logits in the order given, of any scan.

    Keep it with `torch.export.save`: what that writes is torch's archive and may hold pickles, so coevo neither writes
    nor reads such files by itself.

    Args:
        net: of any design.
        coords: of a scan to trace with, as `scan_tables` takes them, with at least two voxels at stride 16.
        dtype: as `PortableUNet`.

    Raises:
        InputError: the scan has fewer than two voxels at some stride.
    """
    portable = PortableUNet(net, dtype).eval()
    tables = scan_tables(coords, portable.points)
    rows = [tables[f"near{level}"].shape[1] for level in range(LEVELS)]
    if min(rows) < 2:
        raise InputError(f"a network is exported with a scan of at least two voxels at every stride, got {rows}")
    sizes = [torch.export.Dim(f"rows{level}", min=2) for level in range(LEVELS)]
    given = torch.export.Dim("points", min=2) if portable.points == "raw" else sizes[0]
    feats = torch.zeros((len(coords), net.in_channels), dtype=dtype, device=coords.device)
    shapes = {name: _sizes(name, sizes, given) for name in tables}
    with torch.no_grad():
        return torch.export.export(portable, (feats, tables), dynamic_shapes=({0: given}, shapes))


def _sizes(name: str, sizes: list[Any], given: Any) -> dict[int, Any]:
    """The axis of a table that grows with the scan."""
    if name.startswith(("near", "up")):
        return {1: sizes[int(name[-1])]}
    if name.startswith("down"):
        return {1: sizes[int(name[-1]) + 1]}
    return {0: sizes[0] if name == "order" else given}
