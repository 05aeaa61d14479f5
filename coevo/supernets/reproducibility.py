"""Seeds that belong to what they are for, and torch made to refuse operators whose bits differ from run to run."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import torch


def seed_of(*parts: Any) -> int:
    """A seed of 63 bits that belongs to these parts."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextlib.contextmanager
def reproducible(wanted: bool) -> Iterator[None]:
    """Torch refuses every operator whose bits may differ from run to run; coevo's own have none."""
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
