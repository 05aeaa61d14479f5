"""The guide to sparse convolution: every snippet of docs/sparse.md up to the tuner, which needs a GPU, in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "sparse.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT.split("## Tuning")[0], flags=re.S)


def test_every_snippet_runs_in_order():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    names: dict[str, object] = {}
    for snippet in SNIPPETS:
        exec(compile(snippet, "docs/sparse.md", "exec"), names)
    assert len(SNIPPETS) == 6
    assert names["of_points"].shape == (2000, 19)
