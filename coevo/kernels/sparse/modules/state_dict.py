"""Weights of SPVNAS and TorchSparse read into modules of coevo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import InputError
from coevo.kernels.sparse.modules.conv import Conv3d
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.modules.spvcnn import SPVCNN

_SHOWN = 5


def load_torchsparse(net: nn.Module, checkpoint: Mapping[str, Any]) -> None:
    """Copies a checkpoint's weights into `net`, by name.

    Taken are a state dict, or a checkpoint of SPVNAS that holds one under "model"; the prefix "module." of distributed
    training is cut off, and a 1x1x1 kernel may be [1, C_in, C_out]. Kernels are [K, C_in, C_out] with TorchSparse's
    order of offsets. The released MinkUNet carries `point_transforms` that its forward never uses: a MinkUNet leaves
    those out. Nothing is written unless everything fits.

    Raises:
        InputError: names are missing or left over, or a shape or kind of number differs; the message lists them.
    """
    given = checkpoint.get("model", checkpoint)
    if not isinstance(given, Mapping) or not all(isinstance(each, Tensor) for each in given.values()):
        raise InputError(
            "expected a state dict (names to tensors) or a checkpoint with one under 'model', got "
            f"{type(checkpoint).__name__} with keys {list(checkpoint)[:_SHOWN]}"
        )
    if given and all(name.startswith("module.") for name in given):
        given = {name.removeprefix("module."): each for name, each in given.items()}
    if isinstance(net, MinkUNet) and not isinstance(net, SPVCNN):
        given = {name: each for name, each in given.items() if not name.startswith("point_transforms.")}
    held = net.state_dict()
    counters = {name for name in held if name.endswith("num_batches_tracked")}  # absent where saved before torch 0.4.1
    missing = [name for name in held if name not in given and name not in counters]
    extra = [name for name in given if name not in held]
    taken = {name: _laid_out(name, given[name], each) for name, each in held.items() if name in given}
    wrong = [
        f"{name} is {tuple(each.shape)}, expected {tuple(held[name].shape)}"
        for name, each in taken.items()
        if each.shape != held[name].shape or each.is_floating_point() != held[name].is_floating_point()
    ]
    told = [
        f"{what}: {', '.join(names[:_SHOWN])}{f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''}"
        for what, names in (("missing", missing), ("not in the network", extra), ("of another shape", wrong))
        if names
    ]
    if told:
        raise InputError(
            f"the checkpoint does not fit {type(net).__name__}; {'; '.join(told)}. "
            "Check the width, the number of classes and which network the checkpoint is of"
        )
    with torch.no_grad():
        for name, each in taken.items():
            held[name].copy_(each)


def _laid_out(name: str, given: Tensor, held: Tensor) -> Tensor:
    """A 1x1x1 kernel without its axis of offsets."""
    pointwise = name.rpartition(".")[2] == "kernel" and held.dim() == 2 and given.dim() == 3 and given.shape[0] == 1
    return given[0] if pointwise else given


def convolutions(net: nn.Module) -> dict[str, Conv3d]:
    """The convolutions of a network by name, in the order of its modules."""
    return {name: each for name, each in net.named_modules() if isinstance(each, Conv3d)}
