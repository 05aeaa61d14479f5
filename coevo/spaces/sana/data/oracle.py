"""The oracle: what is in an image of coloured shapes, by classical vision, exact on rendered scenes.

A pixel's colour is the palette's corner that it points at from the background's grey; objects are the connected
components of one colour; a shape is the template with which the component, brought to unit area around its centroid,
overlaps most. No part is learned. `Tolerances` says how far a generated image may be from a rendered one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from coevo.errors import InputError
from coevo.spaces.sana.data.components import components
from coevo.spaces.sana.data.scenes import AMPLITUDE, COLOURS, SIGNS, SceneObject
from coevo.spaces.sana.data.shapes import AREA, CENTROID_BELOW, SHAPES, edge_distance

LEAST_PX = 48
"""Below it the smallest objects have too few pixels for their shapes to be told."""
_GRID = 24
_REACH = 1.0
"""Half of the templates' window, in square roots of the area."""


@dataclass(frozen=True)
class Tolerances:
    """How far from a rendered object a generated one may be.

    Args:
        contrast: least share of a palette colour's distance from the background at which a pixel belongs to an object.
            0.5 puts the edge in the middle of the anti-aliased one.
        colour: every channel of an object's mean colour must stand this far from the background, as a share of the
            palette's; else the colour is unclear (None). 0 takes the nearest palette colour whatever it is.
        speck: components of a smaller share of the image's area are no objects: noise, remains of edges.
        overlap: least intersection over union with the best template; below it the shape is unclear (None).
    """

    contrast: float = 0.5
    colour: float = 0.35
    speck: float = 0.005
    overlap: float = 0.75


TOLERANCES = Tolerances()
EXACT = Tolerances(colour=0.8, speck=0.001, overlap=0.8)
"""For rendered images: what a check of the renderer may ask for."""


def detect(image: Tensor, tolerances: Tolerances = TOLERANCES) -> list[SceneObject]:
    """The objects of an image [3, S, S] in [-1, 1], from top to bottom; shape or colour is None where it is unclear.

    Raises:
        InputError: not an image of that shape, smaller than LEAST_PX, or not finite.
    """
    if image.ndim != 3:
        raise InputError(f"oracle: expected an image [3, S, S], got {list(image.shape)}")
    return detect_all(image[None], tolerances)[0]


@torch.no_grad()
def detect_all(images: Tensor, tolerances: Tolerances = TOLERANCES) -> list[list[SceneObject]]:
    """`detect` for images [B, 3, S, S], on their device."""
    _check(images)
    size_px = images.shape[-1]
    found: list[list[SceneObject]] = []
    for part in torch.split(images.float(), 1024 if images.is_cuda else 64):
        codes = _colour_codes(part, tolerances)
        labels = components(codes)
        objects = _objects(part, codes, labels, tolerances)
        rows: list[list[SceneObject]] = [[] for _ in part]
        for image, shape, colour, x, y, size in zip(*(each.tolist() for each in objects), strict=True):
            shape_name = SHAPES[shape] if shape >= 0 else None
            colour_name = COLOURS[colour] if colour >= 0 else None
            rows[image].append(SceneObject(shape_name, colour_name, x / size_px, y / size_px, size / size_px))
        found += [sorted(each, key=lambda one: (one.y, one.x)) for each in rows]
    return found


def _check(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3] or images.shape[3] < LEAST_PX:
        raise InputError(
            f"oracle: expected images [B, 3, S, S] of at least {LEAST_PX} pixels a side, got {list(images.shape)}"
        )
    if not bool(torch.isfinite(images).all()):
        raise InputError("oracle: the images hold values that are not finite; training or sampling diverged")


def _signs(device: torch.device) -> Tensor:
    return torch.tensor(SIGNS, dtype=torch.float32, device=device)


def _colour_codes(images: Tensor, tolerances: Tolerances) -> Tensor:
    """1 + the number of the colour that each pixel points at, 0 on the background; int64 [B, S, S].

    The palette is all corners of the cube, so that the corner is read from the signs of the channels, and the length
    along its direction is the sum of their magnitudes.
    """
    strength = images.abs().sum(dim=1) / (3 * AMPLITUDE)
    bits = images > 0
    corner = bits[:, 0].long() + 2 * bits[:, 1].long() + 4 * bits[:, 2].long()
    return torch.where(strength >= tolerances.contrast, _corners(images.device)[corner], 0)


def _corners(device: torch.device) -> Tensor:
    """1 + the number of the colour, by the bits of its positive channels; int64 [8]."""
    number = {sum(1 << bit for bit, sign in enumerate(signs) if sign > 0): 1 + k for k, signs in enumerate(SIGNS)}
    return torch.tensor([number[bits] for bits in range(8)], device=device)


def _objects(
    images: Tensor, codes: Tensor, labels: Tensor, tolerances: Tolerances
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Columns of the objects: image, shape and colour (-1: unclear), centre x, y and size in pixels."""
    size_px = labels.shape[-1]
    device = images.device
    image, row, column = (codes > 0).nonzero(as_tuple=True)
    member = labels[image, row, column] - 1
    count = int(member.max()) + 1 if len(member) else 0
    area = torch.bincount(member, minlength=count)
    values = torch.stack(
        [column + 0.5, row + 0.5, *(images[image, channel, row, column] for channel in range(3))]
    )  # fmt: skip
    sums = torch.zeros(5, count, device=device).index_add_(1, member, values)
    owner = torch.zeros(count, dtype=torch.int64, device=device).scatter_(0, member, image)
    kept = (area >= tolerances.speck * size_px**2).nonzero()[:, 0]
    owner, area = owner[kept], area[kept].float()
    centroid_x, centroid_y, *means = sums[:, kept] / area
    mean_colour = torch.stack(means, dim=1)

    along = mean_colour @ _signs(device).T
    colour = along.argmax(dim=1)
    least = (mean_colour * _signs(device)[colour]).amin(dim=1) / AMPLITUDE
    colour = torch.where(least >= tolerances.colour, colour, -1)

    masks = _unit_masks(labels, owner, kept + 1, centroid_x, centroid_y, area)
    templates = _templates().to(device)
    both = torch.minimum(masks[:, None], templates).sum(dim=-1)
    either = torch.maximum(masks[:, None], templates).sum(dim=-1)
    overlap, shape = (both / either).max(dim=1)
    shape_area = torch.tensor([AREA[each] for each in SHAPES], device=device)[shape]
    below = torch.tensor([CENTROID_BELOW[each] for each in SHAPES], device=device)[shape]
    size = (area / shape_area).sqrt()
    centre_y = centroid_y - below * size
    shape = torch.where(overlap >= tolerances.overlap, shape, -1)
    return owner, shape, colour, centroid_x, centre_y, size


def _grid(device: torch.device | None = None) -> Tensor:
    """Offsets of the templates' points, in square roots of the area."""
    return ((torch.arange(_GRID, device=device) + 0.5) / _GRID * 2 - 1) * _REACH


def _unit_masks(labels: Tensor, owner: Tensor, label: Tensor, x: Tensor, y: Tensor, area: Tensor) -> Tensor:
    """Each component at the templates' points, bilinear between pixels; float32 [components, points]."""
    size_px = labels.shape[-1]
    offsets = _grid(labels.device) * area.sqrt()[:, None]
    across, down = x[:, None] + offsets - 0.5, y[:, None] + offsets - 0.5
    mask = torch.zeros(len(owner), _GRID, _GRID, device=labels.device)
    for step_y in (0, 1):
        for step_x in (0, 1):
            column, row = across.floor() + step_x, down.floor() + step_y
            weight_x, weight_y = 1 - (across - column).abs(), 1 - (down - row).abs()
            inside = (row.clamp(0, size_px - 1) == row)[:, :, None] & (column.clamp(0, size_px - 1) == column)[:, None]
            at_row, at_column = (each.long().clamp(0, size_px - 1) for each in (row, column))
            there = labels[owner[:, None, None], at_row[:, :, None], at_column[:, None]] == label[:, None, None]
            mask += weight_y[:, :, None] * weight_x[:, None] * (there & inside)
    return mask.flatten(1)


@lru_cache(maxsize=1)
def _templates() -> Tensor:
    """Every shape of unit area around its centroid at the points of the grid, float32 [shapes, points]."""
    fine = 4
    line = ((torch.arange(fine * _GRID) + 0.5) / (fine * _GRID) * 2 - 1) * _REACH
    made = []
    for name in SHAPES:
        size = torch.tensor(AREA[name] ** -0.5)
        inside = edge_distance(name, line[None, :], line[:, None] + CENTROID_BELOW[name] * size, size) < 0
        made.append(inside.float().view(_GRID, fine, _GRID, fine).mean(dim=(1, 3)).flatten())
    return torch.stack(made)
