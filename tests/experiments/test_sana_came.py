"""E4 at a size for a processor: rows that a second run goes on from, and what eight bits lose by blocks and by rows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments" / "sana"))

import came  # noqa: E402

SMALL = "--seeds 1 --width 32 --depth 1 --steps 4 --validate-every 2 --images 16 --held-out 8 --batch 4 --size-px 16"


def test_a_run_goes_on_and_tells_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SMALL.split(), "--rates", "1e-3", "--device", "cpu", "--folder", str(tmp_path)]
    assert came.main([*words, "--seconds", "0"]) == 1
    assert "the same command goes on" in capsys.readouterr().out
    assert came.main([*words, "--out", str(tmp_path / "out.json")]) == 1  # one seed of at least three
    shown = capsys.readouterr().out
    assert all(f"seed 0  {name}, 0.001" in shown for name in came.makers())
    assert came.main(words) == 1
    assert "seed 0" not in capsys.readouterr().out


def test_blocks_keep_small_rows_that_rows_drown() -> None:
    weight = torch.zeros(64, 4096, requires_grad=True)
    optimizer = came.CAME8bit([weight], bits=32)
    weight.grad = torch.randn(64, 4096, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    optimizer.state[weight]["moment"] *= torch.logspace(-4, 0, 64)[:, None]
    found = came.moment_error(optimizer)
    assert found["blocks"] < 0.02 and found["blocks, small rows"] < 0.02
    assert found["rows, small rows"] > 10 * found["blocks, small rows"]
