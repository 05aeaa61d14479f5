"""A scene of a seed: its ground and the things on it, laid out along a road."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coevo.errors import missing_extra
from coevo.spaces.spvnas.data.generator.archetypes import ARCHETYPES, Archetype
from coevo.spaces.spvnas.data.generator.ground import BLOCK_M, KINDS, Ground
from coevo.spaces.spvnas.data.generator.templates import NAMES, TEMPLATES
from coevo.spaces.spvnas.data.labels import CLASS_IDS

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "spvnas") from error

Array = np.ndarray[Any, Any]
MARGIN_M = 90.0
"""How far a scene reaches beyond the sensor's way, ahead and behind."""
WIDE_M = 80.0
"""How far it reaches to each side."""
_COLUMNS: tuple[str, ...] = ("template", "x", "u", "yaw", "size", "raised", "speed", "albedo")


@dataclass(frozen=True, eq=False)
class Things:
    """The things of a scene, one a row.

    Attributes:
        template: int64 [T], numbers of `templates.NAMES`.
        x: float64 [T], along the road at time 0.
        u: [T], from the road's middle line.
        yaw: [T], radians from the road's heading.
        size: [T, 3]: length, width, height in metres.
        raised: [T], above the ground.
        speed: [T], metres a second along x.
        albedo: [T].
    """

    template: Array
    x: Array
    u: Array
    yaw: Array
    size: Array
    raised: Array
    speed: Array
    albedo: Array


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that the sensor can see on its way.

    Attributes:
        seed: of the scene, and of its noise.
        archetype: its kind of surroundings.
        ground: on the CPU.
        things: as above.
        lane_u: where the sensor's car drives.
        speed_m_s: of it.
        lost: share of returns missing anywhere, of the day's weather.
        length_m: of the sensor's way.
    """

    seed: int
    archetype: Archetype
    ground: Ground
    things: Things
    lane_u: float
    speed_m_s: float
    lost: float
    length_m: float


@dataclass(eq=False)
class _Layout:
    """What is gathered while a scene is laid out."""

    rng: np.random.Generator
    crossings: list[tuple[float, float]]
    rows: dict[str, list[Array]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})

    def add(
        self,
        names: tuple[str, ...],
        x: Array,
        u: Array,
        size: Array,
        *,
        yaw: Array | float = 0.0,
        speed: Array | float = 0.0,
        raised: Array | float = 0.0,
        clear: float = 0.0,
    ) -> None:
        """Things at (x, u), each of one of the templates; with `clear`, none within so many metres of side streets."""
        if clear:
            free = np.ones(len(x), dtype=bool)
            for at, half in self.crossings:
                free &= np.abs(x - at) > half + clear
            x, u, size = x[free], u[free], size[free]
            yaw, speed, raised = (each[free] if isinstance(each, np.ndarray) else each for each in (yaw, speed, raised))
        template = np.array([NAMES.index(name) for name in names])[self.rng.integers(0, len(names), len(x))]
        bounds = np.array([TEMPLATES[NAMES[number]].albedo for number in range(len(NAMES))])[template].reshape(-1, 2)
        albedo = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) * self.rng.random(len(x))
        given = (template, x, u, yaw, size.reshape(len(x), 3), raised, speed, albedo)
        for name, value in zip(_COLUMNS, given, strict=True):
            self.rows[name].append(np.broadcast_to(value, (len(x), 3) if name == "size" else (len(x),)))

    def things(self) -> Things:
        return Things(**{name: np.concatenate(parts) for name, parts in self.rows.items()})


def archetype_of(seed: int) -> Archetype:
    """The kind of surroundings of a seed: multiples of the golden ratio, so that any run of seeds has nearly the kinds'
    shares (Weyl's equidistribution) and no small set of scenes is of one kind by chance."""
    place = seed * ((math.sqrt(5.0) - 1.0) / 2.0) % 1.0
    return ARCHETYPES[int(np.searchsorted(np.cumsum([kind.weight for kind in ARCHETYPES])[:-1], place, side="right"))]


def make_scene(seed: int, way_s: float = 0.0, archetype: Archetype | None = None, rare: float = 1.0) -> Scene:
    """The scene of a seed.

    Args:
        seed: any whole number from 0; two seeds have nothing in common.
        way_s: how long the sensor drives through it.
        archetype: its kind; else `archetype_of(seed)`.
        rare: factor on the numbers of people, cyclists, two-wheelers, lorries and buses, for training on few scenes.
    """
    rng = np.random.default_rng([seed, 1])
    kind = archetype or archetype_of(seed)
    speed = rng.uniform(*kind.speed_m_s)
    length_m = speed * way_s
    first, last = -MARGIN_M, length_m + MARGIN_M
    half, walk = rng.uniform(*kind.road_half_m), rng.uniform(*kind.sidewalk_m)
    walk = walk if walk > 0.6 else 0.0
    ground = _make_ground(rng, kind, first, last, half, walk)
    layout = _Layout(rng, list(ground.crossings))
    _Placer(layout, kind, ground, first, last, rare).place()
    lane_u = -half / 2 if kind.name != "highway" else -half * rng.choice([0.25, 0.75])
    return Scene(seed, kind, ground, layout.things(), lane_u, speed, rng.uniform(0.0, 0.03), length_m)


def _make_ground(
    rng: np.random.Generator, kind: Archetype, first: float, last: float, half: float, walk: float
) -> Ground:
    blocks = math.ceil((last - first) / BLOCK_M)
    bends = [(math.tau / rng.uniform(250, 600), rng.uniform(0, math.tau), rng.uniform(0, 12.0)) for _ in range(2)]
    hills = [(math.tau / rng.uniform(150, 400), rng.uniform(0, math.tau), rng.uniform(0, 0.9)) for _ in range(2)]
    height = rng.uniform(*kind.terrain_m)
    waves = []
    for length in rng.uniform(12.0, 70.0, 6):
        angle = rng.uniform(0, math.tau)
        along, across = math.tau * math.cos(angle) / length, math.tau * math.sin(angle) / length
        waves.append((along, across, rng.uniform(0, math.tau), height * min(1.0, length / 40.0) / 2.5))
    crossings = []
    if kind.crossing_m[1] > 0:
        at = first + rng.uniform(0, kind.crossing_m[1])
        while at < last:
            crossings.append((at, rng.uniform(2.5, 4.5)))
            at += rng.uniform(*kind.crossing_m)
    ids = np.array([CLASS_IDS[name] for name in KINDS])
    beyond = ids[rng.choice(len(KINDS), p=kind.ground, size=(2, blocks, 2))]
    calm = rng.random((2, blocks)) < 0.5  # half the blocks go on as their neighbour
    for block in range(1, blocks):
        beyond[:, block] = np.where(calm[:, block, None], beyond[:, block - 1], beyond[:, block])
    strips = rng.random((2, blocks)) < rng.uniform(*kind.parking_share)
    return Ground(
        tuple(bends),
        tuple(hills),
        tuple(waves),
        tuple(crossings),
        torch.from_numpy(beyond),
        torch.from_numpy(strips),
        first,
        half,
        walk,
        rng.uniform(0.10, 0.15) if walk else 0.04,
        rng.uniform(*kind.bank),
    )


class _Placer:
    """Lays things out in the bands beside the road, each kind in its own."""

    def __init__(
        self, layout: _Layout, kind: Archetype, ground: Ground, first: float, last: float, rare: float
    ) -> None:
        self.to, self.kind, self.ground, self.rng, self.rare = layout, kind, ground, layout.rng, rare
        self.first, self.last = first, last
        self.half, self.kerb = ground.road_half_m, ground.road_half_m + ground.strip_m
        self.beyond = self.kerb + max(ground.sidewalk_m, 0.5)

    def place(self) -> None:
        fronts = self._buildings()
        self._boundaries(fronts)
        self._vegetation(fronts)
        self._street_furniture()
        self._traffic()
        self._people()

    def _count(self, per_100m: tuple[float, float], rare: float = 1.0) -> int:
        mean = self.rng.uniform(*per_100m) * rare * (self.last - self.first) / 100.0
        return int(self.rng.poisson(mean))

    def _spread(self, count: int) -> Array:
        found: Array = self.rng.uniform(self.first, self.last, count)
        return found

    def _sides(self, count: int) -> Array:
        found: Array = self.rng.choice([-1.0, 1.0], count)
        return found

    def _sizes(self, count: int, low: tuple[float, float, float], high: tuple[float, float, float]) -> Array:
        found: Array = self.rng.uniform(low, high, (count, 3))
        return found

    def _buildings(self) -> tuple[float, float]:
        """Rows of houses on both sides; returns how far from the middle their fronts are."""
        kind, rng = self.kind, self.rng
        fronts = []
        for side in (-1.0, 1.0):
            share, offset = rng.uniform(*kind.building_share), rng.uniform(*kind.building_offset_m)
            front = self.beyond + offset
            fronts.append(front)
            for row in range(2):
                edges = [self.first]
                while edges[-1] < self.last:
                    edges.append(edges[-1] + rng.uniform(9.0, 24.0))
                middles, lengths = np.array(edges[:-1]) + np.diff(edges) / 2, np.diff(edges)
                there = rng.random(len(middles)) < (share if row == 0 else 0.5 * share)
                middles, lengths = middles[there], lengths[there]
                count = len(middles)
                tall = rng.random(count) < kind.blocks
                deep = rng.uniform(8.0, 14.0, count)
                high = np.where(tall, rng.uniform(8.0, 18.0, count), rng.uniform(4.5, 9.0, count))
                gap = np.where(tall, rng.uniform(0.0, 2.0, count), rng.uniform(1.0, 5.0, count))
                size = np.stack([np.maximum(lengths - gap, 6.0), deep, high], axis=1)
                u = side * (front + row * 24.0 + rng.uniform(0.0, 2.5, count) + deep / 2)
                for name, which in (("house", ~tall), ("block", tall)):
                    self.to.add((name,), middles[which], u[which], size[which], clear=8.0)
        return fronts[0], fronts[1]

    def _boundaries(self, fronts: tuple[float, float]) -> None:
        kind, rng = self.kind, self.rng
        for side, front in zip((-1.0, 1.0), fronts, strict=True):
            line = self.beyond + min(rng.uniform(0.5, 7.0), max(0.3, front - self.beyond - 0.5))
            for share, names, low, high in (
                (kind.fence_share, ("fence", "fence", "wall"), (3.0, 0.04, 0.8), (3.0, 0.12, 2.0)),
                (kind.hedge_share, ("hedge",), (3.0, 0.5, 0.8), (3.0, 1.2, 1.9)),
            ):
                runs = np.arange(self.first, self.last, 3.0)
                long = rng.random(len(runs) // 6 + 1) < rng.uniform(*share)  # runs of 18 m
                x = runs[np.repeat(long, 6)[: len(runs)]]
                size = np.repeat(self._sizes(len(runs) // 6 + 1, low, high), 6, axis=0)[: len(runs)]
                self.to.add(names, x, np.full(len(x), side * line), size[np.isin(runs, x)], clear=3.0)
                line += 0.8
            # Between gardens, across the line.
            count = int(rng.poisson(rng.uniform(*kind.fence_share) * (self.last - self.first) / 25.0))
            x = self._spread(count)
            for step in range(4):
                at = np.full(count, side * (self.beyond + 4.0 + 3.0 * step))
                size, across = self._sizes(count, (3, 0.05, 0.9), (3, 0.1, 1.8)), np.full(count, math.pi / 2)
                self.to.add(("fence",), x, at, size, yaw=across, clear=4.0)
            rails = np.arange(self.first, self.last, 4.0)
            rails = rails[np.repeat(rng.random(len(rails) // 8 + 1) < rng.uniform(*kind.rail_share), 8)[: len(rails)]]
            size = np.tile([4.0, 0.12, 0.75], (len(rails), 1))
            self.to.add(("rail",), rails, np.full(len(rails), side * (self.half + 1.8)), size)

    def _vegetation(self, fronts: tuple[float, float]) -> None:
        kind, rng = self.kind, self.rng
        count = self._count(kind.trees)
        size = self._sizes(count, (3.0, 3.0, 4.0), (7.5, 7.5, 9.5))
        size[:, 1] = size[:, 0] * rng.uniform(0.8, 1.2, count)
        u = self._sides(count) * (self.beyond + np.abs(rng.normal(1.0, 9.0, count)))
        self.to.add(("tree",), self._spread(count), u, size, yaw=rng.uniform(0, math.tau, count), clear=2.0)
        count = self._count(kind.bushes)
        size = self._sizes(count, (0.8, 0.8, 0.6), (3.2, 3.2, 2.8))
        u = self._sides(count) * (self.beyond + 1.0 + rng.gamma(1.6, 6.0, count))
        self.to.add(("bush",), self._spread(count), u, size, yaw=rng.uniform(0, math.tau, count), clear=1.5)
        count = self._count(kind.shrubs)
        size = self._sizes(count, (0.6, 0.6, 0.25), (2.6, 2.6, 1.1))
        u = self._sides(count) * (self.beyond + rng.gamma(1.3, 4.0, count))
        self.to.add(("bush",), self._spread(count), u, size, yaw=rng.uniform(0, math.tau, count), clear=1.5)
        for density, low, high, nearest, raised_m in (
            (kind.thickets, (2.0, 2.0, 1.5), (7.0, 7.0, 6.5), self.beyond + 3.0, (-0.4, 1.4)),
            (kind.woods, (7.0, 7.0, 6.0), (16.0, 16.0, 15.0), 30.0, (-1.0, 1.0)),
        ):
            count = self._count(density)
            size, sides = self._sizes(count, low, high), self._sides(count)
            start = np.maximum(
                np.where(sides < 0, *(each + 3.0 for each in fronts)) * (rng.random(count) < 0.5), nearest
            )
            start += size[:, 0] / 2
            u = sides * (start + (WIDE_M - start).clip(min=5.0) * rng.random(count) ** 0.75)
            yaw, raised = rng.uniform(0, math.tau, count), rng.uniform(*raised_m, count)
            self.to.add(("thicket",), self._spread(count), u, size, yaw=yaw, raised=raised, clear=1.0)

    def _street_furniture(self) -> None:
        kind, rng = self.kind, self.rng
        for names, density, low, high in (
            (("lamp",), kind.lamps, (0.12, 0.12, 5.0), (0.2, 0.2, 8.5)),
            (("post",), kind.posts, (0.08, 0.08, 0.8), (0.3, 0.3, 7.0)),
            (("sign",), kind.signs, (0.9, 0.5, 1.9), (0.9, 0.95, 3.2)),
            (("bin", "cabinet"), kind.clutter, (0.5, 0.5, 0.6), (1.6, 1.2, 1.7)),
        ):
            count = self._count(density)
            off = rng.uniform(0.3, 1.0, count) if names != ("bin", "cabinet") else rng.uniform(2.5, 16.0, count)
            size = self._sizes(count, low, high)
            if names in (("lamp",), ("post",)):
                size[:, 1] = size[:, 0]
            yaw = rng.choice([0.0, math.pi], count) + rng.normal(0.0, 0.15, count)
            self.to.add(names, self._spread(count), self._sides(count) * (self.kerb + off), size, yaw=yaw, clear=0.5)
        for name, density, low, high in (
            ("bicycle", kind.bicycles, (1.6, 0.5, 1.0), (1.85, 0.65, 1.15)),
            ("motorcycle", kind.motorcycles, (1.9, 0.7, 1.05), (2.3, 0.9, 1.35)),
        ):
            count = self._count(density, self.rare)
            u = self._sides(count) * (self.kerb + rng.uniform(0.4, 1.0 + self.ground.sidewalk_m, count))
            size, yaw = self._sizes(count, low, high), rng.uniform(0, math.tau, count)
            self.to.add((name,), self._spread(count), u, size, yaw=yaw, clear=0.5)

    def _traffic(self) -> None:
        kind, rng = self.kind, self.rng
        slots = np.arange(self.first, self.last, 6.2)
        for side in (-1.0, 1.0):  # parked along the kerb
            there = slots[rng.random(len(slots)) < rng.uniform(*kind.parked) * 6.2 / 100.0]
            strips = self.ground.strips[int(side > 0)].numpy()
            strip = strips[np.clip(((there - self.first) / BLOCK_M).astype(int), 0, len(strips) - 1)]
            self._cars(there, side, side * (self.half + self.ground.strip_m * strip - 1.15), 0.0)
        # In driveways and on parking grounds.
        count = self._count(kind.parked, 0.6)
        u = self._sides(count) * (self.beyond + rng.uniform(3.0, 9.0, count))
        self._cars(self._spread(count), 1.0, u, 0.0, yaw=rng.choice([0.0, math.pi / 2, -math.pi / 2], count))
        for side in (-1.0, 1.0):  # driving, clear of the sensor's own place
            lanes = (0.5,) if kind.name != "highway" else (0.25, 0.75)
            for lane in lanes:
                at = np.arange(self.first, self.last, 14.0) + rng.uniform(0.0, 4.0)
                at = at[rng.random(len(at)) < rng.uniform(*kind.moving) * 14.0 / 100.0]
                at = at[np.abs(at) > 11.0]
                speed = rng.uniform(*kind.speed_m_s)
                self._cars(at, side, np.full(len(at), side * self.half * lane), -side * speed)
        for names, density, low, high in (
            (("lorry", "flatbed"), kind.lorries, (6.0, 2.2, 2.6), (10.0, 2.55, 3.8)),
            (("bus", "trailer"), kind.buses, (6.0, 2.2, 2.6), (12.0, 2.55, 3.3)),
        ):
            count = self._count(density, self.rare)
            x = self._spread(count)
            x = x[np.abs(x) > 13.0]
            u = self._sides(len(x)) * (self.kerb - 1.4)
            self.to.add(names, x, u, self._sizes(len(x), low, high), yaw=np.where(u < 0, 0.0, math.pi))

    def _cars(self, x: Array, side: float, u: Array, speed: float, yaw: Array | None = None) -> None:
        count = len(x)
        heading = 0.0 if side < 0 else math.pi
        turned = np.full(count, heading) if yaw is None else yaw
        size = self._sizes(count, (3.7, 1.65, 1.38), (4.9, 1.9, 1.6))
        size[:, 2] *= np.where(self.rng.random(count) < 0.12, 1.25, 1.0)
        wobble = self.rng.normal(0.0, 0.03, count)
        jitter = self.rng.normal(0.0, 0.12, count)
        self.to.add(("sedan", "hatchback", "hatchback", "van"), x, u + jitter, size, yaw=turned + wobble, speed=speed)

    def _people(self) -> None:
        kind, rng = self.kind, self.rng
        count = self._count(kind.walkers, self.rare)
        u = self._sides(count) * (self.kerb + rng.uniform(0.2, max(1.0, self.ground.sidewalk_m), count))
        size = self._sizes(count, (0.55, 0.5, 1.5), (0.75, 0.65, 1.9))
        way = rng.choice([-1.0, 0.0, 1.0], count)
        yaw = np.where(way < 0, math.pi, np.where(way > 0, 0.0, rng.uniform(0, math.tau, count)))
        self.to.add(("walker", "walker", "stander"), self._spread(count), u, size, yaw=yaw, speed=way * 1.3)
        for name, density, speed, low, high in (
            ("cyclist", kind.cyclists, 4.5, (1.6, 0.55, 1.6), (1.85, 0.7, 1.85)),
            ("rider", kind.riders, 11.0, (1.9, 0.75, 1.45), (2.3, 0.95, 1.7)),
        ):
            count = self._count(density, self.rare)
            sides = self._sides(count)
            u = sides * (self.half - rng.uniform(0.4, 1.2, count))
            size = self._sizes(count, low, high)
            x = self._spread(count)
            far = np.abs(x) > 5.0
            yaw = np.where(sides > 0, math.pi, 0.0)
            self.to.add((name,), x[far], u[far], size[far], yaw=yaw[far], speed=-sides[far] * speed)
