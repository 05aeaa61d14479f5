"""Linear diffusion transformers for images, grown, pruned and scaled by search (Sana, arXiv 2410.10629; Sana-1.5, arXiv
2501.18427).

`problem(**options)` is the door; `Options` says what can be set. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coevo.spaces.sana.definition import problem as problem
    from coevo.spaces.sana.options import Options as Options

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
