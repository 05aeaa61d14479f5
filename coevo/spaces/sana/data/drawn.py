"""Random scenes of GenEval's six categories, drawn as columns: thousands at once, on the generator's device."""

from __future__ import annotations

import torch
from torch import Tensor

from coevo.errors import InfeasibleSpace, unknown_name
from coevo.spaces.sana.data.scenes import COLOURS, MOST_OBJECTS, SceneBatch
from coevo.spaces.sana.data.shapes import SHAPES

CATEGORIES = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
"""GenEval's names (arXiv 2310.11513)."""

LEAST_SIZE = 0.2
MOST_SIZE = (0.45, 0.4, 0.32, 0.28)
"""By number of objects: shares of the image's side."""
GAP = 0.04
"""Least distance between bounding squares, and half of it to the image's edge."""
_PLACES_TRIED = 24
_ROUNDS = 200


def draw_scenes(count: int, generator: torch.Generator, category: str | None = None) -> tuple[SceneBatch, Tensor]:
    """`count` scenes and their categories, int64 [count], numbers into CATEGORIES.

    A single object has any shape and colour; two objects have different shapes and, in `color_attr`, different colours;
    of a counted scene the two to four objects have one shape, and in half of these scenes one colour. Bounding squares
    stay apart, so that which of two lies left, right, above or below is never in doubt.

    Args:
        category: of all; None draws each scene's.

    Raises:
        UnknownName: no such category.
    """
    device = generator.device
    if category is None:
        categories = torch.randint(len(CATEGORIES), (count,), generator=generator, device=device)
    elif category in CATEGORIES:
        categories = torch.full((count,), CATEGORIES.index(category), device=device)
    else:
        raise unknown_name("category", category, CATEGORIES)
    many, attributes = CATEGORIES.index("counting"), CATEGORIES.index("color_attr")
    alone = (categories == CATEGORIES.index("single_object")) | (categories == CATEGORIES.index("colors"))
    counted = torch.randint(2, MOST_OBJECTS + 1, (count,), generator=generator, device=device)
    objects = torch.where(categories == many, counted, torch.where(alone, 1, 2))

    shape = torch.randint(len(SHAPES), (count, 1), generator=generator, device=device)
    step = torch.randint(1, len(SHAPES), (count, 1), generator=generator, device=device)
    second = torch.where(categories[:, None] == many, shape, (shape + step) % len(SHAPES))
    shape = torch.cat([shape, second.expand(-1, MOST_OBJECTS - 1)], dim=1)

    colour = torch.randint(len(COLOURS), (count, MOST_OBJECTS), generator=generator, device=device)
    step = torch.randint(1, len(COLOURS), (count,), generator=generator, device=device)
    apart = (colour[:, 0] + step) % len(COLOURS)
    colour[:, 1] = torch.where(categories == attributes, apart, colour[:, 1])
    alike = torch.rand(count, generator=generator, device=device) < 0.5
    same = ((categories == many) & alike)[:, None]
    colour = torch.where(same, colour[:, :1], colour)

    x, y, size = _places(objects, generator)
    there = torch.arange(MOST_OBJECTS, device=device) < objects[:, None]
    return SceneBatch(torch.where(there, shape, -1), colour, x, y, size), categories


def _places(objects: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Centres and sizes, float32 [B, MOST_OBJECTS] each. Each object takes the first of its drawn places that keeps its
    distance from those before it; a scene in which one finds none is drawn again."""
    device, count = generator.device, len(objects)
    found = torch.zeros(3, count, MOST_OBJECTS, device=device)
    open_rows = torch.arange(count, device=device)
    most = torch.tensor(MOST_SIZE, device=device)
    for _ in range(_ROUNDS):
        if not len(open_rows):
            return found[0], found[1], found[2]
        rows = len(open_rows)
        largest = most[objects[open_rows] - 1][:, None]
        drawn = torch.rand(rows, MOST_OBJECTS, generator=generator, device=device)
        size = LEAST_SIZE + (largest - LEAST_SIZE) * drawn
        lots = torch.rand(2, rows, MOST_OBJECTS, _PLACES_TRIED, generator=generator, device=device)
        margin = (size / 2 + GAP / 2)[..., None]
        centres = margin + lots * (1 - 2 * margin)
        chosen = torch.zeros(2, rows, MOST_OBJECTS, device=device)
        whole = torch.ones(rows, dtype=torch.bool, device=device)
        for place in range(MOST_OBJECTS):
            apart = (centres[:, :, place, :, None] - chosen[:, :, None, :place]).abs().amax(dim=0)
            needed = (size[:, place, None] + size[:, :place]) / 2 + GAP
            free = (apart >= needed[:, None, :]).all(dim=-1)
            whole &= free.any(dim=-1) | (place >= objects[open_rows])
            first = free.int().argmax(dim=-1)[None, :, None].expand(2, -1, 1)
            chosen[:, :, place] = centres[:, :, place].gather(2, first)[..., 0]
        kept = open_rows[whole]
        found[:, kept] = torch.stack([chosen[0], chosen[1], size])[:, whole]
        open_rows = open_rows[~whole]
    raise InfeasibleSpace(f"{len(open_rows)} scenes found no places for their objects", {"no place": len(open_rows)})
