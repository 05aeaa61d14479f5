"""Scans that judge networks: voxelised once, with their maps, and every raw point counts (arXiv 2007.16100, sec. 5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.tensors import PointTensor, SparseTensor
from coevo.kernels.sparse.training import PaddedBatch
from coevo.spaces.spvnas.data.labels import CLASSES
from coevo.spaces.spvnas.data.scan import ScanSource
from coevo.spaces.spvnas.data.voxels import VoxelSample, voxelize_scan
from coevo.spaces.spvnas.network.capacity import capacity_of
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
        padded: whether all voxels lie in buffers of one capacity; on CUDA devices if None, where kernels are compiled
            once for all scans and designs then. Not for points "raw".

    Raises:
        InputError: no scan, or one without labels.
    """

    def __init__(
        self, source: ScanSource, numbers: Sequence[int] | None = None, *, voxel_m: float = 0.05,
        points: str = "voxels", device: torch.device | str = "cpu", classes: int = len(CLASSES),
        padded: bool | None = None,
    ) -> None:  # fmt: skip
        self.device, self.points, self.classes, self.source = torch.device(device), points, classes, source.source
        self.padded = self.device.type == "cuda" and points != "raw" if padded is None else padded
        self.numbers = list(range(len(source)) if numbers is None else numbers)
        if not self.numbers:
            raise InputError("validation needs at least one scan, the source has none")
        self.samples: list[VoxelSample] = []
        for number in self.numbers:
            scan = source[number]
            if scan.labels is None:
                raise InputError(f"scan {scan.name} has no labels: it cannot judge")
            self.samples.append(voxelize_scan(scan, voxel_m).to(self.device))
        self._judges = [
            _Judge(x, sample.inverse, sample.point_labels)
            for x, sample in zip(self._inputs(), self.samples, strict=True)
        ]

    def _inputs(self) -> list[SparseTensor | PointTensor]:
        if not self.padded:
            return [network_input(sample, self.points) for sample in self.samples]
        room = capacity_of(self.samples)
        batch = PaddedBatch(self.samples[0].feats.shape[1], room, self.device, splits=(1,) * len(room))
        found: list[SparseTensor | PointTensor] = []
        for sample in self.samples:
            batch.put(sample.feats, sample.coords)
            made = batch.build()
            made.check()
            x = batch.features(made)
            x.caches.inverse = made.places.clamp(min=0)
            found.append(x)
        return found

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
