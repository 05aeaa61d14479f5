"""The page's sections on what the search spent: cost by stage, agreement of stages, failures, broken constraints."""

from __future__ import annotations

import math
from collections import Counter
from html import escape

from coevo.report.content import Page
from coevo.report.data import broken_counts, failure_counts
from coevo.report.words import duration
from coevo.search.agreement import Agreement

SHOWN_REASONS = 25
ALONE = "<p>“alone” counts those that break no other one. A soft constraint is one more thing to minimise.</p>"


def cost(page: Page) -> str:
    """Seconds by stage, and how well each stage ranks designs as the next one does."""
    if not page.table.trials:
        return ""
    whole = sum(stage.seconds for stage in page.costs) or 1.0
    rows = "".join(
        f"<tr><td>{escape(stage.stage)}</td>"
        f'<td class="num">{stage.designs}</td><td class="num">{stage.cached}</td><td class="num">{stage.failed}</td>'
        f'<td class="num">{duration(stage.median_s)}</td><td class="num">{duration(stage.seconds)}</td>'
        '<td><span class="track">'
        f'<span class="bar" style="width:{100 * stage.seconds / whole:.1f}%"></span></span></td>'
        f'<td class="num">{100 * stage.seconds / whole:.0f} %</td></tr>'
        for stage in page.costs
    )
    seconds, workers = page.log.seconds, int(page.config.get("run", {}).get("workers", 1))
    evaluated = sum(stage.seconds for stage in page.costs)
    busy = f" The workers were busy {min(evaluated / (seconds * workers), 1):.0%} of the time." if seconds > 0 else ""
    prepared = f" Preparing took {duration(page.log.prepare_s)} before that." if page.log.prepare_s else ""
    origins = (trial.design.origin for trial in page.table.trials)
    imported = sum(origin is not None and origin.how == "imported" for origin in origins)
    others = f" {imported} designs were imported; their seconds were spent in another run." if imported else ""
    return (
        f"<p>{duration(evaluated)} of evaluations in {duration(seconds)} of searching.{busy}{prepared}{others}</p>"
        '<div class="wide"><table class="tight"><thead><tr><th>stage</th><th class="num">designs</th>'
        '<th class="num">cached</th><th class="num">failed</th><th class="num">median</th><th class="num">in all</th>'
        f'<th></th><th class="num">share</th></tr></thead><tbody>{rows}</tbody></table></div>{_agreements(page)}'
    )


def _agreements(page: Page) -> str:
    if len(page.table.stages) < 2:
        return ""
    head = "<h3>Do cheaper stages rank as deeper ones do?</h3>"
    if not page.agreements:
        return f"{head}<p>Fewer than three designs reached two stages: nothing to rank yet.</p>"
    rows = "".join(_agreement(each) for each in page.agreements)
    blind = [each for each in page.agreements if not each.better_than_chance]
    warning = "".join(
        f'<li class="warning">Stage {escape(each.cheaper)} ranks {escape(each.metric)} no better than chance: the '
        f"interval of tau does not lie above 0 over {each.designs} designs. Promotion by it wastes the deeper "
        "stage, or loses the best designs.</li>"
        for each in blind
    )
    return (
        f"{head}<p>Kendall's tau-b with its 95 % interval, over the designs that reached both stages (the latest "
        "2,000): 1 is the same order, 0 is chance, -1 the opposite. Only promoted designs reach both, which makes tau "
        f"smaller than over all designs.</p>{f'<ul class=notes>{warning}</ul>' if warning else ''}"
        '<div class="wide"><table class="tight"><thead><tr><th>stages</th><th>objective</th>'
        '<th class="num">designs</th><th class="num">tau</th><th class="num">95 %</th><th>-1 … 0 … 1</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _agreement(each: Agreement) -> str:
    start = f"<tr><td>{escape(each.cheaper)} → {escape(each.deeper)}</td><td>{escape(each.metric)}</td>"
    start += f'<td class="num">{each.designs}</td>'
    if math.isnan(each.tau):
        return f'{start}<td class="num">–</td><td class="num">–</td><td class="soft">no differences to rank</td></tr>'
    left, right, at = (50 * (1 + value) for value in (each.low, each.high, each.tau))
    weak = "" if each.better_than_chance else " weak"
    return (
        f'{start}<td class="num">{each.tau:.2f}</td><td class="num">{each.low:.2f} … {each.high:.2f}</td>'
        f'<td><span class="tau{weak}"><i style="left:{left:.1f}%;width:{max(right - left, 0.5):.1f}%"></i>'
        f'<b style="left:{at:.1f}%"></b></span></td></tr>'
    )


def failures(page: Page) -> str:
    """Failures by reason, designs by the constraint that they break, and what befell workers."""
    counts, broken = failure_counts(page.table), [own for own in broken_counts(page.table) if own[2]]
    troubles = Counter(trial.how for trial in page.table.trials if trial.how)
    if not counts and not troubles and not broken:
        return ""
    parts = []
    if troubles:
        listed = ", ".join(f"{kind} ({count})" for kind, count in sorted(troubles.items()))
        parts.append(f"<p>Worker trouble: {escape(listed)}.</p>")
    if counts:
        rest = len(counts) - SHOWN_REASONS
        most = counts[0][1]
        bars = "".join(_reason(reason, count, most, "bad") for reason, count in counts[:SHOWN_REASONS])
        more = f"<p>and {rest} rarer reasons</p>" if rest > 0 else ""
        total = sum(count for _, count in counts)
        parts.append(f'<div><h3>{total} failed, by reason</h3><div class="bars">{bars}</div>{more}</div>')
    if broken:
        most = max(count for _, _, count, _ in broken)
        bars = "".join(
            _reason(
                f"{words}{f' (alone: {alone})' if alone != count else ''}", count, most, "warn" if hard else "faint"
            )
            for words, hard, count, alone in broken
        )
        parts.append(
            f'<div><h3>Designs that break a constraint</h3><div class="bars">{bars}</div>'
            + (ALONE if len(broken) > 1 else "")
            + "</div>"
        )
    return "".join(parts)


def _reason(reason: str, count: int, most: int, colour: str) -> str:
    return (
        f'<span class="reason">{escape(reason)}</span><span class="track"><span class="bar {colour}" '
        f'style="width:{100 * count / most:.1f}%"></span></span><span class="count">{count}</span>'
    )
