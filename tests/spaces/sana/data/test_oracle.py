"""The oracle over rendered scenes, distorted ones and wrong ones; components against a flood fill."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from coevo.errors import InputError
from coevo.spaces.sana.data.components import components
from coevo.spaces.sana.data.drawn import CATEGORIES, draw_scenes
from coevo.spaces.sana.data.oracle import EXACT, LEAST_PX, TOLERANCES, Tolerances, detect, detect_all
from coevo.spaces.sana.data.prompts import Prompt, Wanted, prompt_of
from coevo.spaces.sana.data.satisfaction import satisfied, satisfies, why_not
from coevo.spaces.sana.data.scenes import AMPLITUDE, COLOURS, Scene, SceneObject, render, render_batch
from coevo.spaces.sana.data.shapes import SHAPES


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flooded(codes: torch.Tensor) -> torch.Tensor:
    """The plain reference: a flood from every pixel that none has reached."""
    labels, number = torch.zeros_like(codes), 0
    for b, row, column in (codes > 0).nonzero().tolist():
        if labels[b, row, column]:
            continue
        number += 1
        front = [(row, column)]
        while front:
            y, x = front.pop()
            if not (0 <= y < codes.shape[1] and 0 <= x < codes.shape[2]):
                continue
            if labels[b, y, x] or codes[b, y, x] != codes[b, row, column]:
                continue
            labels[b, y, x] = number
            front += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return labels


@pytest.mark.parametrize("colours", [1, 2, 4])
def test_components_are_those_of_a_flood(colours: int) -> None:
    for share in (0.3, 0.6, 0.95, 1.0):
        codes = torch.randint(1, colours + 1, (3, 17, 23), generator=seeded(colours))
        codes *= torch.rand(codes.shape, generator=seeded(9)) < share
        assert torch.equal(components(codes), flooded(codes))


def test_components_of_a_spiral_and_of_nothing() -> None:
    spiral = torch.zeros(41, 41, dtype=torch.int64)
    y, x, dy, dx, left = 0, -1, 0, 1, 41
    while left > 0:
        for _ in range(left):
            y, x = y + dy, x + dx
            spiral[y, x] = 1
        dy, dx = dx, -dy
        left -= 2 if dy == 0 or left == 41 else 0
        if left == 39 and dy == 1:
            left = 40
    both = torch.stack([spiral, torch.zeros_like(spiral)])
    assert torch.equal(components(both), flooded(both))
    assert components(torch.zeros(0, 3, 3, dtype=torch.int64)).shape == (0, 3, 3)
    assert not components(torch.zeros(2, 3, 3, dtype=torch.int64)).any()


def kinds(objects: list[SceneObject] | tuple[SceneObject, ...]) -> list[tuple[str, str]]:
    return sorted((str(each.shape), str(each.colour)) for each in objects)


@pytest.mark.parametrize(
    ("size_px", "scenes", "tolerances"),
    [(64, 1500, TOLERANCES), (64, 500, EXACT), (48, 300, TOLERANCES), (128, 60, EXACT)],
)
def test_rendered_scenes_are_read_back(size_px: int, scenes: int, tolerances: Tolerances) -> None:
    drawn, categories = draw_scenes(scenes, seeded(size_px))
    found = detect_all(render_batch(drawn, size_px), tolerances)
    right = holds = 0
    for scene, objects, number in zip(drawn.scenes(), found, categories.tolist(), strict=True):
        holds += why_not(objects, prompt_of(scene, CATEGORIES[number])) is None
        if kinds(scene.objects) == kinds(objects):
            right += 1
            for each in scene.objects:
                near = min(objects, key=lambda one, each=each: abs(one.x - each.x) + abs(one.y - each.y))
                assert near.shape == each.shape and near.colour == each.colour
                gap = max(abs(near.x - each.x), abs(near.y - each.y), abs(near.size - each.size) / 2)
                assert gap * size_px < 1
    assert right >= 0.995 * scenes and holds >= 0.995 * scenes


def test_noise_and_faint_colours_are_borne() -> None:
    drawn, _ = draw_scenes(300, seeded(4))
    images = render_batch(drawn, 64)
    noisy = images + 0.15 * torch.randn(images.shape, generator=seeded(5))
    faint = 0.75 * images + 0.05
    soft = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    for changed, least in ((noisy, 0.99), (faint, 0.99), (soft, 0.95)):
        pairs = zip(drawn.scenes(), detect_all(changed), strict=True)
        assert sum(kinds(scene.objects) == kinds(found) for scene, found in pairs) >= least * len(images)


def test_the_oracle_says_no_to_every_wrong_scene() -> None:
    """An image is checked against the prompts of scenes that differ from it in one thing."""
    drawn, categories = draw_scenes(240, seeded(6))
    images, wrong = [], []
    for scene, number in zip(drawn.scenes(), categories.tolist(), strict=True):
        prompt, first = prompt_of(scene, CATEGORIES[number]), scene.objects[0]
        other = SHAPES[(SHAPES.index(str(first.shape)) + 1) % 6]
        changes = [Scene(scene.objects[1:]), Scene((dataclasses.replace(first, shape=other), *scene.objects[1:]))]
        if prompt.objects[0].colour is not None:
            teal = COLOURS[(COLOURS.index(str(first.colour)) + 1) % 8]
            changes.append(Scene((dataclasses.replace(first, colour=teal), *scene.objects[1:])))
        if prompt.category == "color_attr":  # the attributes swapped
            second = scene.objects[1]
            changes.append(
                Scene(
                    (dataclasses.replace(first, colour=second.colour), dataclasses.replace(second, colour=first.colour))
                )
            )
        if prompt.relation is not None:
            second = scene.objects[1]
            changes.append(
                Scene(
                    (
                        dataclasses.replace(first, x=second.x, y=second.y),
                        dataclasses.replace(second, x=first.x, y=first.y),
                    )
                )
            )
        images += [render(each, 64) for each in changes]
        wrong += [prompt] * len(changes)
    assert not satisfied(torch.stack(images), wrong).any()
    assert len({each.category for each in wrong}) == 6


def test_strict_and_genevals_rule() -> None:
    circle = SceneObject("circle", "red", 0.2, 0.2, 0.2)
    ring = SceneObject("ring", "blue", 0.7, 0.7, 0.2)
    one, two = Prompt((Wanted("circle"),)), Prompt((Wanted("circle", None, 2),))
    assert why_not([circle], one) is None
    assert why_not([circle, ring], one) == "expected 1 objects in all, found 2"
    assert why_not([circle, ring], one, strict=False) is None
    assert why_not([circle, circle], one, strict=False) is None
    assert why_not([circle] * 3, two, strict=False) == "expected two circles, found 3"
    assert (
        why_not([circle, ring], Prompt((Wanted("ring"), Wanted("circle")), "left of"))
        == "a ring is not left of a circle"
    )
    assert why_not([circle, ring], Prompt((Wanted("circle"), Wanted("ring")), "above")) is None
    both = Prompt((Wanted("circle", "red"), Wanted("circle", "blue")))
    assert why_not([circle, dataclasses.replace(circle, colour="blue")], both) is None
    unclear = dataclasses.replace(ring, shape=None)
    assert why_not([circle, unclear], one) is not None


def test_unclear_things_are_no_objects_of_a_name() -> None:
    image = torch.zeros(3, 64, 64)
    image[0, 10:30, 10:30] = AMPLITUDE  # red, but green is as the background: between red and yellow
    image[2, 10:30, 10:30] = -AMPLITUDE
    assert [each.colour for each in detect(image, Tolerances(contrast=0.4))] == [None]
    line = torch.zeros(3, 64, 64)
    line[:, 30:34, 5:60] = AMPLITUDE
    assert [(each.shape, each.colour) for each in detect(line)] == [(None, "white")]
    speck = torch.zeros(3, 64, 64)
    speck[:, 30:33, 30:33] = AMPLITUDE
    assert detect(speck) == []
    assert detect(torch.zeros(3, 64, 64)) == []


def test_bad_images() -> None:
    with pytest.raises(InputError, match=r"expected an image \[3, S, S\]"):
        detect(torch.zeros(64, 64))
    with pytest.raises(InputError, match=f"at least {LEAST_PX} pixels"):
        detect(torch.zeros(3, 16, 16))
    with pytest.raises(InputError, match="not finite"):
        satisfies(torch.full((3, 64, 64), float("nan")), "a circle")
    with pytest.raises(InputError, match="1 images and 2 prompts"):
        satisfied(torch.zeros(1, 3, 64, 64), ["a circle"] * 2)
    with pytest.raises(InputError, match="unknown attribute 'hexagon'"):
        satisfies(torch.zeros(3, 64, 64), "a hexagon")
