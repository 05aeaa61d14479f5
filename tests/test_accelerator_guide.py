"""The guide to accelerators: every snippet of docs/accelerators.md, in order, in one empty folder, and its tables."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "accelerators.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.S)


def test_every_block_runs_in_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for kind, text in BLOCKS:
        name = re.match(r"# ([\w-]+\.(?:py|toml))\n", text)
        assert name and kind in ("toml", "python"), text
        Path(name[1]).write_text(text, encoding="utf-8")
        if kind == "python":
            runpy.run_path(name[1], run_name="__main__")
    printed = capsys.readouterr().out
    for line in re.findall(r"print\([^\n]*\)\s+# ([\d(][^\n]*|conv1[^\n]*)\n", TEXT):
        assert line in printed, line
    assert re.search(r"^True \d+\.\d+ \d+\.\d+\n\(\)$", printed, flags=re.M)  # the first mapping is valid


def rows(after):
    """The cells of the table whose header begins with `after`."""
    table = re.search(rf"^\| {after} \|.*?\n\n", TEXT, flags=re.S | re.M)
    assert table, after
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].strip().split("\n")[2:]]


def test_the_table_of_accelerators():
    from coevo.hardware.accelerators import ACCELERATORS, load_accelerator

    found = {re.search(r"`(\w+)`", row[0])[1]: row for row in rows("accelerator")}
    assert set(found) == set(ACCELERATORS)
    for name, row in found.items():
        assert int(row[1].replace(",", "")) == load_accelerator(name).mac_units


def test_the_table_of_energy_tables():
    from coevo.hardware.accelerators import load_energy_table
    from coevo.hardware.accelerators.energy_table import TABLES_FOLDER

    found = {row[0].strip("`"): row for row in rows("table")}
    assert set(found) == {path.stem for path in TABLES_FOLDER.glob("*.toml")}
    for name, row in found.items():
        sized = {component.name for component in load_energy_table(name).components.values() if component.rule}
        assert set(re.findall(r"`(\w+)`", row[2])) == sized


def test_the_table_of_networks():
    from coevo.cost_models.accelerator.workloads import WORKLOADS, load_workload

    found = {re.search(r"`(\w+)`", row[0])[1]: row for row in rows("workload")}
    assert set(found) == set(WORKLOADS)
    for name, row in found.items():
        workload = load_workload(name)
        assert row[2] == f"{workload.macs / 1e9:.3f} G"
        assert row[3] == f"{workload.parameters / 1e6:.2f} M"


def test_the_keys_of_a_workload_are_listed_where_the_page_says():
    from coevo.cost_models.accelerator.workloads import reading

    for kind in reading.KINDS:
        assert f"`{kind}`" in reading.__doc__, kind


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\(([\w./-]+)\)", TEXT))))
def test_every_link_leads_somewhere(name):
    assert (PAGE.parent / name).exists()
