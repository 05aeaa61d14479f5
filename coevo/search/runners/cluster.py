"""Ray itself, as a runner finds it: a local one started on loopback, a cluster that is joined, or one that the process
has joined already. Says early, and in one sentence, what is missing."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from coevo.errors import ConfigError, missing_extra
from coevo.search.runners import address as addresses
from coevo.search.runners.calls import one_line
from coevo.search.runners.local_ray import LocalRay, own_signals

JOINING_S = 30.0  # once Ray has answered


def require_ray() -> None:
    """MissingExtra where Ray is not installed; does not import it."""
    if importlib.util.find_spec("ray") is None:
        raise missing_extra("ray", "ray")


class Cluster:
    """A Ray that is connected. `local` where it was started here, `note` what its user should be warned of.

    `cpus` is how many a local Ray claims to have, and `environment` what its processes have in theirs; on a cluster
    that is joined, nobody knows that. `wait_s` is how long to wait for an answer at an address.
    """

    _started: ClassVar[Cluster | None] = None  # the Ray that this process started, if it runs

    def __init__(
        self,
        address: str | None,
        cpus: int,
        environment: Mapping[str, str] | None = None,
        wait_s: float | None = None,
    ):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        wait_s = addresses.waiting_time_s(wait_s)
        self.local = address == "local"
        self.environment: Mapping[str, str] = {}
        self.note = ""
        self._local: LocalRay | None = None
        self._spoken = None
        module: Any = sys.modules.get("ray")
        self.ours = module is None or not module.is_initialized()
        if not self.ours:
            self.ray: Any = module
            self.local = False
            self._require_this(address)
            if Cluster._started is not None:
                self.environment = Cluster._started.environment
        elif self.local:
            self._local = LocalRay(cpus, environment or {})
            self.ray, self.environment = self._local.ray, self._local.environment
            Cluster._started = self
        else:
            self._join(address, wait_s)
        if self.ours:
            self._keep_quiet()
        if (self.ours and address == "auto") or (not self.ours and Cluster._started is None):
            self.note = self._exposure(wait_s)

    def _require_this(self, address: str) -> None:
        """ConfigError where this process is connected to another Ray than the one that is asked for."""
        if address in ("local", "auto") or address.startswith("ray://"):
            return
        here = str(self.ray.get_runtime_context().gcs_address)
        if address != here:
            raise ConfigError(
                f"this process is connected to the Ray at {here} already, and {address!r} is asked for: call "
                "ray.shutdown() first, or leave the address out"
            )

    def _exposure(self, wait_s: float) -> str:
        """The warning for a cluster whose address is known only now."""
        gcs = str(self.ray.get_runtime_context().gcs_address)
        host = gcs.rpartition(":")[0]
        if addresses.is_loopback(host) or not addresses.lets_anyone_in(gcs, wait_s):
            return ""
        return addresses.exposure(host)

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
        if not self.ours:
            return
        self.ours = False
        try:
            self.ray.shutdown()
        finally:
            if self._local is not None:
                Cluster._started = None
                self._local.close()
            if self._spoken is not None:
                _worker_module().print_to_stdstream = self._spoken

    def _join(self, address: str, wait_s: float) -> None:
        self.note = addresses.reach(address, wait_s)
        import ray

        self.ray = ray
        begun = time.monotonic()
        try:
            with own_signals(), _at_most(JOINING_S):
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (Exception, SystemExit) as error:
            ray.shutdown()
            raise ConfigError(
                f"Ray at {address!r} cannot be joined ({time.monotonic() - begun:.0f} s): {one_line(error)}."
                f"{addresses.hint()}"
            ) from error
        if address.startswith("ray://"):
            host = address.removeprefix("ray://").rpartition(":")[0]
            if not addresses.is_loopback(host) and not _asks_for_a_token():
                self.note = addresses.exposure(host)

    def _keep_quiet(self) -> None:
        """Ray prints what raylets report (an actor died) on standard output, where `--json` has its document."""
        module = _worker_module()
        self._spoken = getattr(module, "print_to_stdstream", None)
        if self._spoken is not None:
            module.print_to_stdstream = lambda *_, **__: None


def _worker_module() -> Any:
    return importlib.import_module("ray._private.worker")


def _asks_for_a_token() -> bool:
    """Whether this process shows a token to whom it connects to."""
    try:
        from ray._private.authentication.authentication_utils import is_token_auth_enabled

        return bool(is_token_auth_enabled())
    except ImportError:  # a Ray before 2.52, which knows no tokens
        return False


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
