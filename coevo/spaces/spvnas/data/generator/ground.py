"""The ground of a scene: a road with kerbs, sidewalks and what lies beyond, as heights and classes at any place.

Coordinates are the world's: x along the road, z = 0 its mean height. u is the distance from the road's middle line,
which bends; left of it u > 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from coevo.errors import missing_extra
from coevo.spaces.spvnas.data.labels import CLASS_IDS

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "spvnas") from error

Tensor = Any
BLOCK_M = 15.0
"""Length along the road over which the ground beyond the sidewalk is of one kind."""
KINDS = ("terrain", "sidewalk", "parking", "other-ground", "road")
_ROAD, _SIDEWALK, _PARKING, _TERRAIN = (CLASS_IDS[name] for name in ("road", "sidewalk", "parking", "terrain"))
_SLOPE_M = 0.06  # over which a kerb rises


@dataclass(frozen=True, eq=False)
class Ground:
    """A scene's ground.

    Attributes:
        bends: wave number (1/m), phase and amplitude (m) of each wave of the middle line.
        hills: likewise of the road's height along x.
        waves: wave numbers along x and y, phase and amplitude of each wave of the land beside the road.
        crossings: x and half-width of side streets.
        beyond: int64 [2, blocks, 2]: class beyond the sidewalk, right and left, by block, near and farther off.
        strips: bool [2, blocks]: where a parking strip runs between road and sidewalk.
        first_m: x at which block 0 begins.
        road_half_m, sidewalk_m, kerb_m, bank, strip_m, near_m: numbers of the profile.
    """

    bends: tuple[tuple[float, float, float], ...]
    hills: tuple[tuple[float, float, float], ...]
    waves: tuple[tuple[float, float, float, float], ...]
    crossings: tuple[tuple[float, float], ...]
    beyond: Tensor
    strips: Tensor
    first_m: float
    road_half_m: float
    sidewalk_m: float
    kerb_m: float
    bank: float
    strip_m: float = 2.2
    near_m: float = 8.0

    def to(self, device: Any) -> Ground:
        """The same ground on a device."""
        return replace(self, beyond=self.beyond.to(device), strips=self.strips.to(device))

    def middle(self, x: Tensor) -> Tensor:
        """y of the road's middle line."""
        return _waves(self.bends, x)

    def heading(self, x: Tensor) -> Tensor:
        """Angle of the middle line, radians from x to y."""
        slope = torch.zeros_like(x)
        for number, phase, amplitude in self.bends:
            slope += amplitude * number * torch.cos(number * x + phase)
        return torch.atan(slope)

    def road_height(self, x: Tensor) -> Tensor:
        """z of the road's middle line."""
        return _waves(self.hills, x)

    def height(self, x: Tensor, y: Tensor) -> Tensor:
        """z of the ground."""
        u = y - self.middle(x)
        aside = u.abs() - self._edge(x, u)
        street = self._street(x)
        kerb = self.kerb_m * (aside / _SLOPE_M).clamp(0.0, 1.0) * (street / _SLOPE_M).clamp(0.0, 1.0)
        beside = (aside - self.sidewalk_m).clamp(min=0.0)
        wave = torch.zeros_like(x)
        for along, across, phase, amplitude in self.waves:
            wave += amplitude * torch.sin(along * x + across * y + phase)
        wild = (beside / 12.0).clamp(max=1.0) * (street / 6.0).clamp(0.0, 1.0)
        rise = self.bank * beside * torch.exp(-beside / 60.0)
        return self.road_height(x) - 0.02 * u.abs().clamp(max=self.road_half_m) + kerb + wild * wave + rise

    def labels(self, x: Tensor, y: Tensor) -> Tensor:
        """Class ids int64 of the ground."""
        u = y - self.middle(x)
        side, block = (u > 0).long(), self._block(x)
        edge = self._edge(x, u)
        aside = u.abs() - edge
        far = (aside > self.sidewalk_m + self.near_m).long()
        found = self.beyond[side, block, far]
        found = torch.where(aside <= self.sidewalk_m, _SIDEWALK, found)
        found = torch.where((aside <= 0) & (u.abs() > self.road_half_m), _PARKING, found)
        street = self._street(x)
        walk = (street < self.sidewalk_m) & (aside > 0) & (aside < 25.0)
        found = torch.where(walk & (found == _TERRAIN), _SIDEWALK, found)
        return torch.where((u.abs() <= self.road_half_m) | (street <= 0.0), _ROAD, found)

    def _edge(self, x: Tensor, u: Tensor) -> Tensor:
        """Distance from the middle line to the kerb, on the side of u."""
        strip = self.strips[(u > 0).long(), self._block(x)]
        return self.road_half_m + self.strip_m * strip.to(x.dtype)

    def _block(self, x: Tensor) -> Tensor:
        return ((x - self.first_m) / BLOCK_M).long().clamp(0, self.strips.shape[1] - 1)

    def _street(self, x: Tensor) -> Tensor:
        """Distance along x to the nearest side street's edge, negative within one."""
        found = torch.full_like(x, 1e6)
        for at, half in self.crossings:
            found = torch.minimum(found, (x - at).abs() - half)
        return found


def _waves(rows: tuple[tuple[float, float, float], ...], x: Tensor) -> Tensor:
    found = torch.zeros_like(x)
    for number, phase, amplitude in rows:
        found += amplitude * torch.sin(number * x + phase)
    return found
