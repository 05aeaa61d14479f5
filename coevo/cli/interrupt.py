"""Ctrl-C and SIGTERM: end in order, once; a second signal ends at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def interruptible() -> Iterator[list[int]]:
    """Turns the signals into one KeyboardInterrupt; the list says which came.

    The list also tells an interruption from an error that the interruption caused: an exception raised while it is
    not empty is the interruption's.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield came
        return

    def handle(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise KeyboardInterrupt
        for each in taken:
            signal.signal(each, signal.SIG_DFL)
        signal.raise_signal(number)

    # A run under nohup was told to outlive its terminal.
    taken = [each for each in SIGNALS if not (each.name == "SIGHUP" and signal.getsignal(each) == signal.SIG_IGN)]
    before = {each: signal.signal(each, handle) for each in taken}
    try:
        yield came
    finally:
        for each, old in before.items():
            signal.signal(each, old if old is not None else signal.SIG_DFL)
