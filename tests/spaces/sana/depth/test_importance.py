"""Measures of importance against their definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coevo.errors import InputError, UnknownName
from coevo.spaces.sana.depth.growth import grow
from coevo.spaces.sana.depth.importance import KINDS, MEASURES, cka, importance, importances, spearman
from coevo.spaces.sana.flow.objective import flow_loss
from tests.spaces.sana.small import batch, transformer


def written_out(model, batches, times, seed=0):
    """Every definition, image by image and token by token, in float64."""
    from coevo.supernets.reproducibility import seed_of

    model = model.double()
    depth = len(model.blocks)
    found = {kind: np.zeros(depth) for kind in KINDS}
    images = 0
    for number, each in enumerate(batches):
        generator = torch.Generator().manual_seed(seed_of(seed, "importance", number))
        noise = torch.randn(each.latents.shape, generator=generator).double()
        x0, text = each.latents.double(), each.text.double()
        for t in times:
            x, stamp = (1 - t) * x0 + t * noise, torch.full((each.size,), 1000 * t, dtype=torch.float64)
            kept = []
            hooks = [
                b.register_forward_hook(lambda _, given, out, kept=kept: kept.append((given[0], out)))
                for b in model.blocks
            ]
            with torch.no_grad():
                whole = (model(x, stamp, text, each.text_mask) - (noise - x0)).square().mean().item()
            for hook in hooks:
                hook.remove()
            for i, (a, b) in enumerate(kept):
                a, b = a.flatten(0, 1).numpy(), b.flatten(0, 1).numpy()
                cosines = [p @ q / np.sqrt((p @ p) * (q @ q)) for p, q in zip(a, b, strict=True)]
                ratios = [np.sqrt(((q - p) ** 2).sum() / (p @ p)) for p, q in zip(a, b, strict=True)]
                found["cosine"][i] += each.size * (1 - np.mean(cosines))
                found["delta_norm"][i] += each.size * np.mean(ratios)
                p, q = a - a.mean(0), b - b.mean(0)
                k, m = p @ p.T, q @ q.T  # by the tokens' similarities, not the columns': the other form
                found["cka"][i] += each.size * (1 - (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))
                keep = [j != i for j in range(depth)]
                with torch.no_grad():
                    without = (model(x, stamp, text, each.text_mask, keep=keep) - (noise - x0)).square().mean().item()
                found["leave_one_out"][i] += each.size * (without - whole)
            images += each.size
    return {kind: each / images for kind, each in found.items()}


def test_every_measure_is_its_definition():
    model, times = transformer(3), (0.2, 0.8)
    batches = [batch(3, 1, masked=True), batch(2, 2)]
    found = importances(model, batches, times=times)
    assert {each.dtype for each in found.values()} == {np.dtype(np.float64)}
    wanted = written_out(model, batches, times)
    for kind in KINDS:
        assert np.allclose(found[kind], wanted[kind], rtol=2e-4, atol=2e-6), kind
    model.float()
    assert np.array_equal(importance(model, batches, "cka", times=times), found["cka"])


def test_a_block_that_changes_nothing_matters_nothing():
    model = grow(transformer(2), 3, drop_last=0)
    for kind, found in importances(model, [batch(3)], times=(0.5,)).items():
        assert abs(found[2]) < 1e-12 and abs(found[:2]).min() > 1e-6, kind


def test_constant_tokens_have_no_cka():
    x = torch.ones(4, 3, dtype=torch.float64)
    assert cka(x, x) == 0 and MEASURES["cosine"](x, -x) == 2 and MEASURES["delta_norm"](x, 3 * x) == 2


def test_leaving_out_is_the_flow_loss_without_the_block():
    model, data = transformer(2), batch(3)
    generator = torch.Generator().manual_seed(0)
    x1, t = torch.randn(data.latents.shape, generator=generator), torch.full((3,), 0.5)
    with torch.no_grad():
        whole = flow_loss(model, data.latents, data.text, noise=x1, t=t)
        velocity = model(0.5 * (data.latents + x1), 1000 * t, data.text)
    assert torch.allclose(whole, (velocity - (x1 - data.latents)).square().mean())


def test_rank_correlation_is_scipys():
    rng = np.random.default_rng(0)
    stats = pytest.importorskip("scipy.stats")
    for _ in range(10):
        a, b = rng.integers(0, 6, size=(2, 9))
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert np.isnan(spearman([1, 1], [1, 2])) and spearman([1, 2, 3], [3, 2, 1]) == -1
    with pytest.raises(InputError, match="2 and 3 values"):
        spearman([1, 2], [1, 2, 3])


def test_bad_requests():
    model = transformer(2)
    with pytest.raises(UnknownName, match="Did you mean 'cosine'"):
        importance(model, [batch()], "cosin")
    for batches, times in (([], (0.5,)), ([batch()], ()), ([batch()], (0.0,)), ([batch()], (1.0,))):
        with pytest.raises(InputError, match="importance needs a batch and times"):
            importance(model, batches, times=times)
