"""Numbers as people read them."""

from __future__ import annotations


def bytes_text(size: float) -> str:
    """'108 KiB', '24 B', '8 MiB'."""
    for unit, scale in (("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}"
    return f"{size:.4g} B"


def energy_text(picojoules: float) -> str:
    """'3.2 mJ', '48 uJ'."""
    for unit, scale in (("J", 1e12), ("mJ", 1e9), ("uJ", 1e6), ("nJ", 1e3)):
        if picojoules >= scale:
            return f"{picojoules / scale:.3g} {unit}"
    return f"{picojoules:.3g} pJ"
