"""How errors leave the command: one clear message and a documented exit code; a traceback only for coevo's own bugs."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from coevo.errors import CoevoError, MissingExtra

DONE, FAILED, BAD_INPUT, NOTHING_FEASIBLE, INTERRUPTED = range(5)


class Guard(TyperGroup):
    """The command's root: every subcommand's errors pass through here."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CoevoError as error:
            complain(error)
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            # The reader of a pipe (head, say) has seen enough; Python must not fail on its last flush.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(DONE) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


def complain(error: CoevoError) -> None:
    """The error's message on standard error; with COEVO_DEBUG=1 its traceback too."""
    if os.environ.get("COEVO_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    word = "missing" if isinstance(error, MissingExtra) else "error"
    bold, red, plain = ("\033[1m", "\033[31m", "\033[0m") if sys.stderr.isatty() else ("", "", "")
    sys.stderr.write(f"{bold}{red}{word}:{plain} {error}\n")
