"""The address of a Ray cluster: whether Ray answers there, how long that was waited for, and whether anybody could."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import json
import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from coevo.errors import ConfigError
from coevo.search.runners import knock
from coevo.search.runners.calls import one_line

WAIT_S = 10.0  # a head node that is just starting needs some seconds
WAIT_VARIABLE = "COEVO_RAY_WAIT_S"
OPEN = {"RAY_AUTH_MODE": "disabled"}
WHAT_TO_DO = (
    "Start the cluster and this command with RAY_AUTH_MODE=token and the same RAY_AUTH_TOKEN (make one with `ray "
    "get-auth-token --generate`; Ray 2.52 or later), and keep its ports inside a private network"
)


def waiting_time_s(given: float | None) -> float:
    """How long to wait for an answer: as given, else as COEVO_RAY_WAIT_S says, else 10 s."""
    text = os.environ.get(WAIT_VARIABLE, WAIT_S) if given is None else given
    with contextlib.suppress(TypeError, ValueError):
        if not isinstance(text, bool) and 0 < (seconds := float(text)) < math.inf:
            return seconds
    where = WAIT_VARIABLE if given is None else "wait_s"
    raise ConfigError(f"{where}: expected seconds above 0, got {text!r}")


def reach(address: str, wait_s: float) -> str:
    """ConfigError where no Ray answers at the address in time; else the warning that its user should get, or "".

    "auto" is Ray's to find; it is asked about once it is found.
    """
    if address == "auto":
        return ""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdigit():
        raise ConfigError(f"Ray address: expected HOST:PORT, ray://HOST:PORT or auto, got {address!r}")
    if address.startswith("ray://") and importlib.util.find_spec("grpc") is None:
        raise ConfigError(f"{address!r} needs Ray's client: pip install 'ray[client]'")
    _listens(address, host.strip("[]"), int(port), wait_s)
    return _answers(address, host, wait_s)


def exposure(host: str) -> str:
    """The warning for a cluster that lets in whoever reaches it."""
    return (
        f"DANGER: Ray at {host} lies beyond loopback and asks nobody for a token, so whoever reaches its ports can run "
        f"code as you on every node. {WHAT_TO_DO}"
    )


def is_loopback(host: str) -> bool:
    if host.strip("[]") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def lets_anyone_in(address: str, wait_s: float) -> bool:
    """Whether the cluster answers somebody without a token."""
    return _knocked(_knocking(address, OPEN), wait_s) == {}


def hint() -> str:
    return (
        " Is its head node up (`ray start --head --port=6379`), the address right, and Ray of the same version here "
        f"and there? {WAIT_VARIABLE}=60 waits for a minute. Without an address (and with RAY_ADDRESS unset) a local "
        "Ray is started"
    )


def _listens(address: str, host: str, port: int, wait_s: float) -> None:
    begun = time.monotonic()
    while True:
        left = begun + wait_s - time.monotonic()
        try:
            with socket.create_connection((host, port), timeout=max(left, 0.1)):
                return
        except (OSError, OverflowError) as error:
            waited = time.monotonic() - begun
            if waited + 0.5 >= wait_s:
                raise ConfigError(
                    f"nobody answered at the Ray address {address!r}; waited {waited:.0f} s (the last attempt: "
                    f"{one_line(error)}).{hint()}"
                ) from None
            time.sleep(0.5)


def _answers(address: str, host: str, wait_s: float) -> str:
    begun = time.monotonic()
    # Beyond loopback, asked at the same time as somebody without a token would ask.
    asks_openly = not is_loopback(host) and not address.startswith("ray://")
    ours, open_one = _knocking(address), _knocking(address, OPEN) if asks_openly else None
    try:
        answer = _knocked(ours, wait_s)
        openly = None if open_one is None or answer is None else _knocked(open_one, wait_s)
    finally:
        for process in (ours, open_one):
            if process is not None:
                process.kill()
                process.communicate()
    waited = time.monotonic() - begun
    if answer is None:
        raise ConfigError(
            f"something listens at the Ray address {address!r}, but it did not answer as Ray does; waited "
            f"{waited:.0f} s.{hint()}"
        )
    if "refused" in answer:
        why = answer["refused"]
        if "uthenticat" in why:
            raise ConfigError(
                f"the Ray cluster at {address!r} asks for a token, and RAY_AUTH_MODE=token with its RAY_AUTH_TOKEN is "
                "not set here, or not to the right one: take both from where the cluster was started"
            )
        why = " ".join(why.split())[:300]
        raise ConfigError(f"Ray at {address!r} cannot be joined ({waited:.0f} s): {why}.{hint()}")
    return exposure(host) if openly == {} else ""


def _knocking(address: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", str(Path(knock.__file__)), address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )


def _knocked(process: subprocess.Popen[str], wait_s: float) -> dict[str, str] | None:
    """What the process found out; None where it heard nothing in time."""
    try:
        output, _ = process.communicate(timeout=wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    lines = output.strip().splitlines()
    if not lines:
        return {"refused": f"the attempt ended with code {process.returncode}"}
    answer: dict[str, str] = json.loads(lines[-1])
    return answer
