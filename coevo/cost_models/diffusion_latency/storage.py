"""Tables as JSON files: one a device, kind of numbers and shape."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coevo.cost_models.cache import table_path
from coevo.cost_models.diffusion_latency.table import Calibration, LatencyTable, Times
from coevo.errors import InputError

VERSION = 1
KIND = "diffusion latency"


def default_path(device: Mapping[str, Any], shape: Mapping[str, Any], dtype: str) -> Path:
    """This device's own table (`table_path`)."""
    return table_path([KIND, dict(device), dict(shape), dtype])


def write_table(table: LatencyTable, path: Path) -> None:
    """Whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    document = {"kind": KIND, "version": VERSION, **table.to_json()}
    part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def read_table(path: Path) -> LatencyTable:
    """InputError where there is none, or it is damaged or of another version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no latency table at {path}; `coevo measure sana -o {path}` makes one") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no latency table: {error}. Measure again (coevo measure)") from None
    if not isinstance(document, dict) or document.get("kind") != KIND or document.get("version") != VERSION:
        found = (document.get("kind"), document.get("version")) if isinstance(document, dict) else document
        raise InputError(
            f"{path}: expected a {KIND} table of version {VERSION}, got {found!r}; measure again (coevo measure)"
        )
    try:
        operations = {
            str(name): Times(tuple(each["images"]), tuple(each["ms"])) for name, each in document["operations"].items()
        }
        return LatencyTable(
            dict(document["device"]), str(document["dtype"]), dict(document["shape"]), operations,
            Calibration(**document["calibration"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged ({type(error).__name__}: {error}); measure again (coevo measure)"
        ) from None
