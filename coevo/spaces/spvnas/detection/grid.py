"""The part of space in which a detector looks, as voxels and as cells seen from above."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.errors import ConfigError

STRIDE, COARSEST = 8, 16
"""Voxels to a side of an output cell, and of the encoder's coarsest voxels."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """`x_m`, `y_m`, `z_m`: from .. to in the sensor's frame, each a whole number of the encoder's coarsest voxels."""

    x_m: Range = (0.0, 70.4)
    y_m: Range = (-40.0, 40.0)
    z_m: Range = (-3.0, 1.0)
    voxel_m: float = 0.05

    def __post_init__(self) -> None:
        if not self.voxel_m > 0:
            raise ConfigError(f"a voxel's size must be positive metres, got {self.voxel_m}")
        for name in ("x_m", "y_m", "z_m"):
            low, high = getattr(self, name)
            cells = (high - low) / (self.voxel_m * COARSEST)
            if not high > low or abs(cells - round(cells)) > 1e-6 * max(1.0, cells):
                raise ConfigError(
                    f"{name} must go up by a multiple of {COARSEST} voxels ({self.voxel_m * COARSEST:g} m), got "
                    f"{low} .. {high}"
                )

    @property
    def voxels(self) -> tuple[int, int, int]:
        """Along x, y and z."""
        x, y, z = (round((high - low) / self.voxel_m) for low, high in (self.x_m, self.y_m, self.z_m))
        return x, y, z

    def cells(self, stride: int = STRIDE) -> tuple[int, int, int]:
        """Cells of `stride` voxels along x, y and z."""
        x, y, z = self.voxels
        return x // stride, y // stride, z // stride

    def cell_centres_m(self) -> tuple[list[float], list[float]]:
        """Along x and along y, of the output's cells."""
        side = self.voxel_m * STRIDE
        across, along, _ = self.cells()
        return [self.x_m[0] + (i + 0.5) * side for i in range(across)], [
            self.y_m[0] + (i + 0.5) * side for i in range(along)
        ]

    def holds(self, x: float, y: float, z: float) -> bool:
        """Whether a point lies within."""
        pairs = ((x, self.x_m), (y, self.y_m), (z, self.z_m))
        return all(low <= each < high for each, (low, high) in pairs)


KITTI_GRID = Grid()
"""The range of SECOND on KITTI: what the camera sees."""
AROUND_GRID = Grid(x_m=(-48.0, 48.0), y_m=(-48.0, 48.0), z_m=(-3.8, 1.8))
"""All directions, for scans whose boxes are known all around."""
