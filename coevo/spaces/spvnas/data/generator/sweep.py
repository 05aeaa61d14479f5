"""One sweep of the sensor through a scene: what is hit, what comes back of it, and the boxes in sight."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from coevo.errors import missing_extra
from coevo.spaces.spvnas.data.generator import noise
from coevo.spaces.spvnas.data.generator.casting import Rays, to_ground, to_primitives
from coevo.spaces.spvnas.data.generator.placing import Pose, Primitives, Stage, pose_of, to_world
from coevo.spaces.spvnas.data.generator.scenes import Scene
from coevo.spaces.spvnas.data.generator.sensor import HDL_64E, Sensor
from coevo.spaces.spvnas.data.labels import CLASS_IDS, CLASSES
from coevo.spaces.spvnas.data.scan import Scan

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "spvnas") from error

Tensor = Any
SOURCE = "generated HDL-64E scenes"
"""What results call these data."""
LEAST_POINTS = 5
"""Returns that a box needs to be given."""

_RANGE, _LOST, _SPARKLE, _GRASS, _STREET = 1, 2, 3, 4, 5  # streams of noise
_GRASS_M = {"terrain": 0.02, "other-ground": 0.01}
_GROUND_ALBEDO = {"road": 0.22, "parking": 0.25, "sidewalk": 0.33, "other-ground": 0.35, "terrain": 0.36}


class Sweeper:
    """Sweeps of one scene on one device.

    Args:
        scene: where the sensor drives.
        sensor: what it is.
        device: where rays are cast.
    """

    def __init__(self, scene: Scene, sensor: Sensor = HDL_64E, device: Any = "cpu") -> None:
        self.scene, self.sensor, self.device = scene, sensor, torch.device(device)
        self.stage, self.rays = Stage(scene, device), Rays.of(sensor, device)
        rings = torch.from_numpy(sensor.ring_biases_m()).float().to(device)
        self._bias = rings.repeat_interleave(sensor.azimuth_steps)
        self._ray = torch.arange(len(self.rays.direction), device=device)
        albedo, grass = torch.full((256,), 0.3), torch.zeros(256)
        for name, value in _GROUND_ALBEDO.items():
            albedo[CLASS_IDS[name]] = value
        for name, value in _GRASS_M.items():
            grass[CLASS_IDS[name]] = value
        self._albedo, self._grass = albedo.to(device), grass.to(device)

    def pose(self, frame: int) -> Pose:
        """Where the sensor is in a frame."""
        return pose_of(self.scene, frame, self.sensor.height_m, self.sensor.sweeps_per_s)

    def scan(self, frame: int = 0, name: str | None = None) -> Scan:
        """The sweep of a frame, with labels, instances (of things with boxes or of such classes) and boxes."""
        scene, sensor, rays = self.scene, self.sensor, self.rays
        seed = scene.seed * 1_000_003 + frame
        pose = self.pose(frame)
        places, yaw = self.stage.things_at(pose, frame / sensor.sweeps_per_s)
        primitives = self.stage.primitives(places, yaw)
        ground_m = to_ground(rays, self.stage.ground, pose, sensor.farthest_m)
        distance, part = to_primitives(rays, primitives, ground_m, seed, sensor.farthest_m)
        seen = (distance > sensor.nearest_m) & (distance < sensor.farthest_m) & ~self._own_car()
        ray = seen.nonzero()[:, 0]
        distance, part, direction = distance[ray], part[ray], rays.direction[ray]

        is_ground = part < 0
        solid = part.clamp(min=0)
        at = direction * distance[:, None]
        x, y = to_world(pose, at[:, 0], at[:, 1])
        labels = torch.where(is_ground, self.stage.ground.labels(x, y), primitives.labels[solid])
        shape = primitives.shape[solid]
        facing = _facing(primitives, solid, at, direction)
        porous = shape[:, 4] > 0
        facing = torch.where(porous, 0.35 + 0.65 * noise.uniform(seed, _STREET, ray), facing)
        facing = torch.where(is_ground, direction[:, 2].neg().clamp(min=0.02), facing)
        albedo = torch.where(is_ground, self._albedo[labels], shape[:, 6])

        lost = scene.lost + sensor.lost_per_m * (distance - sensor.lost_from_m).clamp(min=0.0)
        lost = lost + torch.where(is_ground, 0.0, shape[:, 5])
        lost = lost + (0.3 * (1.0 - facing * albedo * 200.0 / distance)).clamp(0.0, 0.3)  # too little light comes back
        kept = (noise.uniform(seed, _LOST, ray) > lost).nonzero()[:, 0]

        ray, distance, direction, labels = ray[kept], distance[kept], direction[kept], labels[kept]
        part, facing, albedo = part[kept], facing[kept], albedo[kept]
        grass = torch.where(part < 0, self._grass[labels], 0.0) * noise.uniform(seed, _GRASS, ray)
        blades = grass / direction[:, 2].abs().clamp(min=0.25)
        measured = distance - blades + sensor.noise_m * noise.normal(seed, _RANGE, ray) + self._bias[ray]
        bright = albedo * (0.35 + 0.65 * facing) * (0.75 + 0.5 * noise.uniform(seed, _SPARKLE, ray))
        remission = (bright * (1.15 - 0.004 * measured)).clamp(0.0, 0.99)
        points = torch.cat([direction * measured[:, None], remission[:, None]], dim=1)
        thing = torch.where(part < 0, -1, primitives.thing[part.clamp(min=0)])
        boxes, classes, instances = self._boxes(places.cpu().numpy(), yaw.cpu().numpy(), thing.cpu().numpy())
        return Scan(
            points.cpu().numpy(),
            labels.cpu().numpy(),
            name or f"{scene.archetype.name}-{scene.seed}/{frame:06d}",
            boxes,
            classes,
            instances,
        )

    def _own_car(self) -> Tensor:
        """Rays that the sensor's own car stops: the lowest, over its roof behind."""
        return (self.rays.direction[:, 2] < -0.33) & (self.rays.direction[:, 0] < -0.55)

    def _boxes(self, places: Any, yaw: Any, thing: Any) -> tuple[Any, tuple[str, ...], Any]:
        """Boxes of things with returns enough, their classes, and the instance of each point (0 for none)."""
        boxed = self.stage.boxed
        returns = np.bincount(thing[thing >= 0], minlength=len(boxed))
        rows = np.flatnonzero((boxed >= 0) & (returns >= LEAST_POINTS))
        size = self.scene.things.size[rows]
        centre = places[rows].astype(np.float64)
        centre[:, 2] += size[:, 2] / 2
        around = (yaw[rows].astype(np.float64) + math.pi) % math.tau - math.pi
        number = np.zeros(len(boxed) + 1, dtype=np.int64)  # the last is the ground's
        number[np.flatnonzero(np.isin(self.stage.first_label, np.arange(8)))] = 1
        number = np.where(number > 0, np.cumsum(number), 0)
        boxes = np.concatenate([centre, size, around[:, None]], axis=1).astype(np.float32)
        return boxes, tuple(CLASSES[each] for each in boxed[rows]), number[thing]


def _facing(primitives: Primitives, part: Tensor, at: Tensor, direction: Tensor) -> Tensor:
    """Cosine of the angle between the ray and the surface that it hits, of each ray."""
    centre, half = primitives.centre[part], primitives.half[part].clamp(min=1e-4)
    cosine, sine, shape = primitives.cosine[part], primitives.sine[part], primitives.shape[part]
    off = at - centre
    x = (cosine * off[:, 0] + sine * off[:, 1]) / half[:, 0]
    y = (cosine * off[:, 1] - sine * off[:, 0]) / half[:, 1]
    z = off[:, 2] / half[:, 2]
    lean_x, lean_y = shape[:, 2] / 2, shape[:, 3] / 2
    sides = torch.stack([x.abs() + lean_x * (z + 1), y.abs() + lean_y * (z + 1), z.abs()], dim=1)
    side = torch.nn.functional.one_hot(sides.argmax(dim=1), 3).to(x.dtype)
    of_box = torch.stack(
        [
            side[:, 0] * x.sign(),
            side[:, 1] * y.sign(),
            side[:, 0] * lean_x + side[:, 1] * lean_y + side[:, 2] * z.sign(),
        ],
        dim=1,
    )
    of_round = torch.stack([x, y, z * shape[:, 1]], dim=1)
    normal = torch.where(shape[:, :1] > 0, of_box, of_round) / half
    along = torch.stack(
        [
            cosine * direction[:, 0] + sine * direction[:, 1],
            cosine * direction[:, 1] - sine * direction[:, 0],
            direction[:, 2],
        ],
        dim=1,
    )
    found: Tensor = ((normal * along).sum(dim=1).abs() / normal.norm(dim=1).clamp(min=1e-9)).clamp(0.02, 1.0)
    return found
