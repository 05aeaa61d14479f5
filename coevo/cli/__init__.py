"""The command `coevo`."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Runs the command with the process's arguments and ends the process with a documented exit code."""
    from coevo.cli.app import app

    app()
