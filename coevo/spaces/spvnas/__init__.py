"""Networks over the voxels and points of LiDAR scans, searched by evolution under measured latency (SPVNAS, ECCV 2020,
arXiv 2007.16100).

`problem(**options)` is the door; `Options` says what can be set. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coevo.spaces.spvnas.definition import problem as problem
    from coevo.spaces.spvnas.options import Options as Options

_HOMES = {"Options": "options", "problem": "definition"}

__all__ = ["Options", "problem"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
