"""A network of SPVNAS's space, and the function that asks for one (arXiv 2007.16100, section 4; released code).

The released sampling draws a real number and rounds it down to a multiple of 16, so that the largest width of 384 comes
up once in 257 draws and a 48-wide stage has 16 middle channels in 62 % of its draws. Here every number of channels is
drawn uniformly from its list of multiples, ends included; and a block that a stage does not have is not asked about.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from coevo.errors import ConfigError, InputError
from coevo.kernels.sparse.shape import CHANNELS, STAGES, UNetShape, widths
from coevo.search.pick import Pick

POINTS = ("none", "voxels", "raw")
"""The point branch: none (MinkUNet), of the voxels themselves as released, of every point at its own coordinates."""
STAGE_NAMES = (*(f"down{i}" for i in range(1, STAGES + 1)), *(f"up{i}" for i in range(1, STAGES + 1)))
LOWEST = (32, 16, 32, 64, 128, 128, 64, 48, 48)
HIGHEST = (32, 48, 96, 192, 384, 384, 192, 128, 128)
"""Channels of the stem, the stages down and the stages up, as the released code bounds them."""
MOST_DEPTH = 2
DEPTHS = tuple(range(1, MOST_DEPTH + 1))
QUANTUM = 16


@dataclass(frozen=True)
class Backbone(UNetShape):
    """A value of the space: `UNetShape`, and

    Attributes:
        points: one of `POINTS`.
    """

    points: str = "voxels"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.points not in POINTS:
            raise ConfigError(f"points must be one of {', '.join(POINTS)}, got {self.points!r}")

    @classmethod
    def uniform(cls, ratio: float, points: str = "voxels") -> Backbone:
        """MinkUNet (points="none") or SPVCNN with every width times `ratio` (0.5, 0.64 and 1 are published)."""
        plain = UNetShape.plain(widths(ratio))
        return cls(plain.widths, plain.depths, plain.middles, plain.transitions, points, projects=plain.projects)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "widths": list(self.widths),
            "depths": list(self.depths),
            "middles": [list(each) for each in self.middles],
            "transitions": list(self.transitions),
            "points": self.points,
            "projects": self.projects,
        }

    @classmethod
    def from_json(cls, document: Any) -> Backbone:
        """What `to_json` wrote. InputError where it is none."""
        wanted = set(UNetShape.__dataclass_fields__) | {"points"}
        if not isinstance(document, dict) or set(document) != wanted:
            got = sorted(document) if isinstance(document, dict) else type(document).__name__
            raise InputError(f"a Backbone in JSON has {', '.join(sorted(wanted))}, got {got}")
        try:
            middles = tuple(tuple(each) for each in document["middles"])
            chosen, depths, transitions = (tuple(document[name]) for name in ("widths", "depths", "transitions"))
            return cls(chosen, depths, middles, transitions, document["points"], projects=bool(document["projects"]))
        except TypeError as error:
            raise InputError(f"a Backbone in JSON has lists of whole numbers: {error}") from None


@dataclass(frozen=True)
class Bounds:
    """What may be chosen: channels in multiples of `quantum` between `lowest` and `highest`, depths 1 or 2.

    Attributes:
        lowest, highest: [9] channels of the stem, the stages down and the stages up.
        points: of every network.
        quantum: channels apart; middles and transitions start at it.
    """

    lowest: tuple[int, ...] = LOWEST
    highest: tuple[int, ...] = HIGHEST
    points: str = "voxels"
    quantum: int = QUANTUM

    def __post_init__(self) -> None:
        if self.points not in POINTS:
            raise ConfigError(f"points must be one of {', '.join(POINTS)}, got {self.points!r}")
        pairs = tuple(zip(self.lowest, self.highest, strict=False))
        whole = len(self.lowest) == len(self.highest) == len(CHANNELS) and type(self.quantum) is int
        if not whole or self.quantum < 1 or not all(self._holds(low, high) for low, high in pairs):
            raise ConfigError(
                "bounds are nine lowest and nine highest numbers of channels, multiples of the quantum "
                f"{self.quantum}, got {self.lowest} and {self.highest}"
            )

    def _holds(self, low: int, high: int) -> bool:
        return type(low) is type(high) is int and 0 < low <= high and not (low % self.quantum or high % self.quantum)

    @classmethod
    def scaled(cls, ratio: float, points: str = "voxels", quantum: int = QUANTUM) -> Bounds:
        """The published bounds times `ratio`, rounded down to multiples of `quantum`, at least one of them: a smaller
        space for small machines and for tests."""

        def scale(channels: Sequence[int]) -> tuple[int, ...]:
            return tuple(max(quantum, int(each * ratio) // quantum * quantum) for each in channels)

        return cls(scale(LOWEST), scale(HIGHEST), points, quantum)

    @cached_property
    def width_choices(self) -> tuple[tuple[int, ...], ...]:
        """[9], of the stem and every stage."""
        return tuple(
            tuple(range(low, high + 1, self.quantum)) for low, high in zip(self.lowest, self.highest, strict=True)
        )

    @cached_property
    def middle_choices(self) -> tuple[tuple[int, ...], ...]:
        """[8], of every stage's blocks: up to the stage's widest."""
        return tuple(tuple(range(self.quantum, high + 1, self.quantum)) for high in self.highest[1:])

    @cached_property
    def transition_choices(self) -> tuple[tuple[int, ...], ...]:
        """[8]: up to the widest of the stage before on the way down, of the stage itself on the way up."""
        widest = (*self.highest[:STAGES], *self.highest[STAGES + 1 :])
        return tuple(tuple(range(self.quantum, high + 1, self.quantum)) for high in widest)

    @property
    def largest(self) -> Backbone:
        """Every choice at its largest: the network whose weights all share."""
        middles = tuple((each[-1],) * MOST_DEPTH for each in self.middle_choices)
        transitions = tuple(each[-1] for each in self.transition_choices)
        return Backbone(self.highest, (MOST_DEPTH,) * (2 * STAGES), middles, transitions, self.points)

    @property
    def smallest(self) -> Backbone:
        """Every choice at its smallest."""
        middles = tuple((each[0],) for each in self.middle_choices)
        transitions = tuple(each[0] for each in self.transition_choices)
        return Backbone(self.lowest, (1,) * (2 * STAGES), middles, transitions, self.points)

    @property
    def id(self) -> str:
        """Names the space and its version; a checkpoint of another does not fit."""
        if self == Bounds(points=self.points):
            return f"spvnas/{self.points}/v1"
        text = json.dumps([self.lowest, self.highest, self.quantum])
        return f"spvnas/{self.points}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}/v1"

    def build(self, pick: Pick, least_depth: int = 1) -> Backbone:
        """The space function: asks for the widths, then stage by stage for transition, depth and middles.

        Args:
            pick: what answers.
            least_depth: of every stage; 2 leaves depths out (the first phase of progressive shrinking).
        """
        names = ("stem", *STAGE_NAMES)
        chosen = [_one(pick, f"{name}.width", choices) for name, choices in zip(names, self.width_choices, strict=True)]
        depths, middles, transitions = [], [], []
        for stage, name in enumerate(STAGE_NAMES):
            transitions.append(_one(pick, f"{name}.transition", self.transition_choices[stage]))
            depths.append(_one(pick, f"{name}.depth", DEPTHS[least_depth - 1 :]))
            middles.append(
                tuple(
                    _one(pick, f"{name}.block{block + 1}.middle", self.middle_choices[stage])
                    for block in range(depths[-1])
                )
            )
        return Backbone(tuple(chosen), tuple(depths), tuple(middles), tuple(transitions), self.points)

    def misfit(self, design: UNetShape) -> str | None:
        """Why a network is no part of this space, or None."""
        if isinstance(design, Backbone) and design.points != self.points:
            return f"its points are {design.points!r}, the space's {self.points!r}"
        if not design.projects:
            return "its first blocks have shortcuts that are the identity; those of the space project always"
        asked: list[tuple[str, Sequence[int], Sequence[Sequence[int]]]] = [
            ("width", design.widths, self.width_choices),
            ("transition", design.transitions, self.transition_choices),
        ]
        for stage, name in enumerate(STAGE_NAMES):
            if design.depths[stage] not in DEPTHS:
                return f"{name} has {design.depths[stage]} blocks, offered are 1 and {MOST_DEPTH}"
            offers = (self.middle_choices[stage],) * design.depths[stage]
            asked.append((f"middle of {name}", design.middles[stage], offers))
        for what, numbers, offered in asked:
            for number, choices in zip(numbers, offered, strict=True):
                if number not in choices:
                    return f"{what} {number} is not offered ({choices[0]}, .., {choices[-1]} by {self.quantum})"
        return None


def _one(pick: Pick, name: str, choices: tuple[int, ...]) -> int:
    """What is no choice is not asked."""
    return choices[0] if len(choices) == 1 else pick.one(name, choices)
