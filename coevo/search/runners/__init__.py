"""Who runs the evaluators: `local` worker processes (the reference and the default), `inline` in this process, or `ray`
actors on this machine or a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coevo.errors import ConfigError, unknown_name
from coevo.search.runners.base import Done as Done
from coevo.search.runners.base import EvaluatorSource as EvaluatorSource
from coevo.search.runners.base import Runner as Runner
from coevo.search.runners.base import StageSetup as StageSetup
from coevo.search.runners.base import Task as Task
from coevo.search.runners.base import WorkerSetup as WorkerSetup
from coevo.search.runners.inline import InlineRunner as InlineRunner

if TYPE_CHECKING:
    from coevo.search.runners.local import LocalRunner as LocalRunner
    from coevo.search.runners.ray import RayRunner as RayRunner

RUNNERS = ("inline", "local", "ray")


def check_runner_name(text: str) -> None:
    """UnknownName where nobody offers this runner. "ray" may carry the address of a cluster: "ray:10.0.0.7:6379",
    "ray:auto" or "ray://10.0.0.7:10001"."""
    name, colon, _ = text.partition(":")
    if name not in RUNNERS or (colon and name != "ray"):
        raise unknown_name("runner", text, RUNNERS)


def make_runner(runner: str | Runner, workers: int = 1) -> Runner:
    """The runner of this name with so many workers; a runner that is already made passes through as it is."""
    if not isinstance(runner, str):
        if all(hasattr(runner, name) for name in ("start", "room", "submit", "wait", "close")):
            return runner
        raise ConfigError(f"runner: expected {', '.join(map(repr, RUNNERS))} or a Runner, got {runner!r}")
    check_runner_name(runner)
    if runner == "inline":
        if workers != 1:
            raise ConfigError(f"the inline runner has 1 worker, got workers={workers!r}; use the runner 'local'")
        return InlineRunner()
    if runner == "local":
        from coevo.search.runners.local import LocalRunner

        return LocalRunner(workers)
    from coevo.search.runners.ray import RayRunner

    address = runner if runner.startswith("ray://") else runner.partition(":")[2]
    return RayRunner(workers, address or None)


def __getattr__(name: str) -> Any:
    # Late, because it brings subprocess and cloudpickle, and importing coevo.search must stay light.
    if name == "LocalRunner":
        from coevo.search.runners.local import LocalRunner

        return LocalRunner
    if name == "RayRunner":
        from coevo.search.runners.ray import RayRunner

        return RayRunner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
