"""The guide's section on networks: every snippet, in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
TEXT = (ROOT / "docs" / "spvnas.md").read_text(encoding="utf-8")
SECTION = TEXT.split("## Networks and the supernet\n")[1].split("\n## ")[0]


def test_every_snippet_runs_in_order(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    snippets = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)
    assert len(snippets) == 4
    script = tmp_path / "snippets.py"
    script.write_text("\n".join(snippets), encoding="utf-8")
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=os.environ | {"PYTHONPATH": search}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {each.name for each in tmp_path.iterdir()} >= {"out", "network.svg"}
