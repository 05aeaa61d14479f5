"""Where a transformer's values stop being finite."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from coevo.errors import InputError
from coevo.spaces.sana.model.transformer import SanaTransformer

_PARTS = {"attention": "self-attention", "cross_attention": "cross-attention", "ffn": "Mix-FFN"}
# Operations that do not compute: what they hand on was seen before.
_QUIET = ("is_floating_point", "isfinite", "full", "empty", "__get__", "__set__")


@contextlib.contextmanager
def refuse_overflow(model: SanaTransformer) -> Iterator[None]:
    """Within this context a value that is not finite is an error, which names the operation that gave it.

    For finding out, not for every day: each operation is waited for.

    Raises:
        InputError: the block, the layer and the operation, their dtype, and what to do.
    """
    path: list[str] = []
    handles = []
    for name, module in model.named_modules():
        if name:
            handles.append(module.register_forward_pre_hook(_entering(path, name)))
            handles.append(module.register_forward_hook(_leaving(path), always_call=True))
    try:
        with _Watch(path):
            yield
    finally:
        for handle in handles:
            handle.remove()


class _Watch(TorchFunctionMode):
    def __init__(self, path: list[str]) -> None:
        super().__init__()
        self._path = path

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", str(func))
        if isinstance(result, torch.Tensor) and result.is_floating_point() and name not in _QUIET:
            with torch._C.DisableTorchFunction():
                if not bool(torch.isfinite(result).all()):
                    raise InputError(_message(self._path, name, result, args))
        return result


def _entering(path: list[str], name: str) -> Callable[[nn.Module, Any], None]:
    def hook(module: nn.Module, args: Any) -> None:
        path.append(name)

    return hook


def _leaving(path: list[str]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        if path:
            path.pop()

    return hook


def _message(path: Sequence[str], operation: str, result: torch.Tensor, args: Sequence[Any]) -> str:
    place = _place(path[-1]) if path else "outside the blocks"
    kind = "NaN" if bool(torch.isnan(result).any()) else "infinity"
    given = [each for each in args if isinstance(each, torch.Tensor) and each.is_floating_point()]
    weights = [each for each in given if isinstance(each, nn.Parameter)]
    if not all(map(_finite, weights)):
        return f"{place}: its weights are not finite: the checkpoint is damaged, or training diverged"
    dtype = str(result.dtype).removeprefix("torch.")
    half = "float16 ends at 65504: run this model in bfloat16, or its attention and weights in float32"
    if not all(map(_finite, given)):
        advice = f" {half}" if result.dtype == torch.float16 else ""
        return (
            f"{place}: {operation} in {dtype} was given values that are not finite already: by the model's "
            f"inputs, or by a kernel just before it.{advice}"
        )
    largest = max((float(each.detach().abs().max()) for each in given if each.numel()), default=0.0)
    what = f"{place}: {operation} gave {kind} in {dtype} from values up to {largest:.3g}"
    if result.dtype == torch.float16:
        return f"{what}. {half}"
    return f"{what}. The model diverged, or its inputs are far beyond what it was trained with"


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _place(name: str) -> str:
    if not name.startswith("blocks."):
        return f"layer {name}"
    _, index, *rest = name.split(".")
    part = _PARTS.get(rest[0], rest[0]) if rest else "modulation or residual"
    layer = f" ({'.'.join(rest[1:])})" if len(rest) > 1 else ""
    return f"block {index}, {part}{layer}"
