"""The shallower transformer that a supernet's weights grow from (Sana-1.5, arXiv 2501.18427, section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.errors import InputError


@dataclass(frozen=True)
class Growth:
    """A shallower transformer that is trained first.

    Attributes:
        depth: its blocks.
        steps: updates that it is trained for.
        drop_last: of its blocks, from the end, that are left out when it grows.
    """

    depth: int
    steps: int
    drop_last: int = 1

    def check(self, depth: int) -> None:
        """InputError unless a transformer of `depth` blocks can grow from it."""
        if not 1 <= self.depth <= depth:
            raise InputError(
                f"a transformer of {self.depth} blocks does not grow to one of {depth}: the source has 1 to {depth} "
                "blocks"
            )
        if not 0 <= self.drop_last < self.depth:
            raise InputError(f"a source of {self.depth} blocks loses 0 to {self.depth - 1} of them, got "
                             f"{self.drop_last}: one at least stays")  # fmt: skip
