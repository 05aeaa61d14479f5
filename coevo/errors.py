"""The errors of coevo. Every message says what was expected, what came, where, and what to do.

CoevoError
├── InputError            the user's input is wrong; nothing was written or paid for (exit code 2)
│   ├── ConfigError       a TOML file, a command-line option or an argument
│   ├── UnknownName       a name that nobody offers; the message gives the nearest one
│   ├── SpaceError        a space function broke the rules of `Pick`
│   ├── MissingExtra      an optional dependency is not installed; the message names the extra
│   └── RunFolderError    no run folder, a locked one, a read-only one, or one from a newer version
├── InfeasibleSpace       sampling found nothing valid; carries the counts of the reasons (exit code 3)
├── EvaluatorError        an evaluator that cannot be set up: no trial could ever succeed
├── CorruptRun            a run folder whose contents contradict themselves or their digests
└── Interrupted           the study was stopped and can be resumed (exit code 4)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class CoevoError(Exception):
    """The root: catching it catches every error that coevo raises on purpose."""

    exit_code = 1


class InputError(CoevoError):
    """The user's input is wrong; nothing was written or paid for."""

    exit_code = 2


class ConfigError(InputError):
    """A TOML file, a command-line option or an argument is wrong."""


class UnknownName(InputError):
    """A name that nobody offers."""


class SpaceError(InputError):
    """A space function broke the rules of `Pick`."""


class MissingExtra(InputError):
    """An optional dependency is not installed."""


class RunFolderError(InputError):
    """A run folder that cannot be used: absent, locked, read-only, or from a newer version."""


class InfeasibleSpace(CoevoError):
    """Sampling found nothing valid. `reasons` counts why designs were refused."""

    exit_code = 3

    def __init__(self, message: str, reasons: Mapping[str, int]):
        super().__init__(message)
        self.reasons = dict(reasons)


class EvaluatorError(CoevoError):
    """An evaluator that cannot be set up: no trial could ever succeed."""


class CorruptRun(CoevoError):
    """A run folder whose contents contradict themselves or their digests."""


class Interrupted(CoevoError):
    """The study was stopped and can be resumed."""

    exit_code = 4


def nearest(given: str, choices: Iterable[str]) -> str | None:
    """The choice that reads most like `given`, or None where nothing comes near."""
    close = difflib.get_close_matches(str(given), [str(choice) for choice in choices], n=1, cutoff=0.5)
    return close[0] if close else None


def unknown_name(kind: str, given: str, choices: Iterable[str], where: str = "") -> UnknownName:
    """The error for a name that nobody offers: names the nearest one and lists them all."""
    names = sorted(str(choice) for choice in choices)
    close = nearest(given, names)
    hint = f" Did you mean {close!r}?" if close else ""
    place = f" in {where}" if where else ""
    offered = ", ".join(names) if names else "none"
    return UnknownName(f"unknown {kind} {given!r}{place}.{hint} Offered: {offered}.")


def missing_extra(package: str, *extras: str) -> MissingExtra:
    """The error for an optional dependency: names the extra that brings it, or each of several that do."""
    named = " or ".join(repr(extra) for extra in extras)
    which = "the extra" if len(extras) == 1 else "the extras"
    return MissingExtra(f"{package} is not installed. It comes with {which} {named}: pip install 'coevo[{extras[0]}]'")
