"""Ray itself, as a runner finds it: a local one started on loopback, a cluster that is joined, or one that the process
has joined already. Says early, and in one sentence, what is missing."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import ipaddress
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from coevo.errors import ConfigError, missing_extra
from coevo.search.runners.calls import one_line

PATIENCE_S = 20.0  # for an address that does not answer: a head node that is just starting needs some seconds
ENDING_S = 3.0
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # where it is off, Ray listens on 127.0.0.1 alone, on Linux too


def require_ray() -> None:
    """MissingExtra where Ray is not installed; does not import it."""
    if importlib.util.find_spec("ray") is None:
        raise missing_extra("ray", "ray")


class Cluster:
    """A Ray that is connected. `local` where it was started here, `note` what its user should be warned of."""

    def __init__(self, address: str | None, cpus: int):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        self.local = address == "local"
        with _loopback() if self.local else contextlib.nullcontext():
            import ray

            self.ray: Any = ray
            self.ours = not ray.is_initialized()
            self.local &= self.ours
            self._spoken = None
            if self.ours:
                self._connect(address, cpus)
        self.note = "" if self.local else _exposure(address, str(ray.get_runtime_context().gcs_address))

    def require(self, need: Mapping[str, float], workers: int) -> None:
        """ConfigError where not one actor of this need fits on any node, or fewer than `workers` on a Ray that cannot
        grow; a note where a cluster has room for fewer now."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        need = {name: amount for name, amount in need.items() if amount}
        fits = sum(
            min((math.floor(node.get(name, 0) / amount + 1e-9) for name, amount in need.items()), default=workers)
            for node in nodes
        )
        if fits >= workers:
            return
        asked = ", ".join(f"{amount:g} {name}" for name, amount in need.items())
        there = "; ".join(", ".join(f"{node.get(name, 0):g} {name}" for name in need) for node in nodes) or "nothing"
        where = "this machine has" if self.local else f"the {len(nodes)} nodes of the Ray cluster have"
        if not fits:
            raise ConfigError(
                f"a worker needs {asked}, and {where} {there}: none could ever start. Ask for less, or add a node "
                "that has it first"
            )
        if self.local:
            raise ConfigError(
                f"{workers} workers need {asked} each, and {where} {there}: give workers = {fits}, or let a worker ask "
                "for a fraction of a GPU"
            )
        text = (
            f"the Ray cluster has room for {fits} of {workers} workers now ({asked} each; {where} {there}); the others "
            "start when nodes join or actors of others end"
        )
        self.note = f"{self.note} {text}".strip()

    def close(self) -> None:
        """Leaves the cluster, or ends the Ray that was started here, where this object connected to it."""
        if self.ours:
            self.ours = False
            started = _under_raylets() if self.local else {}
            try:
                self.ray.shutdown()
            finally:
                _end(started)
            if self._spoken is not None:
                self._worker_module().print_to_stdstream = self._spoken

    def _connect(self, address: str, cpus: int) -> None:
        if not self.local:
            _wait_for(address)
        options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
        if self.local:
            # More CPUs than there are: as many workers as were asked for start, as they do without Ray.
            options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
            options["num_cpus"] = max(cpus, os.cpu_count() or 1)
        else:
            os.environ.setdefault("RAY_gcs_server_request_timeout_seconds", f"{PATIENCE_S:g}")
        begun = time.monotonic()
        try:
            with _own_signals(), contextlib.nullcontext() if self.local else _at_most(2 * PATIENCE_S):
                self.ray.init(**options)
        except (Exception, SystemExit) as error:
            self.ray.shutdown()
            what = "a local Ray cannot be started" if self.local else f"Ray at {address!r} cannot be joined"
            hint = "" if self.local else _hint()
            raise ConfigError(f"{what} ({time.monotonic() - begun:.0f} s): {one_line(error)}.{hint}") from error
        # Ray prints what raylets report (an actor died) on standard output, where `--json` has its document.
        module = self._worker_module()
        self._spoken = getattr(module, "print_to_stdstream", None)
        if self._spoken is not None:
            module.print_to_stdstream = lambda *_, **__: None

    def _worker_module(self) -> Any:
        return importlib.import_module("ray._private.worker")


def _hint() -> str:
    return (
        " Is its head node up (`ray start --head --port=6379`), the address right, and Ray of the same version here "
        "and there? Without an address (and with RAY_ADDRESS unset) a local Ray is started"
    )


def _wait_for(address: str) -> None:
    """ConfigError where nobody listens at host:port within PATIENCE_S; "auto" and other words are Ray's to judge."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        if address != "auto":
            raise ConfigError(f"Ray address: expected HOST:PORT, ray://HOST:PORT or auto, got {address!r}")
        return
    begun = time.monotonic()
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S):
                return
        except (OSError, OverflowError) as error:
            waited = time.monotonic() - begun
            if waited + 0.5 >= PATIENCE_S:
                raise ConfigError(
                    f"nobody answered at the Ray address {address!r}; waited {waited:.0f} s (the last attempt: "
                    f"{one_line(error)}).{_hint()}"
                ) from None
            time.sleep(0.5)


def _exposure(address: str, gcs: str) -> str:
    """The warning for a cluster that others can reach and that asks nobody for a token; else empty."""
    host = address.removeprefix("ray://").rpartition(":")[0] or gcs.rpartition(":")[0]
    if _is_loopback(host) or _asks_for_a_token():
        return ""
    return (
        f"Ray at {host} lies beyond loopback and token authentication is off: whoever reaches its ports can run code "
        "as you on every node. Start the cluster and this command with RAY_AUTH_MODE=token and the same RAY_AUTH_TOKEN "
        "(make one with `ray get-auth-token --generate`), and keep its ports inside a private network"
    )


def _is_loopback(host: str) -> bool:
    if host.strip("[]") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _asks_for_a_token() -> bool:
    try:
        from ray._private.authentication.authentication_utils import is_token_auth_enabled

        return bool(is_token_auth_enabled())
    except ImportError:  # a Ray before 2.52, which knows no tokens
        return False


def _under_raylets() -> dict[int, str]:
    """Process id and start time of whatever the raylets that this process started have started (Linux).

    `ray.shutdown` ends the raylet and leaves it to the workers to notice, which those that are starting, or hold the
    interpreter's lock, do late or never.
    """
    children: dict[int, list[int]] = {}
    started: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if (found := _stat(int(entry.name))) is not None:
            children.setdefault(int(found[1]), []).append(int(entry.name))
            started[int(entry.name)] = found[19]
    pending = [pid for pid in children.get(os.getpid(), []) if _command(pid).endswith("/raylet")]
    under: dict[int, str] = {}
    while pending:
        below = children.get(pending.pop(), [])
        under |= {pid: started[pid] for pid in below}
        pending += below
    return under


def _end(started: Mapping[int, str]) -> None:
    """Waits for these processes to end, and kills those that do not."""

    def left() -> list[int]:
        stats = {pid: _stat(pid) for pid in started}
        return [pid for pid, stat in stats.items() if stat and stat[19] == started[pid] and stat[0] != "Z"]

    until = time.monotonic() + ENDING_S
    while left() and time.monotonic() < until:
        time.sleep(0.02)
    for pid in left():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""


@contextlib.contextmanager
def _loopback() -> Iterator[None]:
    """Has a Ray that starts in here listen on loopback alone: its own `_node_ip_address` does not see to that, because
    Ray looks up the machine's public address for it (`resolve_ip_for_localhost`)."""
    before = os.environ.get(LOOPBACK)
    os.environ[LOOPBACK] = "0"
    constants: Any = importlib.import_module("ray._private.ray_constants")
    enabled, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = enabled
        if before is None:
            del os.environ[LOOPBACK]
        else:
            os.environ[LOOPBACK] = before


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """TimeoutError in here soon after so many seconds: Ray waits for minutes for something that listens and is no Ray.
    Signals wait in turn for Ray's own calls, of up to half a minute; again every second, because Ray retries after
    errors. In the main thread alone, the one that signals reach."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError("whoever listens there does not answer as a Ray head node does")

    handler = signal.signal(signal.SIGALRM, late)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, handler)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
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
