"""The parts of `gpu_sana.py` that need no device: its arguments, its bars, and what it counts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments" / "bench"))

import _sana_step  # noqa: E402
import gpu_sana  # noqa: E402
from _sana_timing import copies_of  # noqa: E402

from coevo.spaces.sana.model.config import SanaConfig  # noqa: E402
from coevo.spaces.sana.model.transformer import SanaTransformer  # noqa: E402


def test_bars_of_nothing_are_not_met() -> None:
    made = gpu_sana.bars({})
    assert len(made) == 12 and not any(each["holds"] for each in made)


def test_bars_are_read_off_the_measurements() -> None:
    measured = {
        "attention": {"4096": {"coevo": {"of_copy": 0.7, "relative_error": 0.02}}},
        "convolution": {"1024": {"coevo": {"us": 10.0}, "compiled": {"us": 16.0}}},
        "step1024": {"coevo": {"median_ms": 5.0}, "compiled": {"median_ms": 6.0}, "products": {"median_ms": 4.2}},
    }
    held = {each["name"]: each["holds"] for each in gpu_sana.bars(measured)}
    assert held["linear attention of 4096 tokens: share of copy bandwidth"]
    assert held["GLU convolution of 1024 tokens beside torch.compile"]
    assert held["step1024: step beside torch.compile"]
    assert held["step1024: step over its matrix products alone"]
    assert not held["attention: worst distance from float64"]
    assert not held["step4096: step beside torch.compile"]


def test_arguments_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_sana.arguments_of(["--tokens", "256,1024"]).tokens == [256, 1024]
    for given in (["--tokens", "300"], ["--parts", "convolutions"], ["--batch", "0"], ["--tokens", "x"]):
        with pytest.raises(SystemExit):
            gpu_sana.arguments_of(given)
    assert "--parts takes some of" in capsys.readouterr().err


def test_inputs_exceed_the_cache() -> None:
    assert copies_of(2**20) == 64
    assert copies_of(2**26) * 2**26 >= 256 * 2**20
    assert copies_of(2**30) == 2


def test_the_1_6b_model_has_the_published_work() -> None:
    with torch.device("meta"):
        model = SanaTransformer(SanaConfig.named("sana-1.5-1.6b"))
    # 15.5 D^2 multiplications a token and block, of which the text's keys and values are 2 D^2 for 300 tokens
    expected = 2 * 20 * 2240**2 * (13.5 * 1024 + 2 * 300)
    assert _sana_step.flops(model, 1024, 1) == pytest.approx(expected, rel=1e-6)
