"""Co-search of a variational circuit and its qubit mapping (QuantumNAS, HPCA 2022), under a device's noise.

`problem(**options)` is the door; `Options` says what can be set; `load(folder)` opens an export; `QuantumNASClassifier`
is all of it as a scikit-learn estimator. Nothing heavy is imported before it is needed: the space itself needs no
Qiskit, evaluating and exporting do (extra `quantum`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coevo.spaces.quantumnas.ansatz.design import CoDesign as CoDesign
    from coevo.spaces.quantumnas.definition import problem as problem
    from coevo.spaces.quantumnas.estimator import QuantumNASClassifier as QuantumNASClassifier
    from coevo.spaces.quantumnas.export.loading import Exported as Exported
    from coevo.spaces.quantumnas.export.loading import load as load
    from coevo.spaces.quantumnas.export.pubs import read_pubs as read_pubs
    from coevo.spaces.quantumnas.options import Options as Options

_HOMES = {
    "CoDesign": "ansatz.design",
    "Exported": "export.loading",
    "Options": "options",
    "QuantumNASClassifier": "estimator",
    "load": "export.loading",
    "problem": "definition",
    "read_pubs": "export.pubs",
}

__all__ = ["CoDesign", "Exported", "Options", "QuantumNASClassifier", "load", "problem", "read_pubs"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
