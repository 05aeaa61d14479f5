"""A scene's primitives and boxes in the sensor's frame, at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.errors import missing_extra
from coevo.spaces.spvnas.data.generator.scenes import Scene
from coevo.spaces.spvnas.data.generator.templates import part_table

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "spvnas") from error

Tensor = Any
_SUNK = 0.12  # how far things without wheels or feet reach into uneven ground, as a share of their height


@dataclass(frozen=True, eq=False)
class Pose:
    """Where the sensor is: x, y and z in the world, its yaw, and the road's slope there, by which it is pitched."""

    x: float
    y: float
    z: float
    yaw: float
    slope: float

    def matrix(self) -> np.ndarray[Any, Any]:
        """float64 [4, 4], from the sensor's frame to the world's."""
        cosine, sine = math.cos(self.yaw), math.sin(self.yaw)
        pitch = math.atan(self.slope)
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        tilt = np.array(
            [[math.cos(pitch), 0.0, -math.sin(pitch)], [0.0, 1.0, 0.0], [math.sin(pitch), 0.0, math.cos(pitch)]]
        )
        found = np.eye(4)
        found[:3, :3] = turn @ tilt
        found[:3, 3] = self.x, self.y, self.z
        return found


def pose_of(scene: Scene, frame: int, height_m: float, sweeps_per_s: float) -> Pose:
    """The sensor's pose in frame number `frame` of its way."""
    x = torch.tensor([frame * scene.speed_m_s / sweeps_per_s], dtype=torch.float64)
    ground = scene.ground
    ahead = ground.road_height(x + 1.0) - ground.road_height(x - 1.0)
    yaw = float(ground.heading(x))
    y = float(ground.middle(x)) + scene.lane_u
    z = float(ground.road_height(x)) + height_m
    return Pose(float(x), y, z, yaw, float(ahead) / 2.0 * math.cos(yaw))


@dataclass(frozen=True, eq=False)
class Primitives:
    """Primitives in the sensor's frame, [S] or [S, 3] each, on one device.

    Attributes:
        centre, half: metres. z has the road's slope taken out.
        cosine, sine: of the yaw.
        shape: float32 [S, 7]: is a box, is an ellipsoid, taper x and y, porosity (m), share lost, albedo.
        labels: int64, class ids or IGNORED.
        thing: int64, the thing that a primitive belongs to.
    """

    centre: Tensor
    half: Tensor
    cosine: Tensor
    sine: Tensor
    shape: Tensor
    labels: Tensor
    thing: Tensor


class Stage:
    """A scene on a device: all that does not change from frame to frame is put there once."""

    def __init__(self, scene: Scene, device: Any) -> None:
        self.scene, self.ground = scene, scene.ground.to(device)
        table, things = part_table(), scene.things
        counts = table.count[things.template]
        owner = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = table.start[things.template][owner] + within
        numbers, size = table.numbers[rows], things.size[owner].astype(np.float32)
        size_xyz = numbers[:, :3] * size
        self.boxed = table.boxed[things.template]
        self.first_label = table.labels[table.start[things.template]]
        rigid = np.isin(self.first_label, np.arange(8))
        size_xyz[:, 2] += np.where(rigid, 0.0, -_SUNK * things.size[:, 2])[owner].astype(np.float32)

        def put(value: Any, dtype: Any = torch.float32) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(value)).to(device, dtype)

        self.owner, self.labels = put(owner, torch.int64), put(table.labels[rows], torch.int64)
        self.local, self.half = put(size_xyz), put(numbers[:, 3:6] * size)
        albedo = numbers[:, 10] * things.albedo[owner]
        self.shape = put(
            np.stack([numbers[:, 12], numbers[:, 13], *numbers[:, 7:10].T, numbers[:, 11], albedo], axis=1)
        )
        self.x, self.u, self.yaw = (put(each) for each in (things.x, things.u, things.yaw))
        self.size, self.raised, self.speed = (put(each) for each in (things.size, things.raised, things.speed))

    def things_at(self, pose: Pose, time_s: float) -> tuple[Tensor, Tensor]:
        """Every thing's place on the ground [T, 3] and yaw [T] in the sensor's frame."""
        x = self.x + self.speed * time_s
        middle, heading = self.ground.middle(x), self.ground.heading(x)
        y = middle + self.u
        z = self.ground.height(x, y) + self.raised
        return torch.stack(to_sensor(pose, x, y, z), dim=1), self.yaw + heading - pose.yaw

    def primitives(self, places: Tensor, yaw: Tensor) -> Primitives:
        """All primitives of things at places [T, 3] with yaws [T]."""
        at = places.index_select(0, self.owner)
        cosine, sine = yaw.cos().index_select(0, self.owner), yaw.sin().index_select(0, self.owner)
        x, y, z = self.local.unbind(1)
        centre = at + torch.stack([cosine * x - sine * y, sine * x + cosine * y, z], dim=1)
        return Primitives(centre, self.half, cosine, sine, self.shape, self.labels, self.owner)


def to_sensor(pose: Pose, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A place of the world in the sensor's frame; the road's slope is taken out of z, so that verticals stay so."""
    cosine, sine = math.cos(pose.yaw), math.sin(pose.yaw)
    dx, dy = x - pose.x, y - pose.y
    ahead, left = cosine * dx + sine * dy, cosine * dy - sine * dx
    return ahead, left, z - pose.z - pose.slope * ahead


def to_world(pose: Pose, ahead: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """x and y in the world of places in the sensor's frame."""
    cosine, sine = math.cos(pose.yaw), math.sin(pose.yaw)
    return pose.x + cosine * ahead - sine * left, pose.y + sine * ahead + cosine * left
