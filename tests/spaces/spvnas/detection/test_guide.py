"""The guide's section on detection: its snippets run in order, and what it names is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
TEXT = (ROOT / "docs" / "spvnas.md").read_text(encoding="utf-8").split("## Detection\n")[1].split("\n## ")[0]
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


def test_every_snippet_runs_in_order(tmp_path):
    pytest.importorskip("torch")
    assert len(SNIPPETS) == 2
    script = tmp_path / "snippets.py"
    script.write_text("\n".join(SNIPPETS) + "\nassert len(losses) == 2\n", encoding="utf-8")
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=os.environ | {"PYTHONPATH": search}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_command_is_one(capsys):
    command = re.search(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)[1].split()
    text = (ROOT / command[1]).read_text(encoding="utf-8")
    for word in (each for each in [*command, "--kitti"] if each.startswith("--")):
        assert f'"{word}"' in text or word in ("--out",), word
