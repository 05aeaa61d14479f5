"""Kinds of surroundings, and how much of what stands in each. Lengths in metres; densities are per 100 m of road."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Archetype:
    """One kind of surroundings. Pairs are the ends of a uniform draw, made once a scene.

    Attributes:
        name: of the kind.
        weight: the share of scenes that are of it.
        road_half_m: half the road's width.
        sidewalk_m: width of the sidewalk; 0 for none.
        speed_m_s: of the sensor's car.
        parking_share: of both sides' length that has a parking strip.
        ground: shares of the ground beyond the sidewalk: terrain, sidewalk, parking, other-ground, road.
        bank, terrain_m: how steeply the land rises beside the road, and the height of its waves.
        crossing_m: distance between side streets; 0 for none.
        building_share: of both sides' length that is built on; building_offset_m beyond the sidewalk.
        blocks: the share of buildings that are tall blocks.
        fence_share, hedge_share: of both sides' length with a fence or wall, and with a hedge.
        rail_share: of both sides' length with a guard rail.
        trees, bushes, thickets, woods, shrubs: beside the road, in gardens and in the open; thickets lie up
            to 80 m away, woods are large and far, shrubs low and near.
        parked, moving: cars.
        lorries, buses: on the road or at its side.
        walkers, cyclists, riders, bicycles, motorcycles, lamps, posts, signs, clutter: as they are called.
    """

    name: str
    weight: float
    road_half_m: tuple[float, float]
    sidewalk_m: tuple[float, float]
    speed_m_s: tuple[float, float]
    parking_share: tuple[float, float]
    ground: tuple[float, float, float, float, float]
    bank: tuple[float, float]
    terrain_m: tuple[float, float]
    crossing_m: tuple[float, float]
    building_share: tuple[float, float]
    building_offset_m: tuple[float, float]
    blocks: float
    fence_share: tuple[float, float]
    hedge_share: tuple[float, float]
    rail_share: tuple[float, float]
    trees: tuple[float, float]
    bushes: tuple[float, float]
    thickets: tuple[float, float]
    woods: tuple[float, float]
    shrubs: tuple[float, float]
    parked: tuple[float, float]
    moving: tuple[float, float]
    lorries: tuple[float, float]
    buses: tuple[float, float]
    walkers: tuple[float, float]
    cyclists: tuple[float, float]
    riders: tuple[float, float]
    bicycles: tuple[float, float]
    motorcycles: tuple[float, float]
    lamps: tuple[float, float]
    posts: tuple[float, float]
    signs: tuple[float, float]
    clutter: tuple[float, float]


RESIDENTIAL = Archetype(
    name="residential",
    weight=0.45,
    road_half_m=(2.2, 3.1),
    sidewalk_m=(1.2, 3.2),
    speed_m_s=(5.0, 11.0),
    parking_share=(0.0, 0.12),
    ground=(0.50, 0.35, 0.05, 0.05, 0.05),
    bank=(-0.01, 0.09),
    terrain_m=(0.3, 1.0),
    crossing_m=(60.0, 140.0),
    building_share=(0.6, 0.95),
    building_offset_m=(4.0, 16.0),
    blocks=0.2,
    fence_share=(0.1, 0.5),
    hedge_share=(0.0, 0.15),
    rail_share=(0.0, 0.0),
    trees=(10.0, 26.0),
    bushes=(10.0, 40.0),
    thickets=(60.0, 150.0),
    woods=(25.0, 70.0),
    shrubs=(40.0, 180.0),
    parked=(0.5, 2.3),
    moving=(0.5, 3.0),
    lorries=(0.0, 0.9),
    buses=(0.0, 0.8),
    walkers=(0.3, 2.5),
    cyclists=(0.0, 0.8),
    riders=(0.0, 0.15),
    bicycles=(0.1, 1.2),
    motorcycles=(0.0, 0.4),
    lamps=(2.0, 4.0),
    posts=(0.5, 3.0),
    signs=(0.5, 2.5),
    clutter=(10.0, 36.0),
)

COUNTRY = Archetype(
    name="country",
    weight=0.25,
    road_half_m=(2.3, 3.4),
    sidewalk_m=(0.0, 1.2),
    speed_m_s=(10.0, 20.0),
    parking_share=(0.0, 0.0),
    ground=(0.95, 0.02, 0.01, 0.01, 0.01),
    bank=(0.0, 0.11),
    terrain_m=(0.5, 1.3),
    crossing_m=(0.0, 0.0),
    building_share=(0.0, 0.2),
    building_offset_m=(8.0, 30.0),
    blocks=0.0,
    fence_share=(0.0, 0.3),
    hedge_share=(0.0, 0.1),
    rail_share=(0.0, 0.2),
    trees=(6.0, 20.0),
    bushes=(20.0, 60.0),
    thickets=(70.0, 170.0),
    woods=(20.0, 60.0),
    shrubs=(60.0, 260.0),
    parked=(0.0, 1.0),
    moving=(0.5, 3.0),
    lorries=(0.0, 0.4),
    buses=(0.0, 0.2),
    walkers=(0.0, 0.3),
    cyclists=(0.0, 0.4),
    riders=(0.0, 0.15),
    bicycles=(0.0, 0.1),
    motorcycles=(0.0, 0.1),
    lamps=(0.0, 1.5),
    posts=(2.0, 6.0),
    signs=(0.2, 1.5),
    clutter=(0.0, 16.0),
)

HIGHWAY = Archetype(
    name="highway",
    weight=0.15,
    road_half_m=(5.0, 7.5),
    sidewalk_m=(0.0, 0.0),
    speed_m_s=(18.0, 28.0),
    parking_share=(0.0, 0.0),
    ground=(0.95, 0.0, 0.0, 0.02, 0.03),
    bank=(0.0, 0.11),
    terrain_m=(0.4, 1.0),
    crossing_m=(0.0, 0.0),
    building_share=(0.0, 0.12),
    building_offset_m=(20.0, 45.0),
    blocks=0.5,
    fence_share=(0.2, 0.6),
    hedge_share=(0.0, 0.05),
    rail_share=(0.1, 0.5),
    trees=(2.0, 10.0),
    bushes=(30.0, 90.0),
    thickets=(60.0, 160.0),
    woods=(20.0, 60.0),
    shrubs=(60.0, 260.0),
    parked=(0.0, 0.0),
    moving=(1.0, 4.0),
    lorries=(0.3, 1.5),
    buses=(0.0, 0.3),
    walkers=(0.0, 0.0),
    cyclists=(0.0, 0.0),
    riders=(0.0, 0.3),
    bicycles=(0.0, 0.0),
    motorcycles=(0.0, 0.0),
    lamps=(0.0, 3.0),
    posts=(1.0, 4.0),
    signs=(0.5, 2.0),
    clutter=(0.0, 1.0),
)

URBAN = Archetype(
    name="urban",
    weight=0.15,
    road_half_m=(2.8, 4.5),
    sidewalk_m=(2.0, 4.5),
    speed_m_s=(3.0, 9.0),
    parking_share=(0.0, 0.2),
    ground=(0.33, 0.55, 0.05, 0.02, 0.05),
    bank=(0.0, 0.02),
    terrain_m=(0.1, 0.4),
    crossing_m=(50.0, 110.0),
    building_share=(0.65, 0.95),
    building_offset_m=(1.0, 7.0),
    blocks=0.8,
    fence_share=(0.05, 0.3),
    hedge_share=(0.0, 0.1),
    rail_share=(0.0, 0.1),
    trees=(8.0, 20.0),
    bushes=(10.0, 50.0),
    thickets=(20.0, 80.0),
    woods=(10.0, 35.0),
    shrubs=(20.0, 90.0),
    parked=(0.8, 3.5),
    moving=(0.5, 3.0),
    lorries=(0.0, 0.8),
    buses=(0.0, 0.8),
    walkers=(1.0, 4.0),
    cyclists=(0.3, 2.0),
    riders=(0.0, 0.4),
    bicycles=(0.5, 2.5),
    motorcycles=(0.0, 1.0),
    lamps=(2.0, 5.0),
    posts=(2.0, 5.0),
    signs=(1.0, 4.0),
    clutter=(10.0, 30.0),
)

ARCHETYPES = (RESIDENTIAL, COUNTRY, HIGHWAY, URBAN)
