"""Voxel coordinates packed in one int64, in an order in which a voxel's parents of all strides 2^l are its prefixes.

A key is the batch index above the Morton code of (x, y, z), each shifted by 2^16 so that it is not negative:

    bit  62 .. 51   50      49      48    ...   2     1     0
         batch      x[16]   y[16]   z[16] ...   x[0]  y[0]  z[0]

So `key & 7` of an even or odd voxel is its place 4 x + 2 y + z in a 2x2x2 window (the offset's number,
`maps.offsets`), and the key of its parent of stride 2^l is the key with its lowest 3 l bits zero: one sort orders the
voxels of every stride 2^l <= 2^16. Keys are of coordinates in units of stride-1 voxels, whatever the stride.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coevo.errors import InputError, missing_extra

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "quantum") from error

Tensor = Any
BITS = 17
"""Of a coordinate."""
SHIFT = 1 << (BITS - 1)
LOWEST, HIGHEST = -SHIFT, SHIFT - 1
"""What a coordinate may be."""
MOST_BATCHES = (1 << (63 - 3 * BITS)) - 1
"""Batch indices are 0 .. MOST_BATCHES - 1; the last pattern is left for `NOTHING`."""
NOTHING = (1 << 63) - 1
"""The key of a row that is not in use: after every voxel."""

_SPREAD = (
    (32, 0x001F00000000FFFF),
    (16, 0x001F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


@dataclass(frozen=True)
class Extent:
    """Where the voxels of a scan are known to lie, so that their keys can be sorted in 32 bits.

    Attributes:
        bits: of x, y and z: a coordinate c has -2^bits <= c < 2^bits.
        batch_bits: the batch index is below 2^batch_bits.
    """

    bits: tuple[int, int, int]
    batch_bits: int

    @classmethod
    def of(cls, half: tuple[int, int, int], batches: int) -> Extent:
        """Of coordinates -half .. half - 1 for x, y and z, and of so many scans; both rounded up to powers of two."""
        x, y, z = (max(1, (each - 1).bit_length()) for each in half)
        made = cls((x, y, z), (batches - 1).bit_length())
        if max(half) > SHIFT or batches > MOST_BATCHES or made.dropped > 3:
            raise InputError(
                f"an extent of {half} voxels each way and {batches} scans is too large to sort in 32 bits: take a "
                "smaller one, or none"
            )
        return made

    @property
    def dropped(self) -> int:
        """How many of the lowest bits of x, y and z do not take part in the sort of 31 bits."""
        return max(0, -(-(self.batch_bits + 3 + sum(self.bits) - 31) // 3))

    def holds(self, coords: Tensor) -> Tensor:
        """bool [...]: whether coords [..., 4] lie in it (its last cell excepted, whose number means no voxel)."""
        low, high = (torch.tensor([sign * (1 << each) for each in self.bits], device=coords.device) for sign in (-1, 1))
        axes, batch = coords[..., 1:], coords[..., 0]
        last = (axes >= high - (1 << self.dropped)).all(dim=-1) & (batch == (1 << self.batch_bits) - 1)
        inside = ((axes >= low) & (axes < high)).all(dim=-1) & (batch < 1 << self.batch_bits)
        return inside & ~(last & (self.batch_bits + 3 + sum(self.bits) - 3 * self.dropped == 31))


def pack(coords: Tensor) -> Tensor:
    """Keys int64 [...] of coords [..., 4] (batch, x, y, z), which must be in range (`in_range`)."""
    batch, x, y, z = (coords[..., column].to(torch.int64) for column in range(4))
    x, y, z = (_spread(axis + SHIFT) for axis in (x, y, z))
    return (batch << 3 * BITS) | (x << 2) | (y << 1) | z


def unpack(keys: Tensor) -> Tensor:
    """Coordinates int32 [..., 4] of keys int64 [...]."""
    axes = [_gathered(keys >> place) - SHIFT for place in (2, 1, 0)]
    return torch.stack([keys >> 3 * BITS, *axes], dim=-1).to(torch.int32)


def in_range(coords: Tensor) -> Tensor:
    """bool [...]: whether coords [..., 4] can be packed."""
    batch, axes = coords[..., 0], coords[..., 1:]
    return (batch >= 0) & (batch < MOST_BATCHES) & ((axes >= LOWEST) & (axes <= HIGHEST)).all(dim=-1)


def check_range(coords: Tensor) -> None:
    """InputError where coords [N, 4] hold what cannot be packed. Waits for the device."""
    bad = ~in_range(coords)
    if bool(bad.any()):
        row = int(bad.to(torch.uint8).argmax())
        raise InputError(
            f"row {row} of the coordinates is (batch, x, y, z) = {tuple(coords[row].tolist())}: x, y and z must be "
            f"{LOWEST} .. {HIGHEST} and the batch index 0 .. {MOST_BATCHES - 1} (in voxels of stride 1). "
            "Shift the scan towards the origin, or take larger voxels"
        )


def _spread(value: Tensor) -> Tensor:
    """The bits of value (17 of them) three places apart."""
    for places, kept in _SPREAD:
        value = (value | (value << places)) & kept
    return value


def _gathered(value: Tensor) -> Tensor:
    """Every third bit of value, the lowest first."""
    value = value & 0x1249249249249
    for places, kept in ((2, 0x10C30C30C30C30C3), (4, 0x100F00F00F00F00F), (8, 0x1F0000FF0000FF)):
        value = (value | (value >> places)) & kept
    value = (value | (value >> 16)) & 0x1F00000000FFFF
    return (value | (value >> 32)) & 0x1FFFFF
