"""The guide to the quantum space: every snippet and every command of docs/quantum.md, in order, in one empty folder.

Searches are made smaller than the page has them, and run in this process; all else is run as it stands.
"""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "quantum.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
SMALLER = {
    "run.runner": "inline",
    "search.trials": "2",
    "options.supercircuit_steps": "20",
    "options.scratch_steps": "10",
}


def named(text):
    """The file that a block's first line names."""
    found = re.match(r"# ([\w-]+\.(?:py|toml))\n", text)
    assert found, f"a block of docs/quantum.md must begin with '# NAME.py' or '# NAME.toml':\n{text}"
    return found[1]


def command(line, app):
    program, *words = shlex.split(line, comments=True)
    assert program == "coevo", line
    if words[0] == "run":
        for name, value in SMALLER.items():
            words += ["--set", f"{name}={value}"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, f"{line}\n{result.output}"


def test_every_block_runs_in_order(tmp_path, monkeypatch, capsys):
    from coevo.cli.app import app

    monkeypatch.chdir(tmp_path)
    kinds = []
    for kind, text in BLOCKS:
        kinds.append(kind)
        if kind == "toml":
            Path(named(text)).write_text(text, encoding="utf-8")
        elif kind == "python":
            Path(named(text)).write_text(text, encoding="utf-8")
            runpy.run_path(named(text), run_name="__main__")
        else:
            assert kind == "sh", kind
            for line in text.splitlines():
                command(line, app)
    assert {"toml", "python", "sh"} <= set(kinds)
    printed = capsys.readouterr().out
    assert "LiH 6 qubits" in printed and "(8, 500, 2)" in printed


def test_the_tables_name_every_option_value():
    from typing import get_args

    from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS
    from coevo.spaces.quantumnas.options import Options
    from coevo.spaces.quantumnas.tasks.catalogue import TASKS
    from coevo.supernets.sampling.catalogue import SAMPLERS

    page = PAGE.read_text(encoding="utf-8")
    for name in (*GATE_SETS, *TASKS, *SAMPLERS, *get_args(Options.model_fields["estimator"].annotation)):
        assert f"`{name}`" in page, name
    for name in re.findall(r"`(\w+) = ", page):
        assert name in Options.model_fields or name == "algorithm", name


def test_the_table_of_gate_sets_counts_blocks_as_they_are():
    from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS

    page = PAGE.read_text(encoding="utf-8")
    for name, gate_set in GATE_SETS.items():
        (cell,) = re.findall(rf"^\| `{name}` \|.*\| ([^|]*) \|$", page, flags=re.M)
        front, arbitrary = gate_set.blocks("front"), gate_set.blocks("arbitrary")
        assert cell == (str(front) if front == arbitrary else f"{front} ({arbitrary} with arbitrary widths)")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\(([\w./-]+)\)", PAGE.read_text(encoding="utf-8")))))
def test_every_link_leads_somewhere(name):
    assert (PAGE.parent / name).exists()
