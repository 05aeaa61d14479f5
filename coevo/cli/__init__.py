"""The command `coevo`."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Runs the command with the process's arguments and ends the process with a documented exit code."""
    import sys

    try:
        from coevo.cli.app import app

        app()
    except KeyboardInterrupt:  # before or after the command itself, which has its own ways
        sys.exit(130)
