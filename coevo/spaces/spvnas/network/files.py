"""A network in a folder: its weights and its design.

weights.safetensors   the state dict of the static network
backbone.json         format and version, design, classes and inputs, what it was trained on, the weights' digest

Files are written whole or not at all, the weights first: a folder whose backbone.json names other weights is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from coevo.errors import ConfigError, InputError, missing_extra
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.modules.spvcnn import SPVCNN
from coevo.spaces.spvnas.data.files import write_whole
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.network.static import build_network

FORMAT, VERSION = "coevo.spvnas.network", 1
WEIGHTS, BACKBONE = "weights.safetensors", "backbone.json"
_SHOWN = 3


def design_of(net: MinkUNet) -> Backbone:
    """The design of a static network."""
    shape, points = net.shape, net.points if isinstance(net, SPVCNN) else "none"
    return Backbone(shape.widths, shape.depths, shape.middles, shape.transitions, points, projects=shape.projects)


def save_network(
    net: MinkUNet, folder: Path | str, *, data: str, space: str | None = None, notes: Mapping[str, Any] | None = None
) -> None:
    """Writes the two files; the folder is made where it is missing.

    Args:
        net: a MinkUNet or SPVCNN, of whatever device.
        folder: where to.
        data: what it was trained on, for whoever reads the file ("generated HDL-64E scenes, seed 3").
        space: `Bounds.id` of the space that it was found in.
        notes: further JSON to keep (voxel size, measurements).

    Raises:
        InputError: the network is of another kind, as a supernet is; extract a design first.
    """
    if type(net) not in (MinkUNet, SPVCNN):
        raise InputError(f"save_network takes a static MinkUNet or SPVCNN, got {type(net).__name__}; extract one")
    weights = {name: each.detach().cpu().contiguous() for name, each in net.state_dict().items()}
    written = _safetensors().save(weights, {"format": FORMAT})
    document = {
        "format": FORMAT,
        "version": VERSION,
        "space": space,
        "design": design_of(net).to_json(),
        "num_classes": net.num_classes,
        "in_channels": net.in_channels,
        "data": data,
        "notes": dict(notes or {}),
        "weights_blake2b": hashlib.blake2b(written, digest_size=16).hexdigest(),
    }
    text = json.dumps(document, indent=1) + "\n"
    write_whole(Path(folder) / WEIGHTS, written)
    write_whole(Path(folder) / BACKBONE, text.encode())


def read_backbone(folder: Path | str, space: str | None = None) -> dict[str, Any]:
    """backbone.json of a folder. InputError where it is none, or not of this version or `space`."""
    path = Path(folder) / BACKBONE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{folder} holds no network: {BACKBONE} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path} is no design of a network of SPVNAS's space: expected the format {FORMAT!r}")
    if document.get("version") != VERSION:
        raise InputError(
            f"{path} has version {document.get('version')}, this coevo reads {VERSION}; export the network again"
        )
    if space is not None and document.get("space") != space:
        raise InputError(f"{path} is of the space {document.get('space')!r}, expected {space!r}")
    return document


def load_network(folder: Path | str, *, space: str | None = None, device: torch.device | str = "cpu") -> MinkUNet:
    """The network that `save_network` wrote, in evaluation mode.

    Args:
        folder: where from.
        space: `Bounds.id` that it must be of; any where it is None.
        device: where to.

    Raises:
        InputError: a file is missing, damaged, of another version or space, or the weights are not the design's.
    """
    document = read_backbone(folder, space)
    path = Path(folder) / WEIGHTS
    try:
        written = path.read_bytes()
    except OSError as error:
        raise InputError(f"{folder} holds no network: {WEIGHTS} cannot be read ({error.strerror})") from None
    if hashlib.blake2b(written, digest_size=16).hexdigest() != document.get("weights_blake2b"):
        raise InputError(f"{path} is not the file that {BACKBONE} names: one was replaced, or copied in part")
    weights = _safetensors().load(written)
    try:
        design = Backbone.from_json(document["design"])
        with torch.device("meta"):
            net = build_network(design, int(document["num_classes"]), int(document["in_channels"]))
    except (ConfigError, InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{Path(folder) / BACKBONE} is damaged: {error}") from None
    wrong = _differences(net, weights)
    if wrong:
        raise InputError(f"{path} does not hold the weights of the design in {BACKBONE}: {'; '.join(wrong[:_SHOWN])}")
    net.load_state_dict(weights, assign=True)
    return net.to(device).eval()


def _differences(net: MinkUNet, weights: Mapping[str, torch.Tensor]) -> list[str]:
    held = net.state_dict()
    found = [f"{name} is missing" for name in held if name not in weights]
    found += [f"{name} is not in the network" for name in weights if name not in held]
    return found + [
        f"{name} is {tuple(weights[name].shape)}, expected {tuple(each.shape)}"
        for name, each in held.items()
        if name in weights and weights[name].shape != each.shape
    ]


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise missing_extra("safetensors", "spvnas") from error
    return safetensors.torch
