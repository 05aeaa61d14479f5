"""Networks whose accuracies the user knows: a design picks a row of the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coevo.errors import InputError
from coevo.search.canonical import canonical
from coevo.search.pick import Pick, Rejected
from coevo.search.questions import MISSING
from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.network.families import family
from coevo.spaces.naas.network.scale import Scale


@dataclass(frozen=True)
class AccuracyTable:
    """`rows`: (network, its accuracy as a share). `source`: the file's own word for where they come from."""

    rows: tuple[tuple[NetworkDesign, float], ...]
    source: str

    def pick(self, pick: Pick) -> tuple[NetworkDesign, float]:
        """One row of it."""
        return self.rows[pick.integer("network", 0, len(self.rows) - 1)] if len(self.rows) > 1 else self.rows[0]


def read_table(path: Path, name: str, scale: Scale) -> AccuracyTable:
    """A JSON file {"source": text, "networks": [{"answers": {choice: answer}, "accuracy": share}, ...]}; the answers
    are those of the family's space function. InputError names the row that is wrong, and what of it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"accuracy table {path}: {error}") from None
    if not isinstance(content, dict) or not content.get("source") or not content.get("networks"):
        raise InputError(f'accuracy table {path}: expected {{"source": text, "networks": [...]}} with rows')
    rows = []
    for number, row in enumerate(content["networks"]):
        where = f"accuracy table {path}, network {number}"
        if not isinstance(row, dict) or set(row) != {"answers", "accuracy"}:
            raise InputError(f"{where}: expected answers and accuracy, got {row!r}")
        accuracy = row["accuracy"]
        if isinstance(accuracy, bool) or not isinstance(accuracy, (int, float)) or not 0 <= accuracy <= 1:
            raise InputError(f"{where}: accuracy must be a share from 0 to 1, got {accuracy!r}")
        rows.append((network_of(row["answers"], name, scale, where), float(accuracy)))
    return AccuracyTable(tuple(rows), str(content["source"]))


def network_of(answers: Mapping[str, Any], name: str, scale: Scale, where: str) -> NetworkDesign:
    """The network that these answers build. Every answer must be asked for, and fit."""
    asked: list[str] = []

    def choose(question: str, options: Any) -> Any:
        if question not in answers:
            raise InputError(f"{where}: {name} asks for {question!r}, which is not answered")
        asked.append(question)
        answer = options.fits(canonical(answers[question]))
        if answer is MISSING:
            raise InputError(f"{where}: {question} = {answers[question]!r} is none of {options.raw}")
        return answer

    try:
        design = family(name)(Pick(choose, {}), scale)
    except Rejected as refused:
        raise InputError(f"{where}: {refused.reason}") from None
    stray = sorted(set(answers) - set(asked))
    if stray:
        raise InputError(f"{where}: {', '.join(stray)} bind to nothing: {name} does not ask for them")
    return design
