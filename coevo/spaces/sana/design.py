"""A transformer of Sana's space with how it samples, and the function that asks for one.

Which blocks of the source stay is told by the runs of neighbours that do not: their number, and of each its first block
and its length. What can be left out lies together in depth (PPCL, CVPR 2026, arXiv 2511.16156), and numbers have
neighbours: a mutation slides a run, grows or shrinks it, adds one or gives one back, where a flip of one of many bits
would leave holes. Runs are asked from the bottom up with a kept block between them, so that every mask has exactly one
way to be told, and none that is asked for is refused.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, TypeVar

from coevo.errors import ConfigError, InputError
from coevo.search.pick import Pick
from coevo.spaces.sana.depth.masks import Keep, check_keep, check_kept, removed_runs, uniform_keep
from coevo.spaces.sana.model.config import ATTENTION_KINDS, BlockConfig, SanaConfig

T = TypeVar("T")
UNGUIDED = 1.0
"""The guidance at which the pass without text has no weight, and is not run."""


@dataclass(frozen=True)
class SanaDesign:
    """A value of the space.

    Attributes:
        keep: [source's depth], whether a block of the source stays.
        ffn_ratios: one a kept block, hidden channels of its Mix-FFN over the width.
        attention: one a kept block, "linear" or "softmax".
        steps: of the solver.
        guidance: classifier-free; 1 runs without the pass that has no text.
        samples: images drawn for a prompt, of which a verifier picks one.

    Raises:
        InputError: a mask that keeps nothing; ratios or kinds of another number than the kept blocks; a number below 1.
    """

    keep: Keep
    ffn_ratios: tuple[float, ...]
    attention: tuple[str, ...]
    steps: int
    guidance: float
    samples: int

    def __post_init__(self) -> None:
        check_keep(self.keep, len(self.keep), "SanaDesign.keep")
        if len(self.ffn_ratios) != self.depth or len(self.attention) != self.depth:
            raise InputError(
                f"SanaDesign keeps {self.depth} blocks, got {len(self.ffn_ratios)} FFN ratios and "
                f"{len(self.attention)} kinds of attention: give one for every kept block"
            )
        if self.steps < 1 or self.samples < 1 or not self.guidance >= UNGUIDED:
            raise InputError(
                f"SanaDesign needs steps, guidance and samples from 1 up, got {self.steps}, {self.guidance} and "
                f"{self.samples}"
            )

    @property
    def depth(self) -> int:
        """Kept blocks."""
        return sum(self.keep)

    @property
    def is_guided(self) -> bool:
        """Whether every step runs a second pass."""
        return self.guidance != UNGUIDED

    @property
    def passes(self) -> int:
        """Images in a batch of the transformer for one prompt."""
        return self.samples * (2 if self.is_guided else 1)

    @property
    def blocks(self) -> tuple[BlockConfig, ...]:
        """Of the kept blocks, from the bottom up."""
        return tuple(BlockConfig(kind, ratio) for kind, ratio in zip(self.attention, self.ffn_ratios, strict=True))

    def network(self, source: SanaConfig) -> SanaConfig:
        """The shape of the kept blocks on their own.

        Raises:
            InputError: a mask of another length than the source's depth.
        """
        check_keep(self.keep, source.depth, "the design's mask")
        return source.with_blocks(self.blocks)

    def sampled(self, steps: int, guidance: float, samples: int) -> SanaDesign:
        """The same network sampled otherwise."""
        return SanaDesign(self.keep, self.ffn_ratios, self.attention, steps, guidance, samples)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, document: Any) -> SanaDesign:
        """What `to_json` wrote. InputError where it is none."""
        wanted = {each.name for each in fields(cls)}
        if not isinstance(document, Mapping) or set(document) != wanted:
            got = sorted(document) if isinstance(document, Mapping) else type(document).__name__
            raise InputError(f"a SanaDesign in JSON has {', '.join(sorted(wanted))}, got {got}")
        given: dict[str, Any] = {name: tuple(e) if isinstance(e, list) else e for name, e in document.items()}
        return cls(**given)


@dataclass(frozen=True)
class Bounds:
    """What may be chosen.

    Attributes:
        depth: blocks of the source.
        ffn_ratios: of a block, ascending; the last is the source's.
        attention: kinds that a block may have.
        steps, guidance, samples: how images may be drawn, ascending.
        least_depth: blocks that stay at least.
        most_runs: of removed neighbours; (depth + 1) // 2 reaches every mask.
    """

    depth: int
    ffn_ratios: tuple[float, ...] = (1.25, 2.5)
    attention: tuple[str, ...] = ATTENTION_KINDS
    steps: tuple[int, ...] = (4, 6, 8, 12, 16, 20)
    guidance: tuple[float, ...] = (1.0, 2.0, 3.0, 4.5, 6.0)
    samples: tuple[int, ...] = (1, 2, 4, 8)
    least_depth: int = 1
    most_runs: int = 3

    def __post_init__(self) -> None:
        check_kept(self.least_depth, self.depth)
        if self.most_runs < 0:
            raise ConfigError(f"most_runs is {self.most_runs}: expected 0 (all blocks stay) or more")
        for name, least in (("ffn_ratios", 0.0), ("steps", 1), ("guidance", UNGUIDED), ("samples", 1)):
            choices = getattr(self, name)
            ascending = all(a < b for a, b in itertools.pairwise(choices))
            if not choices or not ascending or choices[0] < least or not all(map(math.isfinite, choices)):
                raise ConfigError(f"{name}: expected choices in ascending order from {least:g} up, got {choices}")
        if not self.attention or len(set(self.attention)) < len(self.attention):
            raise ConfigError(f"attention: expected kinds that differ, got {self.attention}")
        for kind in self.attention:
            BlockConfig(kind, self.ffn_ratios[0])

    @cached_property
    def id(self) -> str:
        """Of the space, with what may be chosen."""
        content = json.dumps(asdict(self), sort_keys=True)
        return f"sana/{hashlib.blake2b(content.encode(), digest_size=4).hexdigest()}/v1"

    def build(self, pick: Pick) -> SanaDesign:
        """Asks for a design."""
        keep = self._mask(pick)
        kept = [block for block, stays in enumerate(keep) if stays]
        return SanaDesign(
            keep,
            tuple(_chosen(pick, f"ffn_ratio{block}", self.ffn_ratios) for block in kept),
            tuple(_chosen(pick, f"attention{block}", self.attention) for block in kept),
            _chosen(pick, "steps", self.steps),
            _chosen(pick, "guidance", self.guidance),
            _chosen(pick, "samples", self.samples),
        )

    def _mask(self, pick: Pick) -> Keep:
        keep = [True] * self.depth
        removable = self.depth - self.least_depth
        runs = pick.integer("removed_runs", 0, min(self.most_runs, removable, (self.depth + 1) // 2))
        lowest = 0
        for run in range(runs):
            behind = runs - 1 - run  # each of those needs a block and a kept one before it
            first = pick.integer(f"first{run}", lowest, self.depth - 1 - 2 * behind)
            longest = min(self.depth - first - 2 * behind, removable - behind)
            length = pick.integer(f"length{run}", 1, longest)
            keep[first : first + length] = [False] * length
            lowest, removable = first + length + 1, removable - length
        return tuple(keep)

    def answers(self, design: SanaDesign) -> dict[str, Any]:
        """What a design answers to the questions of `build`, as `Space.design` takes it.

        Raises:
            InputError: a mask of another length, or with more removed runs than may be.
        """
        keep = check_keep(design.keep, self.depth, "the design's mask")
        runs = removed_runs(keep)
        if len(runs) > self.most_runs:
            raise InputError(f"the design removes {len(runs)} runs of blocks, the space at most {self.most_runs}")
        found: dict[str, Any] = {"removed_runs": len(runs)}
        for run, (first, behind) in enumerate(runs):
            found |= {f"first{run}": first, f"length{run}": behind - first}
        kept = [block for block, stays in enumerate(keep) if stays]
        if len(self.ffn_ratios) > 1:
            found |= {f"ffn_ratio{block}": each for block, each in zip(kept, design.ffn_ratios, strict=True)}
        if len(self.attention) > 1:
            found |= {f"attention{block}": each for block, each in zip(kept, design.attention, strict=True)}
        sampling = ("steps", "guidance", "samples")
        return found | {name: getattr(design, name) for name in sampling if len(getattr(self, name)) > 1}

    def like_source(self, keep: Sequence[bool], *, steps: int, guidance: float, samples: int = 1) -> SanaDesign:
        """The source's own blocks, of which those of a mask stay."""
        kept = sum(map(bool, keep))
        return SanaDesign(
            check_keep(keep, self.depth), (self.ffn_ratios[-1],) * kept, (self.attention[0],) * kept, steps, guidance,
            samples,
        )  # fmt: skip

    def uniform(self, kept: int, *, steps: int, guidance: float, samples: int = 1) -> SanaDesign:
        """The hand-made family: blocks at even distances, all like the source's."""
        return self.like_source(uniform_keep(self.depth, kept), steps=steps, guidance=guidance, samples=samples)

    @property
    def largest(self) -> SanaDesign:
        """The costliest."""
        costly = "softmax" if "softmax" in self.attention else self.attention[0]
        return SanaDesign(
            (True,) * self.depth, (self.ffn_ratios[-1],) * self.depth, (costly,) * self.depth, self.steps[-1],
            self.guidance[-1], self.samples[-1],
        )  # fmt: skip

    @property
    def smallest(self) -> SanaDesign:
        """The cheapest."""
        kept = self.least_depth if self.most_runs else self.depth
        keep = tuple(block < kept for block in range(self.depth))
        cheap = "linear" if "linear" in self.attention else self.attention[0]
        return SanaDesign(
            keep, (self.ffn_ratios[0],) * kept, (cheap,) * kept, self.steps[0], self.guidance[0], self.samples[0]
        )  # fmt: skip


def _chosen(pick: Pick, name: str, options: tuple[T, ...]) -> T:
    """One of the options. What is no choice is not asked, so that mutations are spent on what is."""
    return pick.one(name, options) if len(options) > 1 else options[0]
