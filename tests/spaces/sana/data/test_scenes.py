"""Rendered scenes against supersampled ones, drawn scenes, captions and prompts."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from coevo.errors import InputError, UnknownName
from coevo.spaces.sana.data.drawn import CATEGORIES, GAP, draw_scenes
from coevo.spaces.sana.data.prompts import (
    VOCABULARY,
    Prompt,
    Wanted,
    all_prompts,
    caption_of,
    captions_of,
    full_prompt,
    parse_prompt,
    prompt_of,
    prompt_suite,
    relation_holds,
)
from coevo.spaces.sana.data.scenes import (
    AMPLITUDE,
    COLOURS,
    SIGNS,
    Scene,
    SceneBatch,
    SceneObject,
    render,
    render_batch,
)
from coevo.spaces.sana.data.shapes import AREA, CENTROID_BELOW, SHAPES


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_covers_what_supersampling_says(shape: str) -> None:
    scene = Scene((SceneObject(shape, "red", 0.43, 0.55, 0.4),))
    image = render(scene, 48)
    fine = (render(scene, 48 * 16)[0] > AMPLITUDE / 2).float()
    coverage = torch.nn.functional.avg_pool2d(fine[None, None], 16)[0, 0]
    difference = (image[0] / AMPLITUDE - coverage).abs()
    assert difference.mean() < 0.004 and difference.max() < 0.45
    assert torch.equal(image[1], -image[0])
    size_px = 0.4 * 48
    assert fine.mean() * 48**2 == pytest.approx(AREA[shape] * size_px**2, rel=0.01)
    rows = torch.arange(48 * 16) + 0.5
    centroid = float((fine.sum(1) * rows).sum() / fine.sum()) / (48 * 16)
    assert centroid == pytest.approx(0.55 + CENTROID_BELOW[shape] * 0.4, abs=0.003)


def test_colours_are_the_corners_around_the_background() -> None:
    assert len(set(SIGNS)) == len(SIGNS) == len(COLOURS) == 8
    for colour, signs in zip(COLOURS, SIGNS, strict=True):
        image = render(Scene((SceneObject("square", colour, 0.5, 0.5, 0.5),)), 16)
        assert torch.equal(image[:, 8, 8], AMPLITUDE * torch.tensor(signs, dtype=torch.float32))
        assert torch.equal(image[:, 0, 0], torch.zeros(3))


def test_a_batch_is_its_scenes_one_by_one() -> None:
    drawn, _ = draw_scenes(40, seeded(0))
    together = render_batch(drawn, 32)
    scenes = drawn.scenes()
    assert torch.equal(together, torch.stack([render(each, 32) for each in scenes]))
    again = SceneBatch.of(scenes)
    assert torch.equal(render_batch(again, 32), together)
    assert again.scenes() == scenes


def test_rendering_goes_part_by_part_alike() -> None:
    drawn, _ = draw_scenes(300, seeded(1))
    images = render_batch(drawn, 64)  # more values than one part holds
    rows = torch.tensor([0, 127, 128, 299])
    picked = drawn.at(rows)
    assert torch.equal(images[rows], render_batch(picked, 64))


def test_drawn_scenes_hold_to_their_categories_and_stay_apart() -> None:
    drawn, categories = draw_scenes(3000, seeded(2))
    seen = torch.bincount(categories, minlength=6)
    assert (seen - 500).abs().max() < 100
    counts = set()
    for scene, number in zip(drawn.scenes(), categories.tolist(), strict=True):
        objects, category = scene.objects, CATEGORIES[number]
        shapes, colours = [each.shape for each in objects], [each.colour for each in objects]
        if category in ("single_object", "colors"):
            assert len(objects) == 1
        elif category == "counting":
            assert 2 <= len(objects) <= 4 and len(set(shapes)) == 1
            counts.add((len(objects), len(set(colours)) == 1))
        else:
            assert len(objects) == 2 and shapes[0] != shapes[1]
            assert category != "color_attr" or colours[0] != colours[1]
        for a, b in itertools.combinations(objects, 2):
            needed = (a.size + b.size) / 2 + GAP
            assert max(abs(a.x - b.x), abs(a.y - b.y)) >= needed - 1e-6
        for each in objects:
            assert each.x - each.size / 2 >= GAP / 2 - 1e-6 and each.y + each.size / 2 <= 1 - GAP / 2 + 1e-6
    assert len(counts) == 6


def test_drawing_follows_from_the_generator() -> None:
    for category in (None, *CATEGORIES):
        first, second = (render_batch(draw_scenes(20, seeded(5), category)[0], 16) for _ in range(2))
        assert torch.equal(first, second)
        assert not torch.equal(first, render_batch(draw_scenes(20, seeded(6), category)[0], 16))
    with pytest.raises(UnknownName, match="Did you mean 'counting'"):
        draw_scenes(1, seeded(0), "countin")


def test_prompts_of_every_category() -> None:
    counts = {category: len(set(all_prompts(category))) for category in CATEGORIES}
    assert counts == dict(zip(CATEGORIES, (6, 30, 18, 48, 120, 1680), strict=True))
    texts = [prompt.text for category in CATEGORIES for prompt in all_prompts(category)]
    assert len(set(texts)) == len(texts)
    assert {word for text in texts for word in text.split()} == set(VOCABULARY)
    for category in CATEGORIES:
        for prompt in all_prompts(category)[::7]:
            assert prompt.category == category
            assert parse_prompt(prompt.text) == prompt


def test_a_scene_is_described_exactly() -> None:
    drawn, categories = draw_scenes(600, seeded(3))
    captions = captions_of(drawn, categories)
    for scene, number, caption in zip(drawn.scenes(), categories.tolist(), captions, strict=True):
        prompt = prompt_of(scene, CATEGORIES[number])
        assert prompt.text == caption and prompt.category == CATEGORIES[number]
        whole = full_prompt(scene)
        assert parse_prompt(caption_of(scene)) == whole
        assert sum(each.count for each in whole.objects) == len(scene.objects)
        if prompt.relation:
            assert relation_holds(*scene.objects, prompt.relation)
    three = Scene(tuple(SceneObject("ring", "cyan", 0.2 + 0.3 * k, 0.5, 0.2) for k in range(3)))
    assert caption_of(three) == "three cyan rings"
    two = Scene((SceneObject("ring", "cyan", 0.2, 0.8, 0.2), SceneObject("cross", "black", 0.3, 0.2, 0.2)))
    assert caption_of(two) == "a cyan ring below a black cross"


def test_genevals_rule_of_position() -> None:
    def at(x: float, y: float) -> SceneObject:
        return SceneObject("circle", "red", x, y, 0.2)

    middle = at(0.5, 0.5)
    for relation, (x, y) in {
        "left of": (0.1, 0.5),
        "right of": (0.9, 0.5),
        "above": (0.5, 0.1),
        "below": (0.5, 0.9),
    }.items():
        holding = [name for name in ("left of", "right of", "above", "below") if relation_holds(at(x, y), middle, name)]
        assert holding == [relation]
    diagonal = at(0.1, 0.1)
    assert relation_holds(diagonal, middle, "left of") and relation_holds(diagonal, middle, "above")
    assert not relation_holds(at(0.47, 0.5), middle, "left of")  # less than a tenth of both sizes apart
    short = at(0.5 - 0.04 - 0.1, 0.5 - 0.04 - 0.1 * math.tan(math.radians(61)))  # 61 degrees after both are shortened
    assert relation_holds(short, middle, "above") and not relation_holds(short, middle, "left of")


def test_the_suite_is_a_function_of_its_seed() -> None:
    suite = prompt_suite(20, 1)
    assert suite == prompt_suite(20, 1) != prompt_suite(20, 2)
    assert [sum(each.category == name for each in suite) for name in CATEGORIES] == [6, 20, 18, 20, 20, 20]
    assert len(set(suite)) == len(suite)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a crimson circle", r"unknown attribute 'crimson' .* vocabulary: a, two"),
        ("a gren circle", "Did you mean 'green'"),
        ("two circle", "'two circle' is no object"),
        ("a red blue circle", "is no object"),
        ("", "is no object"),
        ("a circle left of a square above a ring", "at most one relation"),
        ("circle", "expected a count"),
    ],
)
def test_prompts_that_cannot_be_read(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_prompt(text)


def test_scenes_that_cannot_be() -> None:
    with pytest.raises(UnknownName, match="unknown shape 'star'"):
        render(Scene((SceneObject("star", "red", 0.5, 0.5, 0.3),)))
    with pytest.raises(UnknownName, match="unknown colour 'teal'"):
        render(Scene((SceneObject("ring", "teal", 0.5, 0.5, 0.3),)))
    with pytest.raises(InputError, match="at least 8 pixels"):
        render(Scene(()), 4)
    with pytest.raises(InputError, match="counts 1 to 4"):
        caption_of(Scene(()))
    assert torch.equal(render(Scene(()), 8), torch.zeros(3, 8, 8))
    assert Prompt((Wanted("ring", "red", 2),)).category is None
