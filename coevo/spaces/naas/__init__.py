"""Accelerators, the mappings of networks onto them, and the networks, searched together (NAAS, DAC 2021).

`problem(**options)` is the door; `Options` says what can be set; `map_layer` maps one layer, with bounds. Nothing heavy
is imported before it is needed; compiled mappers need the extra `naas`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coevo.spaces.naas.definition import problem as problem
    from coevo.spaces.naas.mapper import map_layer as map_layer
    from coevo.spaces.naas.options import Options as Options

_HOMES = {"Options": "options", "map_layer": "mapper", "problem": "definition"}

__all__ = ["Options", "map_layer", "problem"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
