"""The shape of a sparse U-Net over strides 1 to 16: every number of channels, and how many blocks a stage has.

MinkUNet and SPVCNN at a width, and every network of SPVNAS's space, are values of `UNetShape`. This needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from coevo.errors import InputError

CHANNELS = (32, 32, 64, 128, 256, 256, 128, 96, 96)
"""Of the stem, the four stages down and the four up, at width 1 (released code of SPVNAS)."""
STAGES = 4
"""Down, and as many up."""
DEFAULT_SPLITS = (1, 1, 1, 2, 3)
"""Of a 3x3x3 map's rows, at strides 1 to 16: where wide layers have too few rows to fill a GPU, ranges of offsets run
side by side."""


def widths(width: float) -> tuple[int, ...]:
    """`CHANNELS` times `width`, cut to whole numbers. InputError where one would have no channel."""
    found = tuple(int(width * each) for each in CHANNELS)
    if min(found) < 1:
        raise InputError(f"the width must leave every stage a channel, got {width}: {found}")
    return found


@dataclass(frozen=True)
class UNetShape:
    """Channels and depths. Stages 0 .. 3 go down to strides 2, 4, 8 and 16, stages 4 .. 7 up to 8, 4, 2 and 1.

    Attributes:
        widths: [9], channels after the stem and after every stage.
        depths: [8], residual blocks of each stage, at least 1.
        middles: [8][depth], channels between the two convolutions of each residual block.
        transitions: [8], channels out of the 2x2x2 convolution with stride 2 that begins each stage.
        projects: whether the first block of a stage down always has a 1x1x1 shortcut (SPVNAS), or only where its
            channels change (MinkUNet, SPVCNN). Those up always have one: their input is two tensors side by side.

    Raises:
        InputError: lengths do not fit together, or a number is below 1.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    middles: tuple[tuple[int, ...], ...]
    transitions: tuple[int, ...]
    projects: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if len(self.widths) != len(CHANNELS) or len(self.depths) != 2 * STAGES or len(self.transitions) != 2 * STAGES:
            raise InputError(
                "the shape of a U-Net needs nine numbers of channels, eight depths and eight transitions, got "
                f"{self.widths}, {self.depths} and {self.transitions}"
            )
        if tuple(len(each) for each in self.middles) != self.depths:
            raise InputError(
                f"each stage needs one number of middle channels a block; the depths are {self.depths}, the middles "
                f"{self.middles}"
            )
        numbers = (*self.widths, *self.depths, *self.transitions, *(each for stage in self.middles for each in stage))
        if any(type(each) is not int or each < 1 for each in numbers):
            raise InputError(f"channels and depths must be whole numbers, all >= 1, got {self}")

    @classmethod
    def plain(cls, channels: Sequence[int]) -> UNetShape:
        """MinkUNet's and SPVCNN's: two blocks a stage, middles as wide as their stage, transitions that keep the
        channels on the way down and have the stage's on the way up."""
        cs = tuple(channels)
        if len(cs) != len(CHANNELS):
            raise InputError(f"the shape of a U-Net needs nine numbers of channels, got {cs}")
        middles = tuple((each, each) for each in cs[1:])
        return UNetShape(cs, (2,) * (2 * STAGES), middles, (*cs[:STAGES], *cs[STAGES + 1 :]), projects=False)

    def skip(self, stage: int) -> int:
        """Channels that join a stage up (4 .. 7) from the way down."""
        return self.widths[2 * STAGES - 1 - stage]

    def needs_shortcut(self, stage: int, block: int) -> bool:
        """Whether this residual block has a 1x1x1 shortcut."""
        if block:
            return False
        return stage >= STAGES or self.projects or self.transitions[stage] != self.widths[stage + 1]
