"""The view of a running study: a live picture on a terminal, plain lines elsewhere. Both write to standard error."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from coevo.cli.rungs import Rungs
from coevo.cli.tally import PHASES, Phase, Tally
from coevo.report.words import duration, number, unit
from coevo.search.events import Event, Finished, Note, Prepared, Progress, Started

LINES_EVERY_S = 5.0


class View:
    """Shows a tally while a study runs; use it as a context. `take` is the study's listener."""

    def __init__(self, tally: Tally, console: Console):
        self.tally = tally
        self.console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the view, whatever ended the study."""

    def take(self, event: Event) -> None:
        if isinstance(event, Note):
            style, word = ("yellow", "warning: ") if event.level == "warning" else ("dim", "")
            self.console.print(Text(word + event.text, style=style))
        self.tally.take(event)

    def refresh(self) -> None:
        """Shows where the tally is, where nothing happens that would."""

    def progress(self, done: float, total: float, text: str) -> None:
        """The listener of an export."""
        self.take(Progress("export", done, total, text))


class LiveView(View):
    """A picture that redraws itself four times a second."""

    def __enter__(self) -> Self:
        self._live = Live(self.picture(), console=self.console, refresh_per_second=4, get_renderable=self.picture)
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def picture(self) -> RenderableType:
        tally = self.tally
        # Every column but the last has a width of its own: a long text must not squeeze the others.
        bars = Table.grid(padding=(0, 2), expand=True)
        bars.add_column(style="bold", width=7, no_wrap=True)
        bars.add_column(width=max(min(28, self.console.width - 70), 10))
        bars.add_column(justify="right", width=12, no_wrap=True)
        bars.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
        for name in PHASES:
            phase = tally.search_progress() if name == "search" else tally.phases[name]
            bars.add_row(name, _bar(phase), *_state(phase, tally))
        parts: list[RenderableType] = [bars]
        if tally.told or tally.rungs.rungs[0].evaluated:
            parts.append(_counts(tally))
            parts += [stages_table(tally.rungs)] if tally.rungs.several else []
            parts.append(_bests(tally))
        return Group(*parts)


class PlainView(View):
    """A line when a phase begins and ends, and every few seconds in between."""

    def __init__(self, tally: Tally, console: Console, every_s: float = LINES_EVERY_S):
        super().__init__(tally, console)
        self.every_s = every_s
        self._last = float("-inf")

    def take(self, event: Event) -> None:
        super().take(event)
        now = time.monotonic()
        match event:
            case Started():
                told = f", {event.trials} trials told before" if event.trials else ""
                self._say(f"search: {event.workers} x {event.runner} worker{'s' if event.workers != 1 else ''}{told}")
            case Prepared():
                self._say(f"prepare: done in {duration(event.seconds)}")
            case Finished():
                self._search()
            case Progress() if now - self._last >= self.every_s:
                phase = self.tally.phases[event.phase]
                self._say(
                    f"{event.phase}: {phase.share:.0%}{_left(phase, ', ')}{f', {event.text}' if event.text else ''}"
                )
            case _ if self.tally.told and now - self._last >= self.every_s:
                self._search()

    def refresh(self) -> None:
        if self.tally.told:
            self._search()

    def _search(self) -> None:
        self._say(search_line(self.tally))
        if self.tally.rungs.several:
            self._say(stages_line(self.tally.rungs))

    def _say(self, line: str) -> None:
        self._last = time.monotonic()
        self.console.print(Text(line), soft_wrap=True)


def view_for(tally: Tally, console: Console) -> View:
    """The live picture on a terminal, plain lines elsewhere."""
    return (
        LiveView(tally, console) if console.is_terminal and not console.is_dumb_terminal else PlainView(tally, console)
    )


def search_line(tally: Tally) -> str:
    """One line that says where the search is."""
    phase = tally.search_progress()
    parts = [_search_text(tally)]
    if phase.state == "runs":
        parts[0] += f" ({phase.share:.0%}){_left(phase, ', ')}"
        parts.append(f"{number(float(f'{tally.rates()[0]:.3g}'))} trials/s")
    parts.append(f"front {tally.front}")
    parts += [f"best {metric} {number(value)}" for metric, (value, _) in tally.best.items()]
    parts += [f"{count} {word}" for word, count in _trouble(tally)]
    return "search: " + ", ".join(parts)


def stages_line(rungs: Rungs) -> str:
    """One line that says who is where on a ladder, at what cost, and how well its stages agree."""
    parts = []
    for place, rung in enumerate(rungs.rungs):
        before = rungs.went_on(place - 1)[1] if place else None
        share = f"{before:.0%}, " if before is not None else ""
        failed = f", {rung.failed} failed" if rung.failed else ""
        parts.append(f"{rung.name} {rung.evaluated} ({share}{duration(rung.cost_s)}{failed})")
    agreed = [
        f"; {before.name} -> {after.name}: tau {agreement_words(rungs, before.name)}"
        for before, after in pairwise(rungs.rungs)
        if rungs.agreements_of(before.name)
    ]
    return "stages: " + " -> ".join(parts) + "".join(agreed)


def agreement_words(rungs: Rungs, cheaper: str) -> Text:
    """Kendall's tau with its interval for each objective; what is no better than chance stands out."""
    parts = []
    for found in rungs.agreements_of(cheaper):
        if math.isnan(found.tau):
            parts.append(Text(f"{found.metric} cannot be ranked yet", style="dim"))
            continue
        doubt = "" if found.better_than_chance else " no better than chance"
        words = f"{found.metric} {found.tau:.2f} [{found.low:.2f}, {found.high:.2f}]{doubt}"
        parts.append(Text(words, style="yellow" if doubt else ""))
    designs = max((found.designs for found in rungs.agreements_of(cheaper)), default=0)
    return Text(", ").join(parts).append(f" over {designs}" if parts else "", "dim")


def stages_table(rungs: Rungs) -> Table:
    """A row a stage: how many were evaluated there, went on, ended and failed, what it cost, and how well it ranks
    designs as the next stage does."""
    names = ("stage", "evaluated", "went on", "ended", "failed", "cost", "ranks as the next one does (tau)")
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for place, name in enumerate(names):
        table.add_column(Text(name), justify="right" if 0 < place < 6 else "left", overflow="fold")
    whole = rungs.cost_s
    for place, rung in enumerate(rungs.rungs):
        on, share = rungs.went_on(place) if place + 1 < len(rungs.rungs) else (0, None)
        table.add_row(
            Text(rung.name, style="bold"),
            str(rung.evaluated),
            "" if place + 1 == len(rungs.rungs) else f"{on} ({share:.0%})" if share is not None else str(on),
            str(rung.ended),
            Text(str(rung.failed), style="red" if rung.failed else "dim"),
            duration(rung.cost_s) + (f" ({rung.cost_s / whole:.0%})" if whole > 0 else ""),
            agreement_words(rungs, rung.name),
        )
    return table


def _search_text(tally: Tally) -> str:
    limit = tally.budget.get("trials")
    return f"{tally.told} of {limit:g} trials" if limit else f"{tally.told} trials"


def _left(phase: Phase, before: str = "") -> str:
    if phase.left_s is None:
        return ""
    return f"{before}about {duration(phase.left_s) if phase.left_s >= 60 else f'{phase.left_s:.0f} s'} left"


def _bar(phase: Phase) -> RenderableType:
    if phase.state == "skipped":
        return Text("nothing to do", style="dim")
    pulse = phase.state == "runs" and phase.share == 0.0
    return ProgressBar(total=1.0, completed=phase.share, pulse=pulse, complete_style="cyan", finished_style="green")


def _state(phase: Phase, tally: Tally) -> tuple[Text, Text]:
    text = _search_text(tally) if phase.name == "search" and phase.state in ("runs", "done") else phase.text
    match phase.state:
        case "waits" | "skipped":
            return Text(""), Text("")
        case "done":
            return Text(duration(phase.seconds) if phase.seconds else "done", style="green"), Text(text, style="dim")
        case _:
            return Text(f"{phase.share:4.0%}"), Text.assemble(
                (_left(phase), "cyan"), "  " if phase.left_s else "", (text, "dim")
            )


def _trouble(tally: Tally) -> list[tuple[str, int]]:
    counts = [("failed", tally.failed), ("infeasible", tally.infeasible), ("worker trouble", tally.troubled)]
    return [(word, count) for word, count in counts if count]


def _counts(tally: Tally) -> Text:
    rate = tally.rates()[0]
    parts: list[tuple[str, str]] = [(f"front {tally.front}", "bold")]
    if tally.phases["search"].state == "runs":
        parts.insert(0, (f"{number(float(f'{rate:.3g}'))} trials/s", ""))
        parts.append((f"{tally.workers} {tally.runner} worker{'s' if tally.workers != 1 else ''}", "dim"))
    if tally.cached:
        parts.append((f"{tally.cached} cached", "dim"))
    parts += [(f"{count} {word}", "red" if word == "failed" else "yellow") for word, count in _trouble(tally)]
    line = Text()
    for place, (text, style) in enumerate(parts):
        line.append(" · " if place else "", "dim").append(text, style)
    return line


def _bests(tally: Tally) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    for goal in tally.goals.objectives:
        value, index = tally.best.get(goal.metric, (None, None))
        where = f"{unit(tally.units.get(goal.metric, ''))}  #{index}".strip() if index is not None else ""
        table.add_row(f"{goal.direction} {escape(goal.metric)}", number(value), where)
    return table
