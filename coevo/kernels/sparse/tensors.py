"""Features at voxels and at points.

Tensors that come of one another share one `Caches`, by reference: the voxels of every stride and the kernel maps
between them are built once a scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.coordinates import build as coordinates
from coevo.kernels.sparse.coordinates.levels import Level
from coevo.kernels.sparse.maps import build as maps
from coevo.kernels.sparse.maps.kernel_map import KernelMap
from coevo.kernels.sparse.maps.offsets import Triple, triple

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any


@dataclass(eq=False)
class Caches:
    """What is known of a scan's voxels.

    Attributes:
        levels: the voxels by stride.
        maps: kernel maps by (stride of the input, kernel size, stride of the convolution, dilation).
        order: int64 [N], the row that the user gave at each row of the finest level; None where rows were not moved.
        inverse: int64 [N], the row of the finest level of each row that the user gave; None likewise.
        points: what point operators keep, by names of their own.
    """

    levels: dict[Triple, Level] = field(default_factory=dict)
    maps: dict[tuple[Triple, Triple, Triple, Triple], KernelMap] = field(default_factory=dict)
    order: Tensor | None = None
    inverse: Tensor | None = None
    points: dict[Any, Any] = field(default_factory=dict)

    def level(self, stride: int | Sequence[int]) -> Level:
        """The voxels of a stride. InputError where no convolution or `build_levels` has made them."""
        wanted = triple(stride, "stride")
        if wanted not in self.levels:
            made = ", ".join(str(each) for each in self.levels) or "none"
            raise InputError(f"there are no voxels of stride {wanted}; there are those of {made}")
        return self.levels[wanted]

    def kernel_map(
        self,
        stride: int | Sequence[int],
        kernel_size: int | Sequence[int],
        conv_stride: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
    ) -> KernelMap:
        """The map of a convolution over the voxels of `stride`, made on first use, with its output's voxels.

        Voxels of the output's stride that are there already are taken. Else those of a convolution whose stride is its
        kernel size are the floored ones, and those of any other strided one all that its windows reach.
        """
        of, size = triple(stride, "stride"), triple(kernel_size, "kernel_size")
        factor, apart = triple(conv_stride, "the convolution's stride"), triple(dilation, "dilation")
        key = (of, size, factor, apart)
        if key not in self.maps:
            inputs = self.level(of)
            outputs = self.levels.get((of[0] * factor[0], of[1] * factor[1], of[2] * factor[2]))
            if outputs is None:
                outputs = coordinates.outputs(inputs, size, factor, apart)
                self.levels[outputs.stride] = outputs
            self.maps[key] = maps.kernel_map(inputs, outputs, size, factor, apart)
        return self.maps[key]

    def transposed_map(
        self,
        stride: int | Sequence[int],
        kernel_size: int | Sequence[int],
        conv_stride: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
    ) -> KernelMap:
        """The map of a transposed convolution from the voxels of `stride` to those of stride / conv_stride: the inverse
        of the convolution's that goes the other way. InputError where the stride does not divide."""
        fine = tuple(
            a // b if a % b == 0 else 0
            for a, b in zip(triple(stride, "stride"), triple(conv_stride, "conv_stride"), strict=True)
        )
        if 0 in fine:
            raise InputError(
                f"a transposed convolution of stride {triple(conv_stride, 'conv_stride')} needs voxels whose stride is "
                f"a multiple of it, got stride {triple(stride, 'stride')}"
            )
        self.level(fine)
        return self.kernel_map(fine, kernel_size, conv_stride, dilation).inverse()


@dataclass(frozen=True, eq=False)
class SparseTensor:
    """Features at the voxels of one stride; `SparseTensor.of` makes the first of a scan.

    Attributes:
        feats: [N, C]; N is the level's capacity, and rows from its count on are not in use.
        coords: int32 [N, 4] (batch, x, y, z) in units of stride-1 voxels, in the order of their keys.
        stride: of the voxels.
        caches: shared by all tensors of the scan.
    """

    feats: Tensor
    coords: Tensor
    stride: Triple
    caches: Caches

    def __post_init__(self) -> None:
        if self.feats.ndim != 2 or self.coords.ndim != 2 or len(self.feats) != len(self.coords):
            raise InputError(
                f"features must be [N, C] and coordinates [N, 4] with one N, got {list(self.feats.shape)} and "
                f"{list(self.coords.shape)}"
            )
        if self.feats.device != self.coords.device:
            raise InputError(
                f"features and coordinates must be on one device, got {self.feats.device} and {self.coords.device}"
            )

    @classmethod
    def of(
        cls, feats: Tensor, coords: Tensor, stride: int | Sequence[int] = 1, *, check_finite: bool = False
    ) -> SparseTensor:
        """Features [N, C] at the voxels coords [N, 4] (batch, x, y, z), int32 or int64, in any order.

        The rows are put in the order of the voxels' keys; `in_given_order` goes back. InputError where lengths or
        devices differ, coordinates repeat, cannot be packed or are no multiples of `stride`, and, with `check_finite`,
        where a feature is NaN or infinite. Waits for the device.
        """
        if feats.ndim != 2 or coords.ndim != 2 or len(feats) != len(coords):
            raise InputError(
                f"features must be [N, C] and coordinates [N, 4] with one N, got {list(feats.shape)} and "
                f"{list(coords.shape)}"
            )
        if feats.device != coords.device:
            raise InputError(f"features are on {feats.device} and coordinates on {coords.device}: put both on one")
        if check_finite and not bool(torch.isfinite(feats).all()):
            row = int((~torch.isfinite(feats)).any(dim=1).to(torch.uint8).argmax())
            raise InputError(f"row {row} of the features holds NaN or an infinity")
        level, order, inverse = coordinates.sorted_level(coords, triple(stride, "stride"))
        caches = Caches(levels={level.stride: level}, order=order, inverse=inverse)
        return cls(feats.index_select(0, order), level.coords, level.stride, caches)

    @property
    def level(self) -> Level:
        """The voxels."""
        return self.caches.level(self.stride)

    @property
    def count(self) -> Tensor:
        """int32 [1] on the device, rows in use."""
        return self.level.count

    def with_feats(self, feats: Tensor, stride: int | Sequence[int] | None = None) -> SparseTensor:
        """Other features at the same voxels, or at those of another stride of the scan."""
        level = self.level if stride is None else self.caches.level(stride)
        return SparseTensor(feats, level.coords, level.stride, self.caches)

    def in_given_order(self) -> Tensor:
        """Features [N, C] in the order in which the scan's coordinates were given, of a tensor of the same stride."""
        if self.caches.inverse is None:
            return self.feats
        if len(self.caches.inverse) != len(self.feats):
            raise InputError(
                f"a tensor of stride {self.stride} has other rows ({len(self.feats)}) than were given "
                f"({len(self.caches.inverse)})"
            )
        return self.feats.index_select(0, self.caches.inverse)


@dataclass(frozen=True, eq=False)
class PointTensor:
    """Features at points.

    Attributes:
        feats: [P, C].
        coords: float [P, 4] (batch, x, y, z) in units of stride-1 voxels.
        caches: of the scan whose voxels the points fall in.
    """

    feats: Tensor
    coords: Tensor
    caches: Caches = field(default_factory=Caches)

    def __post_init__(self) -> None:
        if self.feats.ndim != 2 or self.coords.ndim != 2 or self.coords.shape[1] != 4:
            raise InputError(
                f"points have features [P, C] and coordinates [P, 4] (batch, x, y, z), got {list(self.feats.shape)} "
                f"and {list(self.coords.shape)}"
            )
        if len(self.feats) != len(self.coords) or not self.coords.is_floating_point():
            raise InputError(
                f"points have as many features as coordinates, and these are real numbers, got {len(self.feats)} and "
                f"{len(self.coords)} of {self.coords.dtype}"
            )

    def with_feats(self, feats: Tensor) -> PointTensor:
        """Other features at the same points."""
        return PointTensor(feats, self.coords, self.caches)
