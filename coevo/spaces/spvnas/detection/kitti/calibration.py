"""From the sensor's frame to KITTI's rectified camera and its image, and back (Geiger et al., IJRR 2013, sec. 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coevo.errors import InputError

_SHAPES = {"P2": (3, 4), "R0_rect": (3, 3), "Tr_velo_to_cam": (3, 4)}


@dataclass(frozen=True, eq=False)
class Calibration:
    """Of one frame, float64.

    Attributes:
        p2: [3, 4], from the rectified camera (x right, y down, z ahead, metres) to pixels of the left colour image.
        r0_rect: [3, 3], the rotation that rectifies the reference camera.
        velo_to_cam: [3, 4], from the sensor (x ahead, y left, z up) to the reference camera.
    """

    p2: np.ndarray
    r0_rect: np.ndarray
    velo_to_cam: np.ndarray

    @classmethod
    def ideal(cls, focal_px: float = 721.5, width_px: int = 1242, height_px: int = 375) -> Calibration:
        """A camera in the sensor's place that looks ahead, with KITTI's focal length and image."""
        p2 = np.array([[focal_px, 0, width_px / 2, 0], [0, focal_px, height_px / 2, 0], [0, 0, 1.0, 0]])
        turn = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]])
        return cls(p2, np.eye(3), turn)

    @property
    def rotation(self) -> np.ndarray:
        """[3, 3], from the sensor's axes to the rectified camera's."""
        return np.asarray(self.r0_rect @ self.velo_to_cam[:, :3])

    @property
    def shift(self) -> np.ndarray:
        """[3], the sensor's place in the rectified camera's frame, metres."""
        return np.asarray(self.r0_rect @ self.velo_to_cam[:, 3])

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """[P, 3] of points [P, 3] in the sensor's frame."""
        return np.asarray(np.asarray(points, dtype=np.float64) @ self.rotation.T + self.shift)

    def to_sensor(self, points: np.ndarray) -> np.ndarray:
        """[P, 3] of points [P, 3] in the camera's frame."""
        return np.asarray(np.linalg.solve(self.rotation, (np.asarray(points, dtype=np.float64) - self.shift).T).T)

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Pixels [P, 2] (right, down) of points [P, 3] in the camera's frame, which lie ahead of it."""
        found = points @ self.p2[:, :3].T + self.p2[:, 3]
        return np.asarray(found[:, :2] / found[:, 2:])

    def yaw(self, rotation_y: float) -> float:
        """The yaw about the sensor's z of a heading given about the camera's y, in [-pi, pi)."""
        x, y = self._headings() @ (math.cos(rotation_y), math.sin(rotation_y))
        return math.atan2(y, x)

    def rotation_y(self, yaw: float) -> float:
        """The inverse of `yaw`."""
        cosine, sine = np.linalg.solve(self._headings(), (math.cos(yaw), math.sin(yaw)))
        return math.atan2(sine, cosine)

    def _headings(self) -> np.ndarray:
        """[2, 2]: (cosine, sine) of rotation_y to a heading's x and y in the sensor's frame. A heading about the
        camera's y is (cos, 0, -sin) there."""
        back = np.linalg.inv(self.rotation)
        return np.stack([back[:2, 0], -back[:2, 2]], axis=1)


def read_calibration(path: str | Path) -> Calibration:
    """A file of the folder `calib`.

    Raises:
        InputError: the file is missing, a matrix is missing, of another length, or no rotation; names file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such calibration file; each sweep needs one of its name in `calib`")
    found: dict[str, np.ndarray] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        name, colon, rest = line.partition(":")
        if name.strip() not in _SHAPES or not colon:
            if line.strip() and not colon:
                raise InputError(f"{path}, line {number}: expected 'name: numbers', got {line[:60]!r}")
            continue
        shape = _SHAPES[name.strip()]
        try:
            values = np.array([float(each) for each in rest.split()])
        except ValueError:
            raise InputError(f"{path}, line {number}: {name} must be numbers, got {rest.strip()[:60]!r}") from None
        if values.size != math.prod(shape) or not np.isfinite(values).all():
            raise InputError(
                f"{path}, line {number}: {name} must be {math.prod(shape)} finite numbers ({shape[0]} x {shape[1]}), "
                f"got {values.size}"
            )
        if name.strip() != "P2" and abs(abs(np.linalg.det(values.reshape(shape)[:, :3])) - 1) > 0.01:
            raise InputError(f"{path}, line {number}: the left 3 x 3 part of {name} is no rotation")
        found[name.strip()] = values.reshape(shape)
    missing = [name for name in _SHAPES if name not in found]
    if missing:
        raise InputError(f"{path}: no line for {', '.join(missing)}; KITTI's object benchmark has one")
    return Calibration(found["P2"], found["R0_rect"], found["Tr_velo_to_cam"])
