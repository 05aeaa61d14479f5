"""Scans that judge networks: voxelised once, with their maps, and every raw point counts (arXiv 2007.16100, sec. 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor
from coevo.spaces.spvnas.data.labels import CLASSES
from coevo.spaces.spvnas.data.scan import ScanSource
from coevo.spaces.spvnas.data.voxels import VoxelSample, voxelize_scan
from coevo.spaces.spvnas.training.metrics import Confusion, Scores

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
Logits = Callable[[Any], Tensor]


def network_input(sample: VoxelSample, points: str) -> SparseTensor | PointTensor:
    """What a network whose points are these takes of a sample: its voxels, or its raw points."""
    if points == "raw":
        return PointTensor(sample.point_feats, sample.point_coords)
    return SparseTensor.of(sample.feats, sample.coords)


def target(sample: VoxelSample, x: SparseTensor | PointTensor) -> Tensor:
    """int64, the labels of the rows of a network's logits for `network_input`."""
    found: Tensor = sample.point_labels
    if isinstance(x, SparseTensor):
        found = sample.labels if x.caches.order is None else sample.labels.index_select(0, x.caches.order)
    return found


def precise(precision: str, device: torch.device) -> Any:
    """Autocast to a precision; "float32" computes as it is."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "float32")


@dataclass(frozen=True, eq=False)
class _Judge:
    x: SparseTensor | PointTensor
    inverse: Tensor
    labels: Tensor


class Validation:
    """Args:
        source: the scans; every one must have labels.
        numbers: which of them; all where it is None.
        voxel_m: a voxel's edge in metres. Nothing is left out: no cap on voxels.
        points: of the networks: "none", "voxels" or "raw".
        device: where the scans are kept, with their maps.

    Raises:
        InputError: no scan, or one without labels.
    """

    def __init__(
        self, source: ScanSource, numbers: Sequence[int] | None = None, *, voxel_m: float = 0.05,
        points: str = "voxels", device: torch.device | str = "cpu", classes: int = len(CLASSES),
    ) -> None:  # fmt: skip
        self.device, self.points, self.classes, self.source = torch.device(device), points, classes, source.source
        self.numbers = list(range(len(source)) if numbers is None else numbers)
        if not self.numbers:
            raise InputError("validation needs at least one scan, the source has none")
        self.samples: list[VoxelSample] = []
        self._judges: list[_Judge] = []
        for number in self.numbers:
            scan = source[number]
            if scan.labels is None:
                raise InputError(f"scan {scan.name} has no labels: it cannot judge")
            sample = voxelize_scan(scan, voxel_m).to(self.device)
            self.samples.append(sample)
            self._judges.append(_Judge(network_input(sample, points), sample.inverse, sample.point_labels))

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, count: int) -> Validation:
        """The first `count` scans, sharing what is kept of them."""
        found = object.__new__(Validation)
        vars(found).update(vars(self))
        found.numbers, found.samples = self.numbers[:count], self.samples[:count]
        found._judges = self._judges[:count]
        return found

    def score(self, net: nn.Module, precision: str = "float32") -> Scores:
        """Of a network on this device, in evaluation mode; its mode is put back."""
        was = net.training
        net.eval()
        try:
            return self.score_of(net, precision)
        finally:
            net.train(was)

    def score_of(self, logits_of: Logits, precision: str = "float32") -> Scores:
        """Of anything that gives logits of `network_input`."""
        confusion = Confusion(self.classes, self.device)
        for judge in self._judges:
            confusion.add(self.predict(logits_of, judge.x, judge.inverse, precision), judge.labels)
        return confusion.scores()

    def predict(self, logits_of: Logits, x: Any, inverse: Tensor, precision: str = "float32") -> Tensor:
        """int64 [P], the class of every raw point."""
        with torch.no_grad(), precise(precision, self.device):
            logits = logits_of(x)
        if not isinstance(x, PointTensor):
            logits = x.with_feats(logits).in_given_order()
        found = logits.argmax(dim=1)
        return found if isinstance(x, PointTensor) else found.index_select(0, inverse)

    def inputs(self) -> list[SparseTensor | PointTensor]:
        """What networks take, scan by scan."""
        return [judge.x for judge in self._judges]
