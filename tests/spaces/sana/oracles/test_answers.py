"""The transformer and the solvers against diffusers: its answers as recorded, and asked anew (`make test-oracles`)."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from coevo.spaces.sana.flow.sampling import SOLVERS
from coevo.spaces.sana.flow.schedule import flow_times
from coevo.spaces.sana.model.checkpoint import from_diffusers, to_diffusers
from coevo.spaces.sana.model.diffusers_names import CLASS, from_diffusers_config
from coevo.spaces.sana.model.transformer import SanaTransformer

HERE = Path(__file__).parent
ANSWERS = json.loads(HERE.joinpath("answers.json").read_text(encoding="utf-8"))


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"sana_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


cases = _module("cases")
MODELS = {case.name: case for case in cases.MODELS}
SAMPLERS = {case.name: case for case in cases.SAMPLERS}


def ours(case: Any) -> SanaTransformer:
    config = from_diffusers_config({"_class_name": CLASS, **case.config}, case.name)
    model = SanaTransformer(config)
    shapes = to_diffusers(model.state_dict())
    weights = {name: torch.from_numpy(cases.weight(name, tuple(each.shape))) for name, each in shapes.items()}
    model.load_state_dict(from_diffusers(weights, config))
    return model


def tensors(arrays: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(each) for name, each in arrays.items()}


def recorded(answer: dict[str, Any]) -> torch.Tensor:
    return torch.tensor(answer["values"]).reshape(answer["shape"])


def velocity(case: Any) -> torch.Tensor:
    given = tensors(cases.inputs(case))
    mask = given["mask"] if case.masked else None
    with torch.no_grad():
        return ours(case)(given["latents"], given["timestep"], given["text"], mask)


def block(case: Any) -> torch.Tensor:
    given = tensors(cases.block_inputs(case))
    grid = (case.height, case.width)
    with torch.no_grad():
        return ours(case).blocks[0](given["tokens"], given["text"], None, given["time_table"], grid)


def sampled(case: Any) -> torch.Tensor:
    noise = torch.from_numpy(cases.drawn("noise", (16,)))
    return SOLVERS[case.solver](cases.gaussian_velocity, noise, flow_times(case.steps, case.shift))


@pytest.mark.parametrize("name", MODELS)
def test_the_transformer_equals_diffusers(name: str) -> None:
    torch.testing.assert_close(velocity(MODELS[name]), recorded(ANSWERS["velocities"][name]), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ANSWERS["blocks"])
def test_a_block_equals_diffusers(name: str) -> None:
    torch.testing.assert_close(block(MODELS[name]), recorded(ANSWERS["blocks"][name]), rtol=1e-4, atol=2e-5)


def test_the_cases_tell_models_apart() -> None:
    """No two recorded answers of one shape are alike: norms, masks and positions all matter."""
    seen = [recorded(each) for each in ANSWERS["velocities"].values()]
    for i, one in enumerate(seen):
        assert all(other.shape != one.shape or float((one - other).abs().max()) > 0.05 for other in seen[:i])


# diffusers has its times in float32: near 1, log-SNR has four digits there.
@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_equal_those_of_diffusers_schedulers(name: str) -> None:
    torch.testing.assert_close(sampled(SAMPLERS[name]), recorded(ANSWERS["samples"][name]), rtol=1e-4, atol=1e-4)
    case = SAMPLERS[name]
    np.testing.assert_allclose(flow_times(case.steps, case.shift), ANSWERS["times"][name], rtol=2e-6, atol=1e-7)


@pytest.mark.oracle
def test_diffusers_answers_as_recorded() -> None:
    asked = _module("ask_diffusers").answers()
    for kind in ("velocities", "blocks", "samples"):
        for name, answer in asked[kind].items():
            torch.testing.assert_close(recorded(answer), recorded(ANSWERS[kind][name]), rtol=1e-4, atol=2e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_transformer_equals_diffusers_over_random_inputs(name: str, dtype: torch.dtype) -> None:
    case = MODELS[name]
    theirs, model = _module("ask_diffusers").transformer(case).to(dtype), ours(case).to(dtype)
    generator = torch.Generator().manual_seed(3)
    for height, width in ((4, 4), (2, 8), (10, 6)):
        latents = torch.randn(3, case.config["in_channels"], height, width, generator=generator).to(dtype)
        text = torch.randn(3, 7, case.config["caption_channels"], generator=generator).to(dtype)
        mask = torch.rand(3, 7, generator=generator) < 0.6  # one without any text, too
        mask[0] = False
        times = 1000 * torch.rand(3, generator=generator)
        with torch.no_grad():
            want = theirs(latents, text, times, encoder_attention_mask=mask.long(), return_dict=False)[0]
            got = model(latents, times, text, mask)
        tolerance = 2e-5 if dtype == torch.float32 else 0.05
        torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["sana", "sana-1.5", "patches"])
def test_gradients_equal_those_of_diffusers(name: str) -> None:
    case = MODELS[name]
    theirs, model = _module("ask_diffusers").transformer(case), ours(case)
    given = tensors(cases.inputs(case))
    theirs(given["latents"], given["text"], given["timestep"], return_dict=False)[0].square().sum().backward()
    model(given["latents"], given["timestep"], given["text"]).square().sum().backward()
    mine = to_diffusers({name: each.grad for name, each in model.named_parameters() if each.grad is not None})
    for key, each in theirs.named_parameters():
        torch.testing.assert_close(mine[key], each.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["sana", "sana-1.5", "positions"])
def test_folders_open_in_both(name: str, tmp_path: Path) -> None:
    import diffusers

    from coevo.spaces.sana.model.checkpoint import load_transformer, save_transformer

    case = MODELS[name]
    given = tensors(cases.inputs(case))
    model = ours(case)
    save_transformer(model, tmp_path / "ours", shard_bytes=100_000)
    theirs = diffusers.SanaTransformer2DModel.from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="100KB")
    assert len(list(tmp_path.joinpath("theirs").glob("*.safetensors"))) > 1
    again = load_transformer(tmp_path / "theirs")
    assert again.config == model.config
    assert all(torch.equal(each, model.state_dict()[key]) for key, each in again.state_dict().items())
    with torch.no_grad():
        want = theirs(given["latents"], given["text"], given["timestep"], return_dict=False)[0]
        torch.testing.assert_close(again(given["latents"], given["timestep"], given["text"]), want)


@pytest.mark.oracle
def test_diffusers_refuses_transformers_that_it_cannot_run(tmp_path: Path) -> None:
    import diffusers

    from coevo.spaces.sana.model.checkpoint import save_transformer
    from coevo.spaces.sana.model.config import SanaConfig

    save_transformer(SanaTransformer(SanaConfig.small(32, 2, head_dim=16, attention="softmax")), tmp_path / "softmax")
    with pytest.raises(OSError, match="no file named"):
        diffusers.SanaTransformer2DModel.from_pretrained(tmp_path / "softmax", low_cpu_mem_usage=False)
