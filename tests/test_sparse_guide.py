"""The guide to sparse convolution: every snippet of docs/sparse.md up to the tuner, which needs a GPU, in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "sparse.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT.split("## Tuning")[0], flags=re.DOTALL)


def test_every_snippet_runs_in_order(tmp_path):
    pytest.importorskip("torch")
    assert len(SNIPPETS) == 9
    script = tmp_path / "snippets.py"
    text = "\n".join(SNIPPETS).replace("import torch\n", "import torch\n\ntorch.manual_seed(0)\n", 1)
    script.write_text(text + "\nassert of_points.shape == (2000, 19)\nassert len(made.levels) == 5\n", encoding="utf-8")
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, str(script)]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": search}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
