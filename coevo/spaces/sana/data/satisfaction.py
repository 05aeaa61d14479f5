"""Does an image show what a prompt asks for? GenEval's rules over the oracle's objects."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from coevo.errors import InputError
from coevo.spaces.sana.data.oracle import TOLERANCES, Tolerances, detect_all
from coevo.spaces.sana.data.prompts import Prompt, Wanted, parse_prompt, relation_holds
from coevo.spaces.sana.data.scenes import SceneObject


def why_not(objects: Sequence[SceneObject], prompt: Prompt, *, strict: bool = True) -> str | None:
    """What is wrong with the objects of an image; None where they satisfy the prompt.

    Args:
        strict: the image shows what the prompt names and nothing else, as the scenes do that models train on. False is
            GenEval's rule: at least the objects named (exactly as many where they are counted), others beside them.
    """
    for wanted in prompt.objects:
        there = len(_matching(objects, wanted))
        exact = strict or wanted.count > 1
        if there < wanted.count or (exact and there > wanted.count and _alone(wanted, prompt)):
            return f"expected {wanted.text}, found {there}"
    total = sum(wanted.count for wanted in prompt.objects)
    if strict and len(objects) != total:
        return f"expected {total} objects in all, found {len(objects)}"
    if prompt.relation is not None:
        pairs = itertools.product(*(_matching(objects, wanted) for wanted in prompt.objects))
        if not any(relation_holds(a, b, prompt.relation) for a, b in pairs if a is not b):
            return f"{prompt.objects[0].text} is not {prompt.relation} {prompt.objects[1].text}"
    return None


def _matching(objects: Sequence[SceneObject], wanted: Wanted) -> list[SceneObject]:
    return [each for each in objects if each.shape == wanted.shape and wanted.colour in (None, each.colour)]


def _alone(wanted: Wanted, prompt: Prompt) -> bool:
    """Whether no other part of the prompt names objects that this part would match as well."""
    return not any(
        other is not wanted and other.shape == wanted.shape and (wanted.colour is None or other.colour == wanted.colour)
        for other in prompt.objects
    )


def satisfies(image: Tensor, prompt: Prompt | str, tolerances: Tolerances = TOLERANCES, *, strict: bool = True) -> bool:
    """Whether the image [3, S, S] in [-1, 1] shows what the prompt asks for."""
    return bool(satisfied(image[None], [prompt], tolerances, strict=strict)[0])


def satisfied(
    images: Tensor, prompts: Sequence[Prompt | str], tolerances: Tolerances = TOLERANCES, *, strict: bool = True
) -> Tensor:
    """`satisfies` for images [B, 3, S, S] and their prompts: bool [B], on the CPU.

    Raises:
        InputError: unequal numbers of images and prompts, a prompt that cannot be read, or no images.
    """
    if len(images) != len(prompts):
        raise InputError(f"oracle: expected a prompt an image, got {len(images)} images and {len(prompts)} prompts")
    read: dict[str, Prompt] = {}
    asked = [
        each if isinstance(each, Prompt) else read.setdefault(each, parse_prompt(each)) for each in prompts
    ]  # fmt: skip
    pairs = zip(detect_all(images, tolerances), asked, strict=True)
    return torch.tensor([why_not(objects, prompt, strict=strict) is None for objects, prompt in pairs])
