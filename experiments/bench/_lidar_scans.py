"""LiDAR-like scans for the benchmarks of sparse convolution: a ray caster in torch, and what turns points to voxels.

A scan is float32 [points, 4]: x, y, z in metres in the sensor's frame, remission in 0..1. Its scene is an open street:
undulating ground that rises beside the road, porous vegetation (a ray that enters goes on for an exponentially
distributed length), few buildings and cars, noise that is millimetric and correlated along a ring. Such a scene has
the neighbour statistics of a real sweep at every stride; random voxels have nothing of the kind (mean neighbours 1.0
at 5 cm instead of 3). `statistics` prints what is compared. Every scan is a function of its seed and the device's
random generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Elevations (degrees) of the 64 rings of a Velodyne HDL-64E as they stand in a real sweep: two blocks, of about a third
# and half a degree. Equal spacing gives other rings on the ground, and so other neighbours.
_HDL_64E_DEG = (
    "2.53 2.16 1.88 1.43 1.16 .77 .50 .15 -.18 -.59 -.89 -1.23 -1.61 -1.93 -2.26 -2.61 -2.91 -3.29 -3.55 -3.92 -4.22 "
    "-4.55 -4.88 -5.21 -5.56 -5.88 -6.18 -6.44 -6.82 -7.17 -7.40 -7.77 -8.37 -8.89 -9.35 -9.73 -10.18 -10.79 -11.28 "
    "-11.70 -12.15 -12.58 -13.09 -13.61 -14.18 -14.61 -15.11 -15.48 -16.11 -16.64 -17.20 -17.66 -18.16 -18.56 -19.01 "
    "-19.56 -20.06 -20.66 -21.13 -21.54 -21.99 -22.61 -23.06 -23.59"
)


@dataclass(frozen=True)
class Sensor:
    """A spinning sensor: its rings, the steps of a turn, its height over the road and what it can see."""

    elevations_deg: tuple[float, ...]
    azimuth_steps: int
    height_m: float
    nearest_m: float
    farthest_m: float


HDL_64E = Sensor(tuple(float(angle) for angle in _HDL_64E_DEG.split()), 2170, 1.73, 2.5, 100.0)
HDL_32E = Sensor(tuple(10.67 - 1.333 * ring for ring in range(32)), 1084, 1.84, 2.0, 80.0)  # nuScenes
TOP_64 = Sensor(
    tuple(2.4 - 20.0 * (ring / 63) ** 1.25 for ring in range(64)), 2650, 2.1, 2.0, 75.0
)  # Waymo's on the roof


@dataclass(frozen=True)
class Scene:
    """What stands in a scene. Lengths in metres; `drop` is the share of returns that is lost anywhere."""

    trees: int = 400
    porosity_m: float = 2.0
    beside_m: tuple[float, float] = (8.0, 65.0)
    terrain_m: float = 0.8
    bank: float = 0.08
    buildings: int = 3
    cars: int = 5
    noise_m: float = 0.007
    ring_bias_m: float = 0.010
    drop: float = 0.04
    sweep_apart_m: float = 0.5  # how far the sensor moves between two sweeps


@dataclass(frozen=True)
class _World:
    """A scene's primitives on a device."""

    waves: torch.Tensor  # [8, 4]: wave numbers along x and y (1/m), phase, height (m)
    trees: torch.Tensor  # [trees, 6]: centre, half-axes
    boxes: torch.Tensor  # [boxes, 7]: centre, half-sizes, yaw


def scan(
    seed: int, sensor: Sensor = HDL_64E, scene: Scene | None = None, sweeps: int = 1, device: str = "cpu"
) -> torch.Tensor:
    """A generated scan, [points, 4] float32; `sweeps` of them are merged in the frame of the last."""
    scene = scene or Scene()
    rng = np.random.default_rng(seed)
    world = _world(scene, sensor, rng, device)
    generator = torch.Generator(device=device).manual_seed(seed)
    bias = torch.from_numpy(rng.normal(0.0, scene.ring_bias_m, len(sensor.elevations_deg)).astype(np.float32))
    parts = []
    for sweep in range(sweeps):
        behind = scene.sweep_apart_m * (sweeps - 1 - sweep)
        points = _sweep(world, sensor, scene, bias.to(device), -behind, generator)
        points[:, 0] -= behind
        parts.append(points)
    return torch.cat(parts)


def read_scan(path: Path) -> torch.Tensor:
    """A sweep in KITTI's format (float32 x, y, z in metres, remission), [points, 4]."""
    values = np.fromfile(path, dtype=np.float32)
    if len(values) == 0 or len(values) % 4:
        raise ValueError(f"expected float32 x, y, z, remission in {path.name}, got {len(values)} numbers")
    return torch.from_numpy(values.reshape(-1, 4))


def turned(points: torch.Tensor, degrees: float) -> torch.Tensor:
    """The scan turned about the vertical axis, as training does."""
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return torch.cat([points[:, :2] @ turn.to(points), points[:, 2:]], dim=1)


def thinned(points: torch.Tensor, share: float, seed: int) -> torch.Tensor:
    """A random share of the scan's points."""
    generator = torch.Generator().manual_seed(seed)
    kept = torch.rand(len(points), generator=generator) < share
    return points[kept.to(points.device)]


def voxels(
    points: torch.Tensor, size_m: tuple[float, float, float] = (0.05, 0.05, 0.05)
) -> tuple[torch.Tensor, torch.Tensor]:
    """SPVNAS's voxels: (int32 [N, 3] from 0, float32 [N, 4] of the first point in each), in the coordinates' order."""
    grid = torch.round(points[:, :3] / torch.tensor(size_m).to(points)).to(torch.int64)
    grid = grid - grid.amin(dim=0)
    size = grid.amax(dim=0) + 1
    flat = (grid[:, 0] * size[1] + grid[:, 1]) * size[2] + grid[:, 2]
    order = torch.sort(flat, stable=True)
    first = torch.ones_like(flat, dtype=torch.bool)
    first[1:] = order.values[1:] != order.values[:-1]
    rows = order.indices[first]
    return grid[rows].to(torch.int32), points[rows].contiguous()


def batched(parts: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scans as one batch: (int32 [N, 4]: batch, x, y, z; features [N, C])."""
    coords = [torch.nn.functional.pad(part[0], (1, 0), value=index) for index, part in enumerate(parts)]
    return torch.cat(coords).contiguous(), torch.cat([part[1] for part in parts]).contiguous()


def statistics(coords: torch.Tensor) -> list[dict[str, Any]]:
    """Voxels and mean neighbours (with the voxel itself) of coords int32 [N, 3], at strides 1 to 16.

    With the share of voxels that have a neighbour across a face along x, y and z, and the share that stands alone.
    """
    rows = []
    level = coords.to(torch.int64)
    for stride in (1, 2, 4, 8, 16):
        keys = _keys(level)
        keys = torch.unique(keys)
        level = _unkeyed(keys)
        counts = torch.ones(len(keys), dtype=torch.int64, device=keys.device)
        faces = [0.0, 0.0, 0.0]
        for x in (-1, 0, 1):
            for y in (-1, 0, 1):
                for z in (-1, 0, 1):
                    if (x, y, z) > (0, 0, 0):  # half of them: a pair is seen from both its ends
                        wanted = _keys(level + torch.tensor([x, y, z], device=keys.device))
                        at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
                        found = keys[at] == wanted
                        counts += found
                        counts.index_add_(0, at[found], torch.ones_like(at[found]))
                        if abs(x) + abs(y) + abs(z) == 1:
                            faces[(x, y, z).index(1)] = float(found.float().mean())
        rows.append(
            {
                "stride": stride,
                "voxels": len(keys),
                "pairs": int(counts.sum()),
                "mean_neighbours": float(counts.float().mean()),
                "face_share_xyz": [round(share, 3) for share in faces],
                "alone": float((counts == 1).float().mean()),
            }
        )
        level = level >> 1
    return rows


def _keys(coords: torch.Tensor) -> torch.Tensor:
    shifted = coords + 1  # a neighbour of 0 is -1
    return (shifted[:, 0] << 40) | (shifted[:, 1] << 20) | shifted[:, 2]


def _unkeyed(keys: torch.Tensor) -> torch.Tensor:
    mask = (1 << 20) - 1
    return torch.stack([keys >> 40, (keys >> 20) & mask, keys & mask], dim=1) - 1


def _world(scene: Scene, sensor: Sensor, rng: np.random.Generator, device: str) -> _World:
    lengths = rng.uniform(18.0, 70.0, 8)
    angles = rng.uniform(0.0, math.tau, 8)
    waves = np.stack(
        [
            math.tau * np.cos(angles) / lengths,
            math.tau * np.sin(angles) / lengths,
            rng.uniform(0.0, math.tau, 8),
            np.full(8, scene.terrain_m / 4.0),
        ],
        axis=1,
    )
    ground = torch.from_numpy(waves.astype(np.float32))
    trees = np.zeros((scene.trees, 6))
    trees[:, 0] = rng.uniform(-75.0, 75.0, scene.trees)
    trees[:, 1] = rng.uniform(*scene.beside_m, scene.trees) * rng.choice([-1.0, 1.0], scene.trees)
    trees[:, 3] = rng.uniform(0.7, 3.0, scene.trees)
    trees[:, 4] = trees[:, 3] * rng.uniform(0.7, 1.4, scene.trees)
    trees[:, 5] = rng.uniform(0.6, 3.2, scene.trees)
    boxes = np.zeros((scene.buildings + scene.cars, 7))
    for index in range(len(boxes)):
        side = rng.choice([-1.0, 1.0])
        if index < scene.buildings:
            boxes[index] = [rng.uniform(-60, 60), side * rng.uniform(18, 45), 0, *rng.uniform((5, 4, 3), (10, 7, 6)), 0]
        else:
            boxes[index] = [rng.uniform(-45, 45), side * rng.uniform(2.5, 7), 0, 2.1, 0.9, 0.75, rng.normal(0, 0.1)]
    for rows, raised in ((trees, 0.6), (boxes, 1.0)):
        if len(rows):
            at = torch.from_numpy(rows[:, :2].astype(np.float32))
            height = _ground(at[:, 0], at[:, 1], ground, scene, sensor.height_m).numpy()
            rows[:, 2] = height + raised * rows[:, 5] + (rng.uniform(0.0, 2.0, len(rows)) if rows is trees else 0.0)
    return _World(
        ground.to(device),
        torch.from_numpy(trees.astype(np.float32)).to(device),
        torch.from_numpy(boxes.astype(np.float32)).to(device),
    )


def _ground(x: torch.Tensor, y: torch.Tensor, waves: torch.Tensor, scene: Scene, height_m: float) -> torch.Tensor:
    """The ground's height in the sensor's frame: level on the road, undulating and rising beside it."""
    beside = (y.abs() - 5.0).clamp(min=0.0)
    wave = torch.zeros_like(x)
    for index in range(len(waves)):
        wave += waves[index, 3] * torch.sin(waves[index, 0] * x + waves[index, 1] * y + waves[index, 2])
    rise = scene.bank * beside * torch.exp(-beside / 60.0)
    return -height_m + wave * (beside / 12.0).clamp(max=1.0) + rise + 0.13 * (beside > 1.5)


def _sweep(
    world: _World, sensor: Sensor, scene: Scene, bias: torch.Tensor, origin_x: float, generator: torch.Generator
) -> torch.Tensor:
    device = world.trees.device
    elevations = torch.tensor(sensor.elevations_deg, device=device).deg2rad()
    steps = torch.arange(sensor.azimuth_steps, device=device) * (math.tau / sensor.azimuth_steps)
    up = elevations[:, None].expand(-1, len(steps)).reshape(-1)
    around = (steps[None, :] + 0.0005 * torch.randn(len(elevations), 1, generator=generator, device=device)).reshape(-1)
    direction = torch.stack([up.cos() * around.cos(), up.cos() * around.sin(), up.sin()], dim=1)
    origin = torch.tensor([origin_x, 0.0, 0.0], device=device)
    distance = _to_ground(origin, direction, world.waves, scene, sensor)
    what = torch.zeros_like(distance)  # 0 ground, 1 vegetation, 2 boxes
    for tree in world.trees:
        enters, leaves = _through_ellipsoid(origin, direction, tree)
        deep = torch.empty_like(distance).exponential_(1.0 / scene.porosity_m, generator=generator)
        hit = enters + deep
        nearer = (hit < leaves) & (hit < distance)
        distance = torch.where(nearer, hit, distance)
        what = torch.where(nearer, 1.0, what)
    for box in world.boxes:
        hit = _to_box(origin, direction, box)
        nearer = hit < distance
        distance = torch.where(nearer, hit, distance)
        what = torch.where(nearer, 2.0, what)
    chance = torch.rand(distance.shape, generator=generator, device=device)
    lost = scene.drop + 0.006 * (distance - 25.0).clamp(min=0.0)
    ego = (direction[:, 2] < -0.33) & (direction[:, 0] < -0.55)  # the car's own roof hides the lowest rings behind it
    kept = (distance > sensor.nearest_m) & (distance < sensor.farthest_m) & (chance > lost) & ~ego
    noise = torch.randn(distance.shape, generator=generator, device=device) * scene.noise_m
    measured = distance + noise + bias.repeat_interleave(sensor.azimuth_steps)
    points = origin + direction * measured[:, None]
    albedo = torch.tensor([0.25, 0.35, 0.45], device=device)[what.long()]
    spread = torch.rand(distance.shape, generator=generator, device=device)
    remission = (albedo * (0.5 + spread)).clamp(0.0, 0.99)
    return torch.cat([points, remission[:, None]], dim=1)[kept]


def _to_ground(
    origin: torch.Tensor, direction: torch.Tensor, waves: torch.Tensor, scene: Scene, sensor: Sensor
) -> torch.Tensor:
    """Distance to the ground along each ray, infinity where there is none: steps that grow, then bisection."""
    near = torch.full_like(direction[:, 0], 1.0)
    far = torch.full_like(near, math.inf)
    before = near.clone()
    step = 1.0
    while step < sensor.farthest_m * 1.05:
        step *= 1.06
        at = origin + direction * step
        below = at[:, 2] < _ground(at[:, 0], at[:, 1], waves, scene, sensor.height_m)
        first = below & far.isinf()
        near = torch.where(first, before, near)
        far = torch.where(first, step, far)
        before = torch.full_like(near, step)
    missed = far.isinf()
    far = torch.where(missed, near, far)
    for _ in range(14):
        middle = (near + far) / 2
        at = origin + direction * middle[:, None]
        below = at[:, 2] < _ground(at[:, 0], at[:, 1], waves, scene, sensor.height_m)
        near, far = torch.where(below, near, middle), torch.where(below, middle, far)
    return torch.where(missed, math.inf, far)


def _through_ellipsoid(
    origin: torch.Tensor, direction: torch.Tensor, tree: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances at which each ray enters and leaves; the second is -infinity where it misses."""
    start = (origin - tree[:3]) / tree[3:]
    along = direction / tree[3:]
    square = (along * along).sum(dim=1)
    half = along @ start
    inside = half * half - square * ((start * start).sum() - 1.0)
    root = inside.clamp(min=0.0).sqrt()
    enters, leaves = (-half - root) / square, (-half + root) / square
    return enters.clamp(min=0.0), torch.where(inside > 0.0, leaves, -math.inf)


def _to_box(origin: torch.Tensor, direction: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    """Distance to a box turned about the vertical axis, infinity where a ray misses it."""
    cosine, sine = box[6].cos(), box[6].sin()
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    turn = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one]).reshape(3, 3)
    start, along = (origin - box[:3]) @ turn, direction @ turn
    along = torch.where(along.abs() < 1e-9, 1e-9, along)
    one_side, other = (-box[3:6] - start) / along, (box[3:6] - start) / along
    enters = torch.minimum(one_side, other).amax(dim=1)
    leaves = torch.maximum(one_side, other).amin(dim=1)
    return torch.where((enters < leaves) & (enters > 0.0), enters, math.inf)


def varied(scene: Scene, seed: int) -> Scene:
    """A scene of the same kind with more or less of everything, so that scans differ in size."""
    rng = np.random.default_rng(seed + 10_000)
    return replace(
        scene,
        trees=int(scene.trees * rng.uniform(0.7, 1.25)),
        porosity_m=scene.porosity_m * rng.uniform(0.8, 1.2),
        terrain_m=scene.terrain_m * rng.uniform(0.6, 1.3),
        buildings=int(rng.integers(1, 6)),
        cars=int(rng.integers(2, 12)),
    )
