"""A problem whose cost model reads a table that `coevo measure` makes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import toy_problems

from coevo.search.problem import Problem


def problem(frames: int = 3, deep: Any = None) -> Problem:
    def measure(target: Path | None, progress: Any) -> dict[str, Any]:
        path = target or Path("own-place.json")
        progress(1, 2, "half")
        path.write_text(json.dumps({"frames": frames, "deep": deep}))
        return {"device": {"model": "a chip", "threads": 2}, "frames": frames, "mape_percent": 1.25, "table": str(path)}

    return dataclasses.replace(toy_problems.problem(), measure=measure, options={"frames": frames})
