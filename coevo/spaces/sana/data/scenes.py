"""Procedural scenes: coloured shapes on grey, rendered many at once with torch on a CPU or a GPU.

Colours are eight corners of the RGB cube around the grey of the background, so that a pixel on an edge, a mixture of
the two, still points at its object's colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coevo.errors import InputError, unknown_name
from coevo.spaces.sana.data.shapes import SHAPES, edge_distance

AMPLITUDE = 0.8
"""Of a colour's channels, in images of [-1, 1]; the background is 0."""
COLOURS = ("red", "green", "blue", "yellow", "cyan", "purple", "white", "black")
SIGNS = ((1, -1, -1), (-1, 1, -1), (-1, -1, 1), (1, 1, -1), (-1, 1, 1), (1, -1, 1), (1, 1, 1), (-1, -1, -1))
"""Of red, green and blue, by colour."""
MOST_OBJECTS = 4
SOURCE = "procedural scenes made by coevo"


@dataclass(frozen=True)
class SceneObject:
    """A shape: its colour, centre and size (side of its bounding square) as shares of the image's side; y downwards.

    `shape` and `colour` are None where the oracle could not tell.
    """

    shape: str | None
    colour: str | None
    x: float
    y: float
    size: float


@dataclass(frozen=True)
class Scene:
    objects: tuple[SceneObject, ...]


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """Scenes as columns, of at most M objects each; a place without an object has shape -1.

    Args:
        shape, colour: int64 [B, M], numbers into SHAPES and COLOURS.
        x, y, size: float32 [B, M], shares of the image's side.
    """

    shape: Tensor
    colour: Tensor
    x: Tensor
    y: Tensor
    size: Tensor

    def __len__(self) -> int:
        return len(self.shape)

    @property
    def device(self) -> torch.device:
        return self.shape.device

    def to(self, device: torch.device | str) -> SceneBatch:
        return SceneBatch(*(each.to(device) for each in (self.shape, self.colour, self.x, self.y, self.size)))

    def at(self, rows: Tensor) -> SceneBatch:
        """The scenes at these numbers, int64 [any]."""
        return SceneBatch(*(each[rows] for each in (self.shape, self.colour, self.x, self.y, self.size)))

    def scenes(self) -> list[Scene]:
        """The same as values."""
        columns = (self.shape, self.colour, self.x, self.y, self.size)
        made = []
        for row in zip(*(each.tolist() for each in columns), strict=True):
            objects = (
                SceneObject(SHAPES[shape], COLOURS[colour], x, y, size)
                for shape, colour, x, y, size in zip(*row, strict=True)
                if shape >= 0
            )
            made.append(Scene(tuple(objects)))
        return made

    @staticmethod
    def of(scenes: Sequence[Scene]) -> SceneBatch:
        """Columns of values. InputError where a shape or colour is unknown."""
        places = max((len(scene.objects) for scene in scenes), default=0)
        places = max(places, 1)
        shape = torch.full((len(scenes), places), -1)
        colour = torch.zeros(len(scenes), places, dtype=torch.int64)
        numbers = torch.zeros(3, len(scenes), places)
        for row, scene in enumerate(scenes):
            for place, each in enumerate(scene.objects):
                if each.shape not in SHAPES:
                    raise unknown_name("shape", str(each.shape), SHAPES, "a scene")
                if each.colour not in COLOURS:
                    raise unknown_name("colour", str(each.colour), COLOURS, "a scene")
                shape[row, place] = SHAPES.index(each.shape)
                colour[row, place] = COLOURS.index(each.colour)
                numbers[:, row, place] = torch.tensor([each.x, each.y, each.size])
        return SceneBatch(shape, colour, *numbers)


def render(scene: Scene, size_px: int = 64) -> Tensor:
    """float32 [3, size_px, size_px] in [-1, 1]."""
    return render_batch(SceneBatch.of([scene]), size_px)[0]


def render_batch(scenes: SceneBatch, size_px: int = 64) -> Tensor:
    """float32 [B, 3, size_px, size_px] in [-1, 1], anti-aliased, on the scenes' device.

    Objects are meant not to overlap, as those of `draw_scenes`; where they do, their colours add.

    Raises:
        InputError: fewer than 8 pixels.
    """
    if size_px < 8:
        raise InputError(f"size_px: expected at least 8 pixels, got {size_px}")
    places = scenes.shape.shape[1]
    images = torch.empty(len(scenes), 3, size_px, size_px, device=scenes.device)
    budget = 1 << (26 if scenes.device.type == "cuda" else 21)  # values at once: what fits a device, or a cache
    step = max(1, budget // (places * size_px**2))
    palette = AMPLITUDE * torch.tensor(SIGNS, dtype=torch.float32, device=scenes.device)
    for begin in range(0, len(scenes), step):
        rows = slice(begin, begin + step)
        coverage = _coverage(scenes, rows, size_px)
        colours = palette[scenes.colour[rows]].transpose(1, 2)
        images[rows] = torch.bmm(colours, coverage).view(-1, 3, size_px, size_px)
    return images


def _coverage(scenes: SceneBatch, rows: slice, size_px: int) -> Tensor:
    """Share of every pixel that each object covers, float32 [B, M, pixels]."""
    shape = scenes.shape[rows].flatten()
    centre_x, centre_y, size = (each[rows].flatten()[:, None, None] for each in (scenes.x, scenes.y, scenes.size))
    line = (torch.arange(size_px, device=scenes.device) + 0.5) / size_px
    coverage = torch.zeros(len(shape), size_px**2, device=scenes.device)
    for number, name in enumerate(SHAPES):
        chosen = (shape == number).nonzero()[:, 0]
        if len(chosen):
            x, y = line[None, None, :] - centre_x[chosen], line[None, :, None] - centre_y[chosen]
            distance = edge_distance(name, x, y, size[chosen])
            coverage[chosen] = (0.5 - size_px * distance).clamp_(0, 1).flatten(1)
    return coverage.view(-1, scenes.shape.shape[1], size_px**2)
