"""A detector in a folder.

detector.safetensors   the state dict
detector.json          format and version, the backbone's design, grid, anchors, proposal network, what it was trained
                       on, the weights' digest

Files are written whole or not at all, the weights first: a folder whose detector.json names other weights is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from coevo.errors import ConfigError, InputError, missing_extra
from coevo.spaces.spvnas.data.files import write_whole
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.detection.anchors import Anchor
from coevo.spaces.spvnas.detection.grid import Grid
from coevo.spaces.spvnas.detection.network import Detector, Proposals
from coevo.spaces.spvnas.network.files import design_of
from coevo.spaces.spvnas.network.static import build_network

FORMAT, VERSION = "coevo.spvnas.detector", 1
WEIGHTS, DETECTOR = "detector.safetensors", "detector.json"


def save_detector(detector: Detector, folder: Path | str, *, data: str, notes: Mapping[str, Any] | None = None) -> None:
    """Writes the two files; the folder is made where it is missing.

    Args:
        data: what it was trained on, for whoever reads the file ("generated HDL-64E scenes, seed 3").
        notes: further JSON to keep (measurements).
    """
    weights = {name: each.detach().cpu().contiguous() for name, each in detector.state_dict().items()}
    written = _safetensors().save(weights, {"format": FORMAT})
    net = detector.encoder.net
    document = {
        "format": FORMAT,
        "version": VERSION,
        "design": design_of(net).to_json(),
        "in_channels": net.in_channels,
        "grid": dataclasses.asdict(detector.grid),
        "kinds": [dataclasses.asdict(each) for each in detector.kinds],
        "proposals": dataclasses.asdict(detector.proposals),
        "data": data,
        "notes": dict(notes or {}),
        "weights_blake2b": hashlib.blake2b(written, digest_size=16).hexdigest(),
    }
    text = json.dumps(document, indent=1) + "\n"
    write_whole(Path(folder) / WEIGHTS, written)
    write_whole(Path(folder) / DETECTOR, text.encode())


def load_detector(folder: Path | str, *, device: torch.device | str = "cpu") -> Detector:
    """The detector that `save_detector` wrote, in evaluation mode.

    Raises:
        InputError: a file is missing, damaged or of another version, or the weights are not the detector's.
    """
    path = Path(folder) / DETECTOR
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        written = (Path(folder) / WEIGHTS).read_bytes()
    except OSError as error:
        raise InputError(f"{folder} holds no detector: {error.filename} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    told = document if isinstance(document, dict) else {}
    if told.get("format") != FORMAT or told.get("version") != VERSION:
        raise InputError(
            f"{path} must be of the format {FORMAT!r}, version {VERSION}, got {told.get('format')!r}, "
            f"{told.get('version')}"
        )
    if hashlib.blake2b(written, digest_size=16).hexdigest() != document.get("weights_blake2b"):
        raise InputError(f"{Path(folder) / WEIGHTS} is not the file that {DETECTOR} names: one was replaced, or copied "
                         "in part")  # fmt: skip
    try:
        net = build_network(Backbone.from_json(document["design"]), 1, int(document["in_channels"]))
        kinds = tuple(Anchor(**_tuples(each)) for each in document["kinds"])
        detector = Detector(net, Grid(**_tuples(document["grid"])), kinds, Proposals(**_tuples(document["proposals"])))
        detector.load_state_dict(_safetensors().load(written))
    except (ConfigError, InputError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is damaged: {error}") from None
    return detector.to(device).eval()


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(each) if isinstance(each, list) else each for name, each in fields.items()}


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise missing_extra("safetensors", "spvnas") from error
    return safetensors.torch
