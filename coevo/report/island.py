"""What the page's script is handed: a run as columns, deflated, so that 50,000 designs stand in a few megabytes."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Sequence
from typing import Any

from coevo.report.answers import columns_of, derived, parallel_axes
from coevo.report.data import FRONT, STATES, Table

ROWS = 100_000
"""How many designs a page carries; beyond that the front and an even share of the others."""
ANSWER_CELLS = 2_000_000
"""How many answers (designs x choices) a page carries; beyond that only the front and an even share keep theirs."""
REASON_LETTERS = 600


def island(table: Table, history: Sequence[Any] = ()) -> dict[str, Any]:
    """Plain JSON. Rows are the kept designs in the order of their indices."""
    rows = thinned(table, range(len(table.trials)), ROWS)
    trials = [table.trials[row] for row in rows]
    stages, stage_codes = _codes([trial.stage for trial in trials])
    reasons, reason_codes = _codes([_line(trial.outcome.failure) for trial in trials])
    troubles, trouble_codes = _codes([trial.how for trial in trials])
    origins = [trial.design.origin for trial in trials]
    hows, how_codes = _codes([origin.how if origin else "given by hand" for origin in origins])
    parents = [origin.parents if origin else () for origin in origins]
    answers, answer_rows = _answers(table, rows)
    return {
        "objectives": [{"metric": goal.metric, "direction": goal.direction} for goal in table.goals.objectives],
        "metrics": [{"name": name, "unit": table.units.get(name, "")} for name in table.metrics],
        "states": STATES,
        "stages": stages,
        "reasons": reasons,
        "troubles": troubles,
        "origins": hows,
        "total": len(table.trials),
        "trials": {
            "index": [trial.index for trial in trials],
            "key": "".join(trial.design.key for trial in trials),
            "stage": stage_codes,
            "state": [table.states[row] for row in rows],
            "cost": [rounded(trial.total_cost_s) for trial in trials],
            "trouble": trouble_codes,
            "origin": how_codes,
            "parents": [[own[at] if len(own) > at else -1 for own in parents] for at in (0, 1)],
            "cached": [-1 if trial.cached_from is None else trial.cached_from for trial in trials],
            "reason": reason_codes,
            "metrics": {name: [rounded(trial.outcome.metrics.get(name)) for trial in trials] for name in table.metrics},
        },
        "answers": {"rows": answer_rows, "columns": answers},
        "parallel": parallel_axes(table, answers, rows if answer_rows is None else [rows[at] for at in answer_rows]),
        "history": list(history),
    }


def packed(data: Any) -> str:
    """JSON, deflated, in base64: no letter of it can end the element that holds it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()


def unpacked(text: str) -> Any:
    """What `packed` was given."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def thinned(table: Table, rows: Sequence[int], most: int) -> Sequence[int]:
    """All rows where they are few enough; else those of the front and every so-manieth of the others."""
    if len(rows) <= most:
        return rows
    front = [row for row in rows if table.states[row] == FRONT][:most]
    others = [row for row in rows if table.states[row] != FRONT]
    room = most - len(front)
    return sorted(front + (others[:: math.ceil(len(others) / room)] if room else []))


def rounded(value: float | None) -> float | None:
    """Seven significant digits: what a reader can use, in half the bytes. What is no finite number is absent."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.7g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _codes(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    distinct = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    return list(distinct), [distinct[text] for text in texts]


def _line(reason: str | None) -> str:
    """A reason as the table shows it: the first lines of a long one."""
    text = (reason or "").strip()
    return text if len(text) <= REASON_LETTERS else text[:REASON_LETTERS] + " …"


def _answers(table: Table, rows: Sequence[int]) -> tuple[list[dict[str, Any]], list[int] | None]:
    """The choices as columns of codes, and the places among `rows` that they hold (None: all of them)."""
    names = dict.fromkeys(name for row in rows for name, _ in table.trials[row].design.answers)
    room = max(ANSWER_CELLS // max(len(names), 1), 1)
    kept = thinned(table, rows, room)
    columns = columns_of([table.trials[row] for row in kept])
    for column in columns[:]:
        columns += derived(column)
    if len(kept) == len(rows):
        return columns, None
    places = {row: place for place, row in enumerate(rows)}
    return columns, [places[row] for row in kept]
