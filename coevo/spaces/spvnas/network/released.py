"""Checkpoints of the released SPVNAS, SPVCNN and MinkUNet (github.com/mit-han-lab/spvnas) as networks of coevo.

The specialised SPVNAS networks are state dicts of what `determinize` leaves of the elastic modules, each beside a
`net.config`: JSON of the chosen channels and depths by module name. Their design follows from the weights' shapes; a
configuration, where given, must say the same. The classifier is stored at its largest width and is cut to the design's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from coevo.errors import InputError
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.modules.state_dict import load_torchsparse
from coevo.kernels.sparse.shape import STAGES
from coevo.spaces.spvnas.design import Backbone
from coevo.spaces.spvnas.network.static import build_network
from coevo.spaces.spvnas.network.supernet import Supernet

_STAGE = r"(?P<way>down|up)sample\.(?P<stage>\d)\."
_LAYER = r"net\.(?P<layer>conv|bn)(\.bn|\.linear)?\.(?P<rest>.+)"
_PATTERNS = {
    "transition": re.compile(_STAGE + r"transition\." + _LAYER),
    "shortcut": re.compile(_STAGE + r"feature\.(layers\.)?(?P<block>\d)\.downsample\." + _LAYER),
    "conv": re.compile(_STAGE + r"feature\.(layers\.)?(?P<block>\d)\.net\.(layers\.)?(?P<conv>\d)\." + _LAYER),
    "perceptron": re.compile(r"point_transforms\.(?P<stage>\d)\." + _LAYER),
    "classifier": re.compile(r"classifier\.linear\.(?P<rest>.+)"),
}
"""Names of elastic layers, and of what `determinize` makes of them."""


def translated(name: str) -> str:
    """The name in a network of coevo of a parameter of the released SPVNAS; others stay."""
    for kind, pattern in _PATTERNS.items():
        found = pattern.fullmatch(name)
        if found is None:
            continue
        part = found.groupdict()
        if kind == "classifier":
            return f"classifier.0.{part['rest']}"
        place = int(part["layer"] == "bn")
        if kind == "perceptron":
            return f"point_transforms.{part['stage']}.{place}.{part['rest']}"
        up = part["way"] == "up"
        stage = f"{'up' if up else 'stage'}{int(part['stage']) + 1}"
        if kind == "transition":
            return f"{stage}.0.net.{place}.{part['rest']}"
        block = f"{stage}.1.{part['block']}" if up else f"{stage}.{int(part['block']) + 1}"
        if kind == "shortcut":
            return f"{block}.downsample.{place}.{part['rest']}"
        return f"{block}.net.{3 * int(part['conv']) + place}.{part['rest']}"
    return name


def load_released(
    checkpoint: Mapping[str, Any], config: Mapping[str, Any] | None = None, points: str = "voxels"
) -> MinkUNet:
    """A static network with a released checkpoint's weights, in evaluation mode on the CPU.

    Args:
        checkpoint: of a specialised SPVNAS, an SPVCNN or a MinkUNet: a state dict, or one under "model"
            (`torch.load(path, map_location="cpu", weights_only=True)`); the prefix "module." is cut off.
        config: the `net.config` of a specialised SPVNAS, as JSON; checked against the weights.
        points: "voxels" as released, "raw" to give the point branch every point, "none" to leave it out (MinkUNet).

    Raises:
        InputError: names or shapes are those of no such network, or not those of `config`; nothing is built.
    """
    state = _state_of(checkpoint)
    design = _design_of(state, points)
    if config is not None:
        _check_config(design, read_net_config(config, points))
    classes, width = state["classifier.0.weight"].shape[0], design.widths[-1]
    state["classifier.0.weight"] = state["classifier.0.weight"][:, :width]
    net = build_network(design, classes, int(state["stem.0.kernel"].shape[1]))
    load_torchsparse(net, state)
    return net.eval()


def load_released_supernet(net: Supernet, checkpoint: Mapping[str, Any]) -> None:
    """Copies the weights of a released SPVNAS supernet into `net`, of the published bounds. Statistics of batch norms
    are of no subnet: calibrate after setting a design. InputError where a name or a shape differs."""
    load_torchsparse(net, _state_of(checkpoint))


def read_net_config(config: Mapping[str, Any], points: str = "voxels") -> Backbone:
    """The design of a released `net.config`. InputError where an entry is missing or no whole number."""

    def number(name: str) -> int:
        value = config.get(name)
        if type(value) is not int:
            raise InputError(f"net.config: expected a whole number under {name!r}, got {value!r}")
        return value

    widths = config.get("output_channels")
    if not isinstance(widths, list | tuple):
        raise InputError(f"net.config: expected nine numbers under 'output_channels', got {widths!r}")
    depths, middles, transitions = [], [], []
    for stage in range(2 * STAGES):
        name = f"{'up' if stage >= STAGES else 'down'}sample.{stage % STAGES}"
        transitions.append(number(f"{name}.transition"))
        depths.append(number(f"{name}.feature"))
        blocks = range(depths[-1])
        middles.append(tuple(number(f"{name}.feature.layers.{block}.net.layers.0") for block in blocks))
    return Backbone(tuple(widths), tuple(depths), tuple(middles), tuple(transitions), points)


def _state_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights by coevo's names."""
    given = checkpoint.get("model", checkpoint)
    if not isinstance(given, Mapping) or not all(isinstance(each, Tensor) for each in given.values()):
        raise InputError(
            "expected a state dict (names to tensors) or a checkpoint with one under 'model', got "
            f"{type(checkpoint).__name__} with keys {list(checkpoint)[:5]}"
        )
    return {translated(name.removeprefix("module.")): each for name, each in given.items()}


def _design_of(state: Mapping[str, Tensor], points: str) -> Backbone:
    """From the shapes of the kernels."""

    def outputs(name: str) -> int:
        if name not in state:
            raise InputError(
                f"the checkpoint has no {name} (by coevo's name): it is of no SPVNAS, SPVCNN or MinkUNet; it begins "
                f"with {', '.join(list(state)[:3])}"
            )
        return int(state[name].shape[-1])

    widths, depths, middles, transitions = [outputs("stem.3.kernel")], [], [], []
    for stage in range(2 * STAGES):
        name = f"up{stage - STAGES + 1}" if stage >= STAGES else f"stage{stage + 1}"
        blocks, first = (f"{name}.1.", 0) if stage >= STAGES else (f"{name}.", 1)
        transitions.append(outputs(f"{name}.0.net.0.kernel"))
        depth = 1
        while f"{blocks}{first + depth}.net.0.kernel" in state:
            depth += 1
        depths.append(depth)
        middles.append(tuple(outputs(f"{blocks}{first + block}.net.0.kernel") for block in range(depth)))
        widths.append(outputs(f"{blocks}{first + depth - 1}.net.3.kernel"))
    if "classifier.0.weight" not in state:
        raise InputError("the checkpoint has no classifier")
    projects = all(f"stage{stage + 1}.1.downsample.0.kernel" in state for stage in range(STAGES))
    return Backbone(tuple(widths), tuple(depths), tuple(middles), tuple(transitions), points, projects=projects)


def _check_config(found: Backbone, told: Backbone) -> None:
    for name in ("widths", "depths", "transitions", "middles"):
        if getattr(found, name) != getattr(told, name):
            raise InputError(
                f"the checkpoint is not of its net.config: {name} are {getattr(found, name)} by the weights and "
                f"{getattr(told, name)} by the configuration"
            )
