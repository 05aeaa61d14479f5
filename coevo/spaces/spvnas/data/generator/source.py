"""Generated scans by number: training and validation scenes whose seeds never meet."""

from __future__ import annotations

from typing import Any

from coevo.errors import InputError
from coevo.spaces.spvnas.data.generator.scenes import make_scene
from coevo.spaces.spvnas.data.generator.sensor import HDL_64E, Sensor
from coevo.spaces.spvnas.data.generator.sweep import SOURCE, Sweeper
from coevo.spaces.spvnas.data.scan import Scan

SPLITS = ("train", "val", "test")
MOST_SEED = 2**40


def seed_of(split: str, seed: int, scene: int) -> int:
    """The seed of a scene of a split: `3 n + k`, n of (seed, scene) and k of the split, so that no scene of one split
    is one of another, whatever their seeds and sizes. InputError beyond what is numbered."""
    if split not in SPLITS:
        raise InputError(f"a split of generated scenes is one of {', '.join(SPLITS)}, got {split!r}")
    if not 0 <= scene < 1_000_000 or not 0 <= seed < MOST_SEED // 3_000_000:
        raise InputError(
            f"scenes are numbered 0 .. 999999 and seeds 0 .. {MOST_SEED // 3_000_000 - 1}, got {scene} and {seed}"
        )
    return 3 * (seed * 1_000_000 + scene) + SPLITS.index(split)


class GeneratedScans:
    """A `ScanSource` of generated sweeps.

    Scan number i is frame i % frames_per_scene of scene i // frames_per_scene.

    Args:
        scenes: how many there are.
        split: "train", "val" or "test": their scenes are disjoint by construction.
        seed: of the whole; other seeds give other scenes.
        frames_per_scene: sweeps on the sensor's way through each.
        device: where rays are cast.
        rare: factor on the numbers of people, two-wheelers, lorries and buses.
        sensor: whose sweeps they are.
    """

    def __init__(
        self,
        scenes: int,
        split: str = "train",
        seed: int = 0,
        *,
        frames_per_scene: int = 1,
        device: Any = "cpu",
        rare: float = 1.0,
        sensor: Sensor = HDL_64E,
    ) -> None:
        if scenes < 1 or frames_per_scene < 1 or not rare >= 0:
            raise InputError(
                f"expected at least one scene of one frame and a factor of 0 or more, got {scenes}, {frames_per_scene} "
                f"and {rare!r}"
            )
        seed_of(split, seed, scenes - 1)
        self.scenes, self.split, self.seed, self.frames_per_scene = scenes, split, seed, frames_per_scene
        self.device, self.rare, self.sensor = device, rare, sensor
        self._made: tuple[int, Sweeper] | None = None

    @property
    def source(self) -> str:
        """What data these are."""
        return SOURCE

    def __len__(self) -> int:
        return self.scenes * self.frames_per_scene

    def __getitem__(self, number: int) -> Scan:
        if not 0 <= number < len(self):
            raise IndexError(f"there are {len(self)} scans, got number {number}")
        scene, frame = divmod(number, self.frames_per_scene)
        return self.sweeper(scene).scan(frame, f"{self.split}-{self.seed}-{scene:04d}/{frame:06d}")

    def sweeper(self, scene: int) -> Sweeper:
        """The sensor on its way through a scene; the last one is kept."""
        if self._made is None or self._made[0] != scene:
            way_s = (self.frames_per_scene - 1) / self.sensor.sweeps_per_s
            seed = seed_of(self.split, self.seed, scene)
            self._made = scene, Sweeper(make_scene(seed, way_s=way_s, rare=self.rare), self.sensor, self.device)
        return self._made[1]
