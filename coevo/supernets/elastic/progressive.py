"""Progressive shrinking of depth: training begins with the deepest networks, shallower ones join later (Cai et al.
2020, Once-for-All, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.errors import InputError


@dataclass(frozen=True)
class ProgressiveDepth:
    """Which depths are open at a point of training.

    Until `start` only the largest is; the rest of training is cut in as many equal segments as there are smaller
    depths, and each opens one more. SPVNAS has depths 2 and 1 and trains both halves as long: `start` is 0.5.

    Attributes:
        most, least: depths.
        start: share of training before the first smaller depth opens.

    Raises:
        InputError: depths are not 1 <= least <= most, or start is not 0 .. 1.
    """

    most: int = 2
    least: int = 1
    start: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most or not 0 <= self.start <= 1:
            raise InputError(
                f"depths must be 1 <= least <= most and start 0 .. 1, got {self.least}, {self.most} and {self.start}"
            )

    def lowest(self, progress: float) -> int:
        """The smallest depth that is open when this share of training, 0 .. 1, is done."""
        if progress < self.start or self.most == self.least:
            return self.most
        segments = self.most - self.least
        reached = segments if self.start == 1 else int(segments * (progress - self.start) / (1 - self.start)) + 1
        return self.most - min(reached, segments)
