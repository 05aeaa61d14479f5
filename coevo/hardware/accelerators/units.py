"""Quantities as text with their unit, "108 KiB" or "0.21 pJ/bit", as numbers in the one unit that the code uses."""

from __future__ import annotations

import math
import re

from coevo.errors import ConfigError, nearest

ENERGY_PJ = {"fJ": 1e-3, "pJ": 1.0, "nJ": 1e3}
DATA_BITS = {"bit": 1.0, "B": 8.0}

UNITS: dict[str, dict[str, float]] = {
    "size": {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30},
    "frequency": {"Hz": 1e-6, "kHz": 1e-3, "MHz": 1.0, "GHz": 1e3},
    "energy": ENERGY_PJ,
    "relative energy": {"MAC": 1.0},
    "energy a bit": {},
    "bandwidth": {"B/cycle": 1.0, "bit/cycle": 0.125},
    "rate": {"MB/s": 1e6, "GB/s": 1e9, "MiB/s": 2.0**20, "GiB/s": 2.0**30, "Mbit/s": 1e6 / 8, "Gbit/s": 1e9 / 8},
    "power": {"nW": 1e-6, "uW": 1e-3, "mW": 1.0, "W": 1e3},
    "length": {"nm": 1.0, "um": 1e3},
    "width": {"bit": 1.0},
}
"""By kind, the units and what one of them is in the kind's own: bytes, MHz, pJ, MACs, pJ a bit, bytes a cycle, bytes a
second, mW, nm, bits."""

EXAMPLES = {
    "size": "108 KiB",
    "frequency": "200 MHz",
    "energy": "0.21 pJ",
    "relative energy": "6 MAC",
    "energy a bit": "0.21 pJ/bit (or 1.98 pJ/16 bit)",
    "bandwidth": "16 B/cycle (or 25.6 GB/s)",
    "power": "1.2 mW",
    "length": "65 nm",
    "width": "16 bit",
}

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)")
_AMBIGUOUS = {"KB": "KiB (1024 B) or kB (1000 B)", "Kb": "KiB, kB or bit", "b": "bit or B"}


def quantity(value: object, kind: str, where: str, clock_mhz: float | None = None) -> float:
    """`value` in the unit of its `kind` (see `UNITS`). Rates per second become bytes a cycle by `clock_mhz`.

    ConfigError names `where`, what came and what is expected: no number, no unit, a unit that is not known, or one of
    another kind. Negative and infinite quantities do not exist here; zero is the caller's to refuse.
    """
    wanted = f"expected {_article(kind)} such as {EXAMPLES[kind]!r}"
    if isinstance(value, bool) or not isinstance(value, str):
        raise ConfigError(f"{where}: {wanted}, as text with its unit, got {value!r}")
    found = _QUANTITY.fullmatch(value.strip())
    if not found:
        raise ConfigError(f"{where}: {wanted}, got {value!r}")
    number, unit = float(found[1]), re.sub(r"\s*/\s*", "/", found[2])
    if not unit:
        raise ConfigError(f"{where}: {wanted}, got {value!r} without a unit")
    if number < 0 or not math.isfinite(number):
        raise ConfigError(f"{where}: {wanted}, got {value!r}; it cannot be negative or infinite")
    if kind == "energy a bit":
        factor = _energy_a_bit(unit)
    elif kind == "bandwidth" and unit in UNITS["rate"] and clock_mhz:
        factor = UNITS["rate"][unit] / (clock_mhz * 1e6)
    else:
        factor = UNITS[kind].get(unit)
    if factor is None:
        raise ConfigError(f"{where}: {wanted}, got {value!r}: {_said(unit, kind)}")
    return number * factor


def _energy_a_bit(unit: str) -> float | None:
    """pJ a bit of "pJ/bit", "pJ/B" or "pJ/16 bit"."""
    energy, slash, data = unit.partition("/")
    found = re.fullmatch(r"(\d+)?\s*(bit|B)", data)
    if energy not in ENERGY_PJ or not slash or not found or found[1] == "0":
        return None
    return ENERGY_PJ[energy] / (int(found[1] or 1) * DATA_BITS[found[2]])


def _said(unit: str, kind: str) -> str:
    if unit in _AMBIGUOUS:
        return f"{unit!r} is ambiguous; write {_AMBIGUOUS[unit]}"
    others = [other for other, units in UNITS.items() if unit in units]
    if not others and _energy_a_bit(unit) is not None:
        others = ["energy a bit"]
    if others:
        return f"{unit!r} is a unit of {others[0]}"
    offered = [*UNITS[kind], *(UNITS["rate"] if kind == "bandwidth" else ())]
    offered = offered or ["pJ/bit", "fJ/bit", "pJ/B", "pJ/16 bit"]
    close = nearest(unit, offered)
    return f"no unit {unit!r}{f'; did you mean {close!r}?' if close else ''} Known: {', '.join(offered)}"


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
