"""Prompts in GenEval's six categories (arXiv 2310.11513), as values, as text, and back.

    single_object  a circle                     colors      a red circle
    two_object     a circle and a square        position    a circle left of a square
    counting       three circles                color_attr  a red circle and a blue square

The vocabulary is closed (`VOCABULARY`); a word outside it is an error that names it.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from coevo.errors import InputError, nearest, unknown_name
from coevo.spaces.sana.data.drawn import CATEGORIES
from coevo.spaces.sana.data.scenes import COLOURS, MOST_OBJECTS, Scene, SceneBatch, SceneObject
from coevo.spaces.sana.data.shapes import PLURALS, SHAPES

COUNTS = ("a", "two", "three", "four")
RELATIONS = ("left of", "right of", "above", "below")
VOCABULARY = tuple(dict.fromkeys([*COUNTS, "and", *" ".join(RELATIONS).split(), *COLOURS, *SHAPES, *PLURALS]))
"""Every word of a caption."""
SAMPLES_PER_PROMPT = 4
"""GenEval's number of images a prompt."""
_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True)
class Wanted:
    """So many objects of a shape, of a colour or of any (None)."""

    shape: str
    colour: str | None = None
    count: int = 1

    @property
    def text(self) -> str:
        noun = self.shape if self.count == 1 else PLURALS[SHAPES.index(self.shape)]
        return " ".join(filter(None, (COUNTS[self.count - 1], self.colour, noun)))


@dataclass(frozen=True)
class Prompt:
    """What an image is to show: `objects`, and how the first lies to the second (None: anyhow)."""

    objects: tuple[Wanted, ...]
    relation: str | None = None

    @property
    def text(self) -> str:
        joint = f" {self.relation} " if self.relation else " and "
        return joint.join(each.text for each in self.objects)

    @property
    def category(self) -> str | None:
        """GenEval's category; None where the prompt is of none of the six."""
        colours = [each.colour is not None for each in self.objects]
        counts = [each.count for each in self.objects]
        if len(self.objects) == 1:
            if counts[0] == 1:
                return "colors" if colours[0] else "single_object"
            return None if colours[0] else "counting"
        if len(self.objects) != 2 or counts != [1, 1] or self.objects[0].shape == self.objects[1].shape:
            return None
        if self.relation:
            return None if any(colours) else "position"
        return {(True, True): "color_attr", (False, False): "two_object"}.get((colours[0], colours[1]))


def direction(a: SceneObject, b: SceneObject) -> tuple[float, float]:
    """Where `a` lies from `b`, a unit vector (or zeros), by GenEval's rule: offsets of the centres are first shortened
    by a tenth of the two sizes together."""
    short = 0.1 * (a.size + b.size)
    dx, dy = (max(abs(each) - short, 0.0) * (1 if each > 0 else -1) for each in (a.x - b.x, a.y - b.y))
    length = (dx * dx + dy * dy) ** 0.5
    return (dx / length, dy / length) if length else (0.0, 0.0)


def relation_holds(a: SceneObject, b: SceneObject, relation: str) -> bool:
    """Whether `a` lies so to `b` by GenEval's rule: more than half of the unit vector points there."""
    dx, dy = direction(a, b)
    return {"left of": dx < -0.5, "right of": dx > 0.5, "above": dy < -0.5, "below": dy > 0.5}[relation]


def main_relation(a: SceneObject, b: SceneObject) -> str:
    """The relation along the axis on which the two lie further apart."""
    dx, dy = direction(a, b)
    if abs(dx) > abs(dy):
        return "left of" if dx < 0 else "right of"
    return "above" if dy < 0 else "below"


def caption_of(scene: Scene) -> str:
    """All that a scene shows: counts, colours, shapes, and of two single objects how the first lies to the second."""
    return full_prompt(scene).text


def full_prompt(scene: Scene) -> Prompt:
    """`caption_of` as a value. InputError for a scene without objects, or with more of a kind than can be counted."""
    groups: dict[tuple[str, str], int] = {}
    for each in scene.objects:
        assert each.shape is not None and each.colour is not None
        groups[each.shape, each.colour] = groups.get((each.shape, each.colour), 0) + 1
    if not groups or max(groups.values()) > MOST_OBJECTS:
        raise InputError(f"a caption counts 1 to {MOST_OBJECTS} objects of a kind, the scene has {groups or 'none'}")
    wanted = tuple(Wanted(shape, colour, count) for (shape, colour), count in groups.items())
    both = len(scene.objects) == len(wanted) == 2
    return Prompt(wanted, main_relation(*scene.objects) if both else None)


def prompt_of(scene: Scene, category: str) -> Prompt:
    """What the category says of a scene that was drawn for it. The scene satisfies it exactly."""
    shapes = [str(each.shape) for each in scene.objects]
    colours = [each.colour for each in scene.objects]
    if category == "counting":
        return Prompt((Wanted(shapes[0], None, len(shapes)),))
    if category not in CATEGORIES:
        raise unknown_name("category", category, CATEGORIES)
    coloured = category in ("colors", "color_attr")
    objects = tuple(Wanted(shape, colour if coloured else None) for shape, colour in zip(shapes, colours, strict=True))
    return Prompt(objects, main_relation(*scene.objects) if category == "position" else None)


def prompts_of(scenes: SceneBatch, categories: Tensor) -> list[Prompt]:
    """The category's prompt of every scene of a batch."""
    pairs = zip(scenes.scenes(), categories.tolist(), strict=True)
    return [prompt_of(scene, CATEGORIES[number]) for scene, number in pairs]


def captions_of(scenes: SceneBatch, categories: Tensor) -> list[str]:
    """The same as texts."""
    return [prompt.text for prompt in prompts_of(scenes, categories)]


def parse_prompt(text: str) -> Prompt:
    """The prompt that a text says. InputError names a word outside the vocabulary, or what is wrong with the order."""
    check_words(text)
    relations = [each for each in RELATIONS if f" {each} " in f" {text} "]
    joint = relations[0] if relations else "and"
    parts = re.split(rf"\s+{joint}\s+", text.strip())
    if len(relations) > 1 or (relations and len(parts) != 2):
        raise InputError(f"prompt {text!r}: expected at most one relation between two objects; for instance "
                         "'a circle left of a square'")  # fmt: skip
    return Prompt(tuple(_parse_wanted(part, text) for part in parts), relations[0] if relations else None)


def _parse_wanted(part: str, text: str) -> Wanted:
    words = part.split()
    if len(words) in (2, 3) and words[0] in COUNTS and all(word in COLOURS for word in words[1:-1]):
        count = COUNTS.index(words[0]) + 1
        nouns = SHAPES if count == 1 else PLURALS
        if words[-1] in nouns:
            return Wanted(SHAPES[nouns.index(words[-1])], words[1] if len(words) == 3 else None, count)
    raise InputError(f"prompt {text!r}: {part!r} is no object; expected a count (a, two, three, four), maybe a colour, "
                     "and a shape in its number, as 'a red circle' or 'two circles'")  # fmt: skip


def check_words(text: str) -> None:
    """InputError where a word is outside the vocabulary; it names the word, the nearest one and the vocabulary."""
    for word in text.split():
        if word not in VOCABULARY:
            close = nearest(word, VOCABULARY)
            hint = f" Did you mean {close!r}?" if close else ""
            raise InputError(f"unknown attribute {word!r} in the caption {text!r}.{hint} The vocabulary: "
                             f"{', '.join(VOCABULARY)}")  # fmt: skip


def altered(prompt: Prompt, rng: random.Random) -> Prompt:
    """A prompt that differs in one thing, so that no scene satisfies both (under the oracle's strict rule): a shape, a
    colour, a number, the side, colours or places exchanged, an object more or one less."""
    first, *rest = prompt.objects
    shapes = [each for each in SHAPES if all(each != other.shape for other in prompt.objects)]
    ways = [Prompt((replace(first, shape=rng.choice(shapes)), *rest), prompt.relation)]
    if first.colour is not None:
        colours = [each for each in COLOURS if each != first.colour]
        ways.append(Prompt((replace(first, colour=rng.choice(colours)), *rest), prompt.relation))
    if not rest:
        counts = [each for each in range(1, MOST_OBJECTS + 1) if each != first.count]
        ways.append(Prompt((replace(first, count=rng.choice(counts)),)))
        ways.append(Prompt((first, Wanted(rng.choice(shapes), first.colour and rng.choice(COLOURS)))))
    else:
        ways.append(Prompt((rng.choice(prompt.objects),)))
        last = rest[-1]
        if first.colour != last.colour:
            ways.append(Prompt((replace(first, colour=last.colour), replace(last, colour=first.colour))))
        if prompt.relation is not None:
            ways.append(Prompt((last, first), prompt.relation))
            ways.append(Prompt((first, last), _OPPOSITE[prompt.relation]))
    return rng.choice(ways)


def all_prompts(category: str) -> list[Prompt]:
    """Every prompt of a category: 6, 30, 18, 48, 120 and 1,680 in the order of CATEGORIES."""
    pairs = [(Wanted(a), Wanted(b)) for a, b in itertools.permutations(SHAPES, 2)]
    if category == "single_object":
        return [Prompt((Wanted(shape),)) for shape in SHAPES]
    if category == "two_object":
        return [Prompt(pair) for pair in pairs]
    if category == "counting":
        return [Prompt((Wanted(shape, None, n),)) for shape in SHAPES for n in range(2, MOST_OBJECTS + 1)]
    if category == "colors":
        return [Prompt((Wanted(shape, colour),)) for shape in SHAPES for colour in COLOURS]
    if category == "position":
        return [Prompt(pair, relation) for pair in pairs for relation in RELATIONS]
    if category == "color_attr":
        colours = list(itertools.permutations(COLOURS, 2))
        return [
            Prompt((Wanted(a.shape, first), Wanted(b.shape, second))) for a, b in pairs for first, second in colours
        ]  # fmt: skip
    raise unknown_name("category", category, CATEGORIES)


def prompt_suite(per_category: int, seed: int = 0, categories: Sequence[str] = CATEGORIES) -> list[Prompt]:
    """So many prompts of every category, without repeats, or all where there are fewer; a function of the seed."""
    suite = []
    for category in categories:
        prompts = all_prompts(category)
        random.Random(f"{seed}/{category}").shuffle(prompts)
        suite += prompts[:per_category]
    return suite
