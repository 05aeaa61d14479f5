"""`coevo measure`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Coevo = Callable[..., Result]
NAME = "measured_problems:problem"


def test_a_table_goes_to_its_own_place(coevo: Coevo) -> None:
    result = coevo("measure", NAME, "--set", "frames=5")
    assert result.exit_code == 0, result.stderr
    assert "own-place.json" in result.stdout and "model a chip, threads 2" in result.stdout
    assert json.loads(Path("own-place.json").read_text())["frames"] == 5


def test_a_table_goes_where_it_is_told(coevo: Coevo, tmp_path: Path) -> None:
    target = tmp_path / "table.json"
    result = coevo("measure", NAME, "-o", target, "--json", "--set", "deep.inside=3")
    assert json.loads(result.stdout)["table"] == str(target)
    assert json.loads(target.read_text())["deep"] == {"inside": 3}
    before = target.read_text()
    refused = coevo("measure", NAME, "-o", target)
    assert refused.exit_code == 2 and target.read_text() == before
    assert coevo("measure", NAME, "-o", target, "--force").exit_code == 0


def test_bad_input_is_refused(coevo: Coevo) -> None:
    nothing = coevo("measure", "toy_problems:problem")
    assert nothing.exit_code == 2 and "nothing to measure" in nothing.stderr
    assert coevo("measure", NAME, "--set", "frames").exit_code == 2
    clash = coevo("measure", NAME, "--set", "deep=1", "--set", "deep.inside=3")
    assert clash.exit_code == 2 and "no table" in clash.stderr
    assert coevo("measure", NAME, "-o", "no/such/folder/table.json").exit_code == 2
    assert "measure" in coevo("show", NAME).stdout
