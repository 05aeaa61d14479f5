"""How numbers, spans of time and answers are spelled for people, in the report and on the terminal alike."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def number(value: Any) -> str:
    """Five significant digits; integers in full; "-" for what is absent."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e9:
        return str(int(value))
    return f"{value:.5g}"


def unit(text: str) -> str:
    """A unit as people write it: nothing for a pure number, whose unit is given as "1"."""
    return "" if text == "1" else text


def duration(seconds: float | None) -> str:
    """ "0.14 ms", "850 ms", "12.3 s", "4 min 05 s", "3 h 12 min", "2 d 4 h"."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if 0 < seconds < 0.01:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def answer(value: Any, limit: int = 60) -> str:
    """An answer as text: texts as they are, the rest as JSON, long ones cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def brief(value: Any, limit: int = 32) -> str:
    """An answer in a few letters: a list as its items, the rest as `answer` has it."""
    if isinstance(value, (list, tuple)) and not any(isinstance(item, (list, tuple)) for item in value):
        text = " ".join(map(str, value))
        return text if len(text) <= limit else text[: limit - 1] + "…"
    return answer(value, limit)


def budget(search: Mapping[str, Any]) -> str:
    """The budget of a configuration's [search] section, in words."""
    parts = []
    if search.get("trials") is not None:
        parts.append(f"{search['trials']} trials")
    if search.get("seconds") is not None:
        parts.append(duration(float(search["seconds"])))
    if search.get("cost_s") is not None:
        parts.append(f"{duration(float(search['cost_s']))} of evaluations")
    return " or ".join(parts) if parts else "none"
