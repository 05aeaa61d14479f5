"""The guide to training and depth: every snippet of that section of docs/sana.md, in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
SECTION = (ROOT / "docs" / "sana.md").read_text(encoding="utf-8").split("## Training and depth\n")[1].split("\n## ")[0]
SNIPPETS = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)


def test_every_snippet_runs_in_order(tmp_path):
    assert len(SNIPPETS) == 4
    script = tmp_path / "snippets.py"
    script.write_text("\n".join(SNIPPETS) + "\nassert set(agreement) == set(scores)\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
