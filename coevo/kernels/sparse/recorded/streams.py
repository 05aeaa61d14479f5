"""Work beside the main stream where launches are kept to be replayed: captured in a CUDA graph, or recorded.

What is launched once, by the host, is bound by the host and stays in its stream.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from coevo.errors import InputError, missing_extra

try:
    import torch
except ImportError as error:
    raise missing_extra("torch", "cuda") from error

if TYPE_CHECKING:
    from coevo.kernels.sparse.recorded.recording import Recording

Tensor = Any


class NotRecordable(InputError):
    """Work waits for what the device computed, so its launches are not the same in every call."""


class _Here(threading.local):
    recording: Recording | None = None


here = _Here()
"""The recording that this thread is making."""


@contextmanager
def beside(number: int, device: torch.device) -> Iterator[None]:
    """What is launched within runs in the side stream of that number, after what was launched before; see `join`."""
    if here.recording is not None:
        with here.recording.branch(number):
            yield
    elif _is_captured(device):
        stream = side_stream(device, number)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            yield
    else:
        yield


def join(number: int, device: torch.device) -> None:
    """What is launched from now on waits for the side stream of that number."""
    if here.recording is not None:
        here.recording.join(number)
    elif _is_captured(device):
        torch.cuda.current_stream(device).wait_stream(side_stream(device, number))


def cut() -> None:
    """What is launched from now on belongs to the next part of a recording: parts are replayed one by one."""
    if here.recording is not None:
        here.recording.cut()


def constant(make: Callable[[], Tensor]) -> Tensor:
    """make(): a tensor that a recording takes as it is instead of making it in every replay."""
    if here.recording is None:
        return make()
    with here.recording.paused():
        return make()


def on(device: torch.device) -> AbstractContextManager[Any]:
    """Within, the device is the current one, as launches want it."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def whole_device(name: torch.device | str) -> torch.device:
    """The device with its number, as tensors on it have it."""
    device = torch.device(name)
    return torch.device("cuda", torch.cuda.current_device()) if str(device) == "cuda" else device


@lru_cache(maxsize=16)
def side_stream(device: torch.device, number: int) -> Any:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _is_captured(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()
