"""How long a search may go on."""

from __future__ import annotations

from dataclasses import dataclass

from coevo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Budget:
    """`trials` counts designs of the whole study, `seconds` those of searching, `cost_s` evaluator seconds summed over
    workers; earlier sessions count. None sets no limit, and at least one must be set (ConfigError)."""

    trials: int | None = None
    seconds: float | None = None
    cost_s: float | None = None

    def __post_init__(self) -> None:
        if not self.limits:
            raise ConfigError("a budget is needed: run(trials=..., seconds=... or cost_s=...)")
        for name, limit in self.limits.items():
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
                raise ConfigError(f"budget {name}: expected a number above 0, got {limit!r}")

    @property
    def limits(self) -> dict[str, float]:
        """Those that are set, by name."""
        named = {"trials": self.trials, "seconds": self.seconds, "cost_s": self.cost_s}
        return {name: limit for name, limit in named.items() if limit is not None}

    def spent(self, trials: int, seconds: float, cost_s: float) -> str:
        """Which limit is reached: "trials", "seconds", "cost", or none ("")."""
        if self.trials is not None and trials >= self.trials:
            return "trials"
        if self.seconds is not None and seconds >= self.seconds:
            return "seconds"
        return "cost" if self.cost_s is not None and cost_s >= self.cost_s else ""
