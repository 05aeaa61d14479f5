"""Rays against a scene, as batched tensors.

The ground is a height field: along each azimuth its slope seen from the sensor is sampled at growing radii, and a ring
meets it where the running maximum of that slope first reaches the ring's own. Primitives are culled by azimuth and
elevation: each meets the rings and steps that its outline spans, and those (ray, primitive) pairs alone are computed,
all in one batch (in bounded pieces on the CPU). The nearest hit of a ray is a minimum over 64-bit keys, distance above
primitive, so that nothing depends on order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coevo.errors import missing_extra
from coevo.spaces.spvnas.data.generator.ground import Ground
from coevo.spaces.spvnas.data.generator.noise import exponential
from coevo.spaces.spvnas.data.generator.placing import Pose, Primitives, to_world
from coevo.spaces.spvnas.data.generator.sensor import Sensor

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "spvnas") from error

Tensor = Any
RADII = 384
"""Samples of the ground along an azimuth, from 1.5 m on, each farther than the last by one factor."""
_NOTHING = (1 << 62) - 1
_PIECE = {"cpu": 1 << 20, "cuda": 1 << 25}
_POROUS_STREAM = 101


@dataclass(frozen=True, eq=False)
class Rays:
    """The rays of a turn, ring after ring from the highest down; R = rings * steps.

    Attributes:
        direction: float32 [R, 3], unit vectors.
        tangents: float32 [rings], of the elevations, falling.
        steps: azimuth steps of a ring; step s looks (s + 1/2) / steps of a turn from x to y, give or take half a step.
    """

    direction: Tensor
    tangents: Tensor
    steps: int

    @classmethod
    def of(cls, sensor: Sensor, device: Any) -> Rays:
        """Of a sensor, on a device."""
        elevation = torch.tensor(sensor.elevations_deg, dtype=torch.float64).deg2rad()
        steps = torch.arange(sensor.azimuth_steps, dtype=torch.float64) + 0.5
        around = (steps + torch.from_numpy(sensor.ring_offsets())[:, None]) * (math.tau / sensor.azimuth_steps)
        flat = elevation.cos()[:, None]
        shape = (len(elevation), sensor.azimuth_steps)
        direction = torch.stack(
            [flat * around.cos(), flat * around.sin(), elevation.sin()[:, None].expand(shape)], dim=-1
        )
        return cls(
            direction.reshape(-1, 3).float().to(device), elevation.tan().float().to(device), sensor.azimuth_steps
        )


def to_ground(rays: Rays, ground: Ground, pose: Pose, farthest_m: float) -> Tensor:
    """Distance to the ground along each ray, float32 [R], infinity where it meets none."""
    device = rays.direction.device
    radius = 1.5 * (farthest_m * 1.1 / 1.5) ** (torch.arange(RADII, device=device) / (RADII - 1))
    around = (torch.arange(rays.steps, device=device) + 0.5) * (math.tau / rays.steps)
    ahead, left = radius * around.cos()[:, None], radius * around.sin()[:, None]  # [steps, radii]
    x, y = to_world(pose, ahead, left)
    slope = (ground.height(x, y) - pose.z - pose.slope * ahead) / radius
    highest = slope.cummax(dim=1).values
    rings = len(rays.tangents)
    wanted = rays.tangents.flip(0).expand(rays.steps, rings).contiguous()  # rising
    after = torch.searchsorted(highest, wanted)  # the first radius at which the ground is as high as the ray
    met, at = after < RADII, after.clamp(1, RADII - 1)
    above, below = slope.gather(1, at - 1), slope.gather(1, at)
    share = ((wanted - above) / (below - above).clamp(min=1e-9)).clamp(0.0, 1.0)
    near, far = radius[at - 1], radius[at]
    flat = torch.where(after == 0, radius[0], near + share * (far - near))
    flat = torch.where(met, flat, math.inf).flip(1).T.reshape(-1)  # back to rings from the highest down
    return flat / rays.direction[:, :2].norm(dim=1)


def to_primitives(
    rays: Rays, primitives: Primitives, nearest: Tensor, seed: int, farthest_m: float
) -> tuple[Tensor, Tensor]:
    """Distance to the nearest primitive that is nearer than `nearest` [R], else that; and the primitive, int64 [R], -1
    for none."""
    table, first_step, steps, first_ring, rings = _outlines(rays, primitives, farthest_m)
    best = torch.full((len(nearest),), _NOTHING, dtype=torch.int64, device=nearest.device)
    for part, ray in _pairs(rays, first_step, steps, first_ring, rings):
        rows = table.index_select(0, part)
        distance, hit = _meet(rays.direction.index_select(0, ray), rows, (ray << 24) + part, seed)
        hit &= distance < nearest.index_select(0, ray)
        kept = hit.nonzero()[:, 0]
        keys = (distance[kept].view(torch.int32).to(torch.int64) << 24) | part[kept]
        best.scatter_reduce_(0, ray[kept], keys, "amin")
    found = best != _NOTHING
    distance = (best >> 24).to(torch.int32).view(torch.float32)
    return torch.where(found, distance, nearest), torch.where(found, best & 0xFFFFFF, -1)


def _outlines(rays: Rays, primitives: Primitives, farthest_m: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Rows of numbers of all primitives, with the steps and rings that each spans (none where it is too far)."""
    centre, half, cosine, sine = primitives.centre, primitives.half, primitives.cosine, primitives.sine
    # The sensor in each primitive's frame, and the distance to its footprint.
    own_x = -(cosine * centre[:, 0] + sine * centre[:, 1])
    own_y = sine * centre[:, 0] - cosine * centre[:, 1]
    wide = half * (1.0 + (-primitives.shape[:, 2:4]).clamp(min=0.0).amax(dim=1))[:, None]  # those that widen upwards
    apart = torch.hypot((own_x.abs() - wide[:, 0]).clamp(min=0.0), (own_y.abs() - wide[:, 1]).clamp(min=0.0))
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], device=centre.device)
    dx, dy = wide[:, :1] * signs[:, 0], wide[:, 1:2] * signs[:, 1]
    x = centre[:, :1] + cosine[:, None] * dx - sine[:, None] * dy
    y = centre[:, 1:2] + sine[:, None] * dx + cosine[:, None] * dy
    middle = torch.atan2(centre[:, 1], centre[:, 0])
    off = torch.atan2(y, x) - middle[:, None]
    off = off - math.tau * (off / math.tau).round()
    low, high = middle + off.amin(dim=1), middle + off.amax(dim=1)
    per_step = math.tau / rays.steps
    first = (low / per_step - 1.0).ceil()  # rings look half a step aside at most
    steps = ((high / per_step).floor() - first + 1).clamp(0, rays.steps)
    around = apart <= 0.05  # the sensor is above or within it
    first, steps = torch.where(around, 0.0, first), torch.where(around, float(rays.steps), steps)
    near, far = apart.clamp(min=0.05), torch.hypot(x, y).amax(dim=1)
    top, bottom = centre[:, 2] + half[:, 2], centre[:, 2] - half[:, 2]
    highest = top / torch.where(top > 0, near, far)
    lowest = bottom / torch.where(bottom < 0, near, far)
    falling = -rays.tangents  # rising numbers
    first_ring = torch.searchsorted(falling, -highest)
    rings = (torch.searchsorted(falling, -lowest, right=True) - first_ring).clamp(min=0)
    rings = torch.where(apart < farthest_m, rings, 0)
    numbers = torch.cat(
        [centre, 1.0 / half.clamp(min=1e-4), torch.stack([cosine, sine], dim=1), primitives.shape[:, :5]], dim=1
    )
    return numbers, first.to(torch.int64) % rays.steps, steps.to(torch.int64), first_ring, rings


def _pairs(
    rays: Rays, first_step: Tensor, steps: Tensor, first_ring: Tensor, rings: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """All (primitive, ray) pairs of the outlines, as int64 tensors, in pieces."""
    counts = steps * rings
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    piece = _PIECE.get(counts.device.type, 1 << 22)
    for start in range(0, total, piece):
        index = torch.arange(start, min(start + piece, total), device=counts.device)
        part = torch.searchsorted(ends, index, right=True)
        within = index - (ends - counts).index_select(0, part)
        width = steps.index_select(0, part)
        ring = within // width
        step = first_step.index_select(0, part) + within - ring * width
        step = torch.where(step >= rays.steps, step - rays.steps, step)
        yield part, (first_ring.index_select(0, part) + ring) * rays.steps + step


def _meet(direction: Tensor, rows: Tensor, place: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Where each ray is stopped by its primitive, and whether it is. `place` numbers the pair for the noise."""
    cx, cy, cz, ix, iy, iz, cosine, sine, box, ball, taper_x, taper_y, porosity = rows.unbind(1)
    dx, dy, dz = direction.unbind(1)
    # Into the primitive's frame, where its half-sizes are 1.
    ox, oy, oz = -(cosine * cx + sine * cy) * ix, (sine * cx - cosine * cy) * iy, -cz * iz
    dx, dy, dz = (cosine * dx + sine * dy) * ix, (cosine * dy - sine * dx) * iy, dz * iz
    # Round ones: a circle in x and y, or the sphere.
    a = dx * dx + dy * dy + ball * dz * dz
    b = ox * dx + oy * dy + ball * oz * dz
    c = ox * ox + oy * oy + ball * oz * oz - 1.0
    inside = b * b - a * c
    root = inside.clamp(min=0.0).sqrt()
    round_in, round_out = (-b - root) / a, (-b + root) / a
    round_out = torch.where(inside > 0, round_out, -math.inf)
    # Boxes: four leaning sides, +-x + taper_x (z + 1) / 2 <= 1 and likewise in y.
    lean_x, lean_y = taper_x * (oz + 1.0) / 2.0 - 1.0, taper_y * (oz + 1.0) / 2.0 - 1.0
    turn_x, turn_y = taper_x * dz / 2.0, taper_y * dz / 2.0
    box_in, box_out = torch.full_like(a, -math.inf), torch.full_like(a, math.inf)
    for over, along in (
        (ox + lean_x, dx + turn_x),
        (lean_x - ox, turn_x - dx),
        (oy + lean_y, dy + turn_y),
        (lean_y - oy, turn_y - dy),
    ):
        at = -over / torch.where(along.abs() < 1e-9, 1e-9, along)
        box_in = torch.maximum(box_in, torch.where(along < 0, at, -math.inf))
        box_out = torch.minimum(box_out, torch.where(along < 0, math.inf, at))
    is_box = box > 0
    enters, leaves = torch.where(is_box, box_in, round_in), torch.where(is_box, box_out, round_out)
    # Floor and ceiling, which a ball does not have.
    flat = torch.where(dz.abs() < 1e-9, 1e-9, dz)
    floor, ceiling = (-1.0 - oz) / flat, (1.0 - oz) / flat
    lower, upper = torch.minimum(floor, ceiling), torch.maximum(floor, ceiling)
    cut = ball == 0
    enters = torch.where(cut, torch.maximum(enters, lower), enters)
    leaves = torch.where(cut, torch.minimum(leaves, upper), leaves)
    enters = enters.clamp(min=0.0)
    stopped = enters + porosity * exponential(seed, _POROUS_STREAM, place)
    return stopped, (stopped < leaves) & (stopped > 0.3)
