"""What tells two networks apart."""

from __future__ import annotations

from coevo.search.canonical import canonical, text
from coevo.spaces.naas.network.design import NetworkDesign


def network_key(design: NetworkDesign) -> str:
    """Equal for networks that are the same, however they were chosen."""
    blocks = [[type(block).__name__, *[getattr(block, name) for name in block.__slots__]] for block in design.blocks]
    return text(canonical([design.family, design.input_size, blocks]))
