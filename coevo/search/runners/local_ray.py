"""A Ray that this process starts for itself, and that ends with it."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from coevo.errors import ConfigError
from coevo.search.runners import reaper
from coevo.search.runners.calls import one_line

ENDING_S = 3.0
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # where it is off, Ray listens on 127.0.0.1 alone, on Linux too
LONGEST_FOLDER = 24  # Ray's sockets lie 80 characters below it, and their paths have at most 107


class LocalRay:
    """A Ray of this process's own: on loopback, behind a token that nobody else has, without a dashboard, in a folder
    that goes with it. However this process ends, what Ray started ends soon after (Linux)."""

    def __init__(self, cpus: int, environment: Mapping[str, str]):
        self.environment = dict(environment)
        self._mark = f"COEVO_RAY_{secrets.token_hex(8)}"
        # Not in Ray's usual place, where others find it, and where nothing is ever removed.
        short = len(tempfile.gettempdir()) <= LONGEST_FOLDER
        self._folder = tempfile.mkdtemp(prefix="coevo-ray-", dir=None if short else "/tmp")
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", reaper.__file__, self._mark, self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Ray 2.59 and later would write a token into the home folder; earlier ones would ask for none.
        self._unset = () if "RAY_AUTH_MODE" in os.environ else ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
        self._token = os.environ.get("RAY_AUTH_TOKEN")
        if self._unset:
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        begun = time.monotonic()
        try:
            with _surroundings({**self.environment, LOOPBACK: "0", self._mark: "1"}), _loopback(), own_signals():
                import ray

                self.ray: Any = ray
                _read_authentication_again()
                ray.init(
                    address="local",
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="ERROR",
                    num_cpus=max(cpus, os.cpu_count() or 1),  # as many workers as were asked for start, as without Ray
                    _node_ip_address="127.0.0.1",
                    _temp_dir=self._folder,
                )
        except BaseException as error:
            with contextlib.suppress(Exception):
                self.ray.shutdown()
            self.close(keep=isinstance(error, Exception))
            if not isinstance(error, (Exception, SystemExit)):
                raise
            raise ConfigError(
                f"a local Ray cannot be started ({time.monotonic() - begun:.0f} s): {one_line(error)}. Its logs are "
                f"in {self._folder}"
            ) from error

    def close(self, keep: bool = False) -> None:
        """Ends what is left after `ray.shutdown`, which ends the raylet and leaves it to the workers to notice: those
        that are starting, or hold the interpreter's lock, do late or never."""
        try:
            reaper.end(self._mark, self._folder, ENDING_S)
            if not keep:
                shutil.rmtree(self._folder, ignore_errors=True)
        finally:  # where this was interrupted, the reaper does it
            done = not reaper.marked(self._mark, self._folder)
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self._reaper.communicate(b"." if done else b"", timeout=2 * ENDING_S)
            for name in self._unset:
                os.environ.pop(name, None)
            if self._unset and self._token is not None:
                os.environ["RAY_AUTH_TOKEN"] = self._token
            _read_authentication_again()


def _read_authentication_again() -> None:
    """Ray reads how it authenticates once; the environment has changed since."""
    raylet: Any = importlib.import_module("ray._raylet")
    if hasattr(raylet, "AuthenticationTokenLoader"):  # a Ray before 2.52 knows no tokens
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def _surroundings(variables: Mapping[str, str]) -> Iterator[None]:
    """These environment variables for the processes that start in here."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _loopback() -> Iterator[None]:
    """Has a Ray that starts in here listen on loopback alone: its own `_node_ip_address` does not see to that, because
    Ray looks up the machine's public address for it (`resolve_ip_for_localhost`)."""
    constants: Any = importlib.import_module("ray._private.ray_constants")
    enabled, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = enabled


@contextlib.contextmanager
def own_signals() -> Iterator[None]:
    """Ray puts a handler of its own in the place of the driver's; the driver's comes back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
