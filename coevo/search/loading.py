"""What a search exported, opened by one call whatever space it is of. The spaces' own loaders are found by name, when
they are needed: search knows no space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coevo.errors import InputError
from coevo.search.registry import load_attribute

_LOADERS = {
    "backbone.json": "coevo.spaces.spvnas.network.files:load_network",
    "detector.json": "coevo.spaces.spvnas.detection.files:load_detector",
    "sana.json": "coevo.spaces.sana.export.folder:load_sampler",
    "layout.json": "coevo.spaces.quantumnas.export.loading:load",
}
"""Where each space's loader is, by the file that tells its exports from others."""


def load(folder: Path | str) -> Any:
    """A network or detector of SPVNAS as a torch module in evaluation mode, a transformer of Sana's kind with how it
    samples (`sana.export.sampler.SanaSampler`), or a quantum design as `quantumnas.Exported`.

    Raises:
        InputError: the folder is no such export, or a file in it is missing, damaged or of another version.
        MissingExtra: what reads it is not installed.
    """
    where = Path(folder)
    if not where.is_dir():
        raise InputError(f"{where} is no folder; coevo.load opens what `coevo export` wrote")
    for name, place in _LOADERS.items():
        if (where / name).is_file():
            return load_attribute(place)(where)
    raise InputError(
        f"{where} holds none of {', '.join(_LOADERS)}: it is no export that coevo.load opens (networks and quantum "
        "designs; a chip's accelerator.toml is opened by coevo.hardware.accelerators.load_accelerator)"
    )
