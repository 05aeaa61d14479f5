"""Rays against primitives and ground, beside plain loops."""

import math

import numpy as np
import pytest
import torch

from coevo.spaces.spvnas.data.generator import casting, noise
from coevo.spaces.spvnas.data.generator.casting import Rays, to_ground, to_primitives
from coevo.spaces.spvnas.data.generator.placing import Primitives, to_world
from coevo.spaces.spvnas.data.generator.scenes import make_scene
from coevo.spaces.spvnas.data.generator.sensor import Sensor
from coevo.spaces.spvnas.data.generator.sweep import Sweeper
from coevo.spaces.spvnas.data.generator.templates import BOX, CYLINDER, ELLIPSOID, TEMPLATES, part_table

SMALL = Sensor(tuple(np.linspace(20.0, -30.0, 23)), azimuth_steps=97)


def primitives(seed, count, porous=False):
    """Random ones all around, some above the sensor, some around it."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, count)
    yaw = rng.uniform(-4, 4, count)
    taper = np.where((kind == BOX)[:, None], rng.uniform(-0.2, 1.0, (count, 2)), 0.0)
    shape = np.stack(
        [kind == BOX, kind == ELLIPSOID, *taper.T, porous * rng.uniform(0.1, 2.0, count), 0 * yaw, 0.3 + 0 * yaw],
        axis=1,
    )
    centre = rng.normal(0, [9.0, 9.0, 2.0], (count, 3))

    def put(value):
        return torch.from_numpy(np.asarray(value, dtype=np.float32))

    whole = torch.zeros(count, dtype=torch.int64)
    half = put(rng.uniform(0.05, 2.5, (count, 3)))
    half[:, 1] = torch.where(put(kind) == CYLINDER, half[:, 0], half[:, 1])
    return Primitives(put(centre), half, put(np.cos(yaw)), put(np.sin(yaw)), put(shape), whole, whole)


def inside(p, index, at):
    """Whether a point lies in a primitive, from its definition."""
    x, y, z = (float(value) for value in at.double() - p.centre[index].double())
    c, s = float(p.cosine[index]), float(p.sine[index])
    hx, hy, hz = (float(each) for each in p.half[index])
    x, y, z = (c * x + s * y) / hx, (c * y - s * x) / hy, z / hz
    is_box, is_ball, tx, ty = (float(each) for each in p.shape[index][:4])
    if is_box:
        return abs(z) <= 1 and abs(x) + tx * (z + 1) / 2 <= 1 and abs(y) + ty * (z + 1) / 2 <= 1
    if is_ball:
        return x * x + y * y + z * z <= 1
    return abs(z) <= 1 and x * x + y * y <= 1


@pytest.mark.parametrize("seed", range(4))
def test_culling_loses_no_hit(seed, monkeypatch):
    rays, p = Rays.of(SMALL, "cpu"), primitives(seed, 40, porous=seed % 2 == 1)
    nearest = torch.full((len(rays.direction),), 60.0)
    distance, part = to_primitives(rays, p, nearest, 7, 80.0)
    numbers = casting._outlines(rays, p, 80.0)[0]
    best, which = nearest.clone(), torch.full_like(part, -1)
    for index in range(40):  # every ray against every primitive
        row = numbers[index].expand(len(nearest), -1)
        place = (torch.arange(len(nearest)) << 24) + index
        at, hit = casting._meet(rays.direction, row, place, 7)
        nearer = hit & (at < best)
        best, which = torch.where(nearer, at, best), torch.where(nearer, index, which)
    assert (which >= 0).sum() > 150
    assert torch.equal(distance, best)
    assert torch.equal(part, which)
    monkeypatch.setitem(casting._PIECE, "cpu", 977)
    again = to_primitives(rays, p, nearest, 7, 80.0)
    assert torch.equal(again[0], distance)
    assert torch.equal(again[1], part)


@pytest.mark.parametrize("seed", range(2))
def test_a_hit_is_the_surface_by_the_primitives_definition(seed):
    rays, p = Rays.of(SMALL, "cpu"), primitives(seed, 16)
    nearest = torch.full((len(rays.direction),), 60.0)
    distance, part = to_primitives(rays, p, nearest, 0, 80.0)
    rng = np.random.default_rng(seed)
    checked = 0
    for ray in rng.permutation(len(nearest))[:120].tolist():
        direction, at, index = rays.direction[ray].double(), float(distance[ray]), int(part[ray])
        for share in (0.5, 0.95):  # nothing stands before the hit, except what the sensor is within
            for other in range(16):
                if inside(p, other, direction * at * share):
                    assert inside(p, other, direction * 0.3)
        if index >= 0:
            outside = not inside(p, index, direction * 0.3)
            before, after = direction * (at - 2e-3), direction * (at + 2e-3)
            checked += outside and inside(p, index, after) and not inside(p, index, before)
    assert checked > 8


def test_porous_things_are_entered_by_their_mean_free_path():
    rays = Rays.of(Sensor((0.0,), azimuth_steps=20_000), "cpu")
    one, none = torch.ones(1), torch.zeros(1, dtype=torch.int64)
    half, shape = torch.tensor([[200.0, 200.0, 5.0]]), torch.tensor([[1.0, 0, 0, 0, 3.0, 0, 0.3]])
    wall = Primitives(torch.zeros(1, 3), half, one, 0 * one, shape, none, none)  # the sensor is within
    distance, part = to_primitives(rays, wall, torch.full((20_000,), 80.0), 3, 80.0)
    hit = distance[part == 0]
    assert len(hit) > 17_000  # the nearest 0.3 m are not looked at
    assert float(hit.mean()) == pytest.approx(3.3, rel=0.03)  # without memory: 0.3 m and the mean


def test_the_ground_is_met_where_a_fine_march_meets_it():
    sweeper = Sweeper(make_scene(1), SMALL)
    pose, ground = sweeper.pose(0), sweeper.scene.ground
    found = to_ground(sweeper.rays, ground, pose, 80.0).double()
    step = torch.arange(1.6, 80.0, 0.02, dtype=torch.float64)
    errors = []
    for ray in range(0, len(found), 53):
        direction = sweeper.rays.direction[ray].double()
        x, y = to_world(pose, step * direction[0], step * direction[1])
        below = step * direction[2] <= ground.height(x, y) - pose.z - pose.slope * step * direction[0]
        marched = float(step[int(below.to(torch.uint8).argmax())]) if bool(below.any()) else math.inf
        if math.isfinite(marched) and marched < 70:
            errors.append(abs(float(found[ray]) - marched))
    assert len(errors) > 15
    assert np.median(errors) < 0.03
    assert np.mean(np.array(errors) < 0.35) > 0.9


def test_noise_is_a_function_of_its_place_and_has_its_distribution():
    place = torch.arange(200_000)
    first = noise.uniform(5, 1, place)
    assert torch.equal(first[1000:1010], noise.uniform(5, 1, torch.arange(1000, 1010)))
    assert float(first.min()) > 0 and float(first.max()) < 1
    assert float(first.mean()) == pytest.approx(0.5, abs=0.004)
    assert float(first.var()) == pytest.approx(1 / 12, rel=0.02)
    for other in (noise.uniform(6, 1, place), noise.uniform(5, 2, place), noise.uniform(5, 1, place + (1 << 34))):
        assert abs(float(torch.corrcoef(torch.stack([first, other]))[0, 1])) < 0.01
    assert abs(float(torch.corrcoef(torch.stack([first[:-1], first[1:]]))[0, 1])) < 0.01
    bell = noise.normal(5, 1, place)
    assert float(bell.mean()) == pytest.approx(0, abs=0.01)
    assert float(bell.std()) == pytest.approx(1, rel=0.01)
    assert float(noise.exponential(5, 1, place).mean()) == pytest.approx(1, rel=0.02)


def test_templates_lie_within_their_things():
    table = part_table()
    assert table.count.sum() == len(table.numbers) == len(table.labels)
    for name, template in TEMPLATES.items():
        for part in template.parts:
            if template.boxed:
                reach = np.abs(part.centre) + np.array(part.half)
                assert reach[0] <= 0.56 and reach[1] <= 0.55, name
                assert part.centre[2] - part.half[2] >= -0.05 and reach[2] <= 1.03, name


def test_a_stage_keeps_things_on_the_ground():
    scene = make_scene(0)
    sweeper = Sweeper(scene, SMALL)
    pose = sweeper.pose(0)
    places, yaw = sweeper.stage.things_at(pose, 0.0)
    assert np.isfinite(places.numpy()).all()
    parts = sweeper.stage.primitives(places, yaw)
    assert len(parts.centre) == len(sweeper.stage.owner)
    height = places[:, 2] + sweeper.sensor.height_m  # near the sensor the road is about 0
    near = places[:, :2].norm(dim=1) < 6
    if bool(near.any()):
        assert float(height[near].abs().max()) < 2.5
