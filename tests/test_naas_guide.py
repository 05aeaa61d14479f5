"""The guide to searching accelerators: every snippet and every command of docs/naas.md, in order, in one empty folder.

Searches run in this process, with fewer designs than the page has; all else is run as it stands.
"""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

PAGE = Path(__file__).parents[1] / "docs" / "naas.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.S)
SMALLER = {"run.runner": "inline", "run.workers": "1", "search.trials": "3"}


def test_every_block_runs_in_order(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    from coevo.cli.app import app

    monkeypatch.chdir(tmp_path)
    for kind, text in BLOCKS:
        name = re.match(r"# ([\w-]+\.(?:py|toml))\n", text)
        if name:
            Path(name[1]).write_text(text, encoding="utf-8")
            if kind == "python":
                runpy.run_path(name[1], run_name="__main__")
        elif kind == "json":
            assert set(json.loads(text)) == {"source", "networks"}
        else:
            assert kind == "sh", text
            for line in text.splitlines():
                run(line, app)
    printed = capsys.readouterr().out
    assert re.search(r"EDP gap \d+\.\d%, found.optimal=(True|False)", printed)
    assert "multiply and add" in printed


def run(line, app):
    program, *words = shlex.split(line)
    assert program == "coevo", line
    if words[0] == "run":
        for name, value in SMALLER.items():
            words += ["--set", f"{name}={value}"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, f"{line}\n{result.output}"


def test_every_option_that_the_page_names_exists():
    from coevo.spaces.naas.options import Elastic, Options

    known = set(Options.model_fields) | set(Elastic.model_fields)
    for name in re.findall(r"^\| `(\w+)(?: = \w+)?` \| [A-Z]", TEXT.split("## A chip")[1], flags=re.M):
        assert name in known, name


def test_every_method_that_the_page_names_is_the_mappers():
    from coevo.spaces.naas.mapper.map_layer import METHODS

    table = TEXT.split("| method |")[1].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, flags=re.M)) == set(METHODS)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\(([\w./-]+)\)", TEXT))))
def test_every_link_leads_somewhere(name):
    assert (PAGE.parent / name).exists()
