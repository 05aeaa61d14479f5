"""Sampling for so many seconds: what a prompt's budget buys, with verification on the bill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coevo.errors import InputError

Generate = Callable[[int, int], Any]
"""generate(first, count): samples number first .. first + count - 1 of a prompt, each a function of its number."""
Verify = Callable[[Any], Sequence[float]]
"""Scores of the samples of one call of Generate, as plain numbers: a device's work is done when they are there."""


@dataclass
class Spent:
    """What a budget bought.

    Args:
        scores: the verifier's, by sample.
        generating_s, verifying_s: seconds.
        kept: the best sample so far and its score, or None.
    """

    scores: list[float] = field(default_factory=list)
    generating_s: float = 0.0
    verifying_s: float = 0.0
    kept: tuple[int, float] | None = None

    @property
    def seconds(self) -> float:
        return self.generating_s + self.verifying_s

    @property
    def samples(self) -> int:
        return len(self.scores)


def sample_for(
    seconds: float,
    generate: Generate,
    verify: Verify,
    *,
    batch: int = 16,
    most: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[], None] = lambda: None,
) -> Spent:
    """Generates and verifies batch after batch while another one is expected to end within the budget.

    The first batch is always bought: a prompt is never left without an image. A batch is expected to take as long as
    the longest so far.

    Args:
        seconds: of generation and verification together.
        batch: samples at a time; the last batch may be smaller where `most` says so.
        most: samples in all.
        clock: seconds.
        wait: until the device has done what was launched (`torch.cuda.synchronize`), so that its time is seen.

    Raises:
        InputError: no positive budget or batch, or a verifier that gives another number of scores than of samples.
    """
    if not seconds > 0 or batch < 1 or (most is not None and most < 1):
        raise InputError(
            f"a budget has seconds, a batch and at most so many samples over 0, got {seconds}, {batch}, {most}"
        )
    spent, longest = Spent(), 0.0
    while not spent.samples or spent.seconds + longest <= seconds:
        count = batch if most is None else min(batch, most - spent.samples)
        if count < 1:
            break
        first, began = spent.samples, clock()
        samples = generate(first, count)
        wait()
        made = clock()
        scores = [float(each) for each in verify(samples)]
        wait()
        ended = clock()
        if len(scores) != count or not np.isfinite(scores).all():
            raise InputError(f"a verifier gives one finite score a sample, expected {count}, got {scores[:8]}")
        spent.generating_s += made - began
        spent.verifying_s += ended - made
        longest = max(longest, ended - began)
        spent.scores += scores
        best = int(np.argmax(scores))
        if spent.kept is None or scores[best] > spent.kept[1]:
            spent.kept = (first + best, scores[best])
    return spent


def samples_within(seconds: float, sample_s: float, verify_s: float) -> int:
    """How many samples a budget buys at these seconds a sample, at least 1."""
    return max(1, int(seconds / (sample_s + verify_s)))
