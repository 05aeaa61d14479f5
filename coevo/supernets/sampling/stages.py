"""How a sampler's choices change over the training: in chunks, one a stage."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.errors import InputError


@dataclass(frozen=True)
class Stages:
    """The training is cut into `stages` of equal length; stage s works with chunk s of `chunks`.

    With more stages than chunks the last chunk stays, or they come round again; the sampler says which.
    Raises InputError for less than one chunk or stage.
    """

    chunks: int = 4
    stages: int = 4

    def __post_init__(self) -> None:
        for name in ("chunks", "stages"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")

    def reached(self, progress: float) -> int:
        """The chunk at this point of the training, the last one staying."""
        return min(int(progress * self.stages), self.chunks - 1)

    def in_turn(self, progress: float) -> int:
        """The chunk at this point of the training, the first one following the last."""
        return int(progress * self.stages) % self.chunks

    def lowest(self, choices: int, chunk: int) -> int:
        """Index of the smallest of so many choices that is open in a chunk; in the last one all are."""
        return round((choices - 1) * (1 - (chunk + 1) / self.chunks))
