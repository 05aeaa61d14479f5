"""Trained weights with everything that judges designs by them."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.spaces.sana.design import SanaDesign
from coevo.spaces.sana.judging.material import Scenes
from coevo.spaces.sana.judging.painter import Painter
from coevo.spaces.sana.judging.recovering import Losses, recovered
from coevo.spaces.sana.judging.scoring import Judging
from coevo.spaces.sana.judging.weights import Inherited
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.training.recipe import Recipe


@dataclass(eq=False)
class Studio:
    """Of one experiment, on its device.

    Attributes:
        net: the encoder and the supernet.
        painter: draws.
        teaching: scenes that train.
        losses: held-out flow losses on scenes that judge the search.
        judging: prompts that judge the search.
        recipe: of a recovery.
        batch: scenes of an update.
    """

    net: Inherited
    painter: Painter
    teaching: Scenes
    losses: Losses
    judging: Judging
    recipe: Recipe
    batch: int

    def recovered(self, design: SanaDesign) -> SanaTransformer:
        """The design's network after a short recovery. NonFiniteLoss where it did not survive."""
        return recovered(self.net, design, self.teaching, self.painter, self.recipe, self.batch)
