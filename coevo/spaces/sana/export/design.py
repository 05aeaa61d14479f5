"""The exported folder of a design: what `save_sampler` writes, and

evaluation.json       how it was trained, its score on prompts that nothing saw, its loss, its latency
verifier.safetensors  who picks one of several samples, where the design draws several
drawing.svg           the kept blocks beside the source
samples.png           images with their captions and the oracle's verdicts, where matplotlib is installed
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from coevo.cost_models.fingerprint import fingerprint
from coevo.errors import CoevoError, MissingExtra
from coevo.search.design import Design
from coevo.search.problem import WorkContext
from coevo.search.space import Space
from coevo.spaces.sana.autoencoder.network import Autoencoder
from coevo.spaces.sana.data.satisfaction import satisfied
from coevo.spaces.sana.design import SanaDesign
from coevo.spaces.sana.drawing.network import draw_design
from coevo.spaces.sana.export.folder import load_sampler, save_sampler
from coevo.spaces.sana.export.sampler import Sampling, SanaSampler
from coevo.spaces.sana.flow.guidance import Guidance
from coevo.spaces.sana.judging.codec import PIXEL_DEVIATION, Latents
from coevo.spaces.sana.judging.measuring import measured
from coevo.spaces.sana.judging.opening import load_verifier, new_net, painter_of
from coevo.spaces.sana.judging.painter import Painter
from coevo.spaces.sana.judging.recovering import Losses, fine_tune, recovery_recipe
from coevo.spaces.sana.judging.scoring import Judging
from coevo.spaces.sana.judging.stages import SUPERNET, VERIFIER
from coevo.spaces.sana.judging.weights import Inherited, load_weights
from coevo.spaces.sana.model.macs import parameters_of
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.preparing import clock_of
from coevo.spaces.sana.setting import Setting
from coevo.supernets.checkpoints import write_tensors, write_text
from coevo.supernets.reproducibility import seed_of

EVALUATION, DRAWING, SAMPLES = "evaluation.json", "drawing.svg", "samples.png"
SHOWN = 4
LOSS_TOLERANCE = 0.01
"""Relative; another device rounds otherwise."""


def export_design(setting: Setting, design: SanaDesign, context: WorkContext) -> dict[str, float]:
    """Takes the design's weights out of the supernet, trains them on, scores them on prompts and scenes that nothing
    has seen, and measures latency. Writes the folder; returns the measurements."""
    options, given = setting.options, setting.options.training
    net = load_weights(new_net(setting, context.seed), context.artifact(SUPERNET))
    verifier = load_verifier(setting, context.artifact(VERIFIER))
    painter = painter_of(setting, net)
    model = net.extract(design)
    scenes = setting.scenes("train")
    if given.fine_tune_steps:
        seed = seed_of(context.seed, "fine-tune")
        recipe = recovery_recipe(setting.recipe(context.seed), given.fine_tune_steps, given.recovery_rate, seed)
        fine_tune(model, scenes, painter, recipe, given.batch)
    noise = _noise_seed(setting)
    prompts = setting.suites.validation
    judging = Judging(painter, prompts, verifier.score, rounds=options.judging.export_rounds, seed=noise)
    score, loss = judging.score(model, design), _loss(setting, net, painter, model)
    time = measured(design, setting.source, clock_of(setting))
    measurements = {
        "quality": score.oracle,
        "flow_loss": loss,
        "latency_ms": time.total_ms,
        "mparams": parameters_of(model.config) / 1e6,
    }
    notes = {
        "judged": f"{len(prompts)} prompts that the search never drew, {score.images} images, exact oracle",
        "categories": dict(score.categories),
        "samples": design.samples,
        "supernet_steps": given.steps,
        "fine_tune_steps": given.fine_tune_steps,
        "latency_parts_ms": {"denoising": time.denoising_ms, "decoding": time.decoding_ms,
                             "verifying": time.verifying_ms},
        "device": fingerprint(str(setting.device())),
    }  # fmt: skip
    folder = context.folder
    save_sampler(_sampler(setting, design, net, model), folder, data=scenes.source, notes={**measurements, **notes})
    write_text(folder / EVALUATION, json.dumps({**measurements, **notes}, indent=1) + "\n")
    write_text(folder / DRAWING, draw_design(design, setting.source))
    if design.samples > 1:
        write_tensors(folder / "verifier.safetensors", verifier.state_dict())
    _draw_samples(painter, model, design, setting, folder / SAMPLES)
    return measurements


def verify_folder(setting: Setting, space: Space, folder: Path) -> list[str]:
    """What is wrong with an exported folder, one sentence a fault; an empty list is good. The network's flow loss on
    the scenes of the export is computed once more."""
    try:
        document = json.loads(folder.joinpath("design.json").read_text(encoding="utf-8"))
        design: SanaDesign = space.build(Design.from_json(document))
        sampler = load_sampler(folder, setting.device())
        told = json.loads(folder.joinpath(EVALUATION).read_text(encoding="utf-8"))
        expected = float(told["flow_loss"])
    except (OSError, ValueError, KeyError, TypeError, CoevoError) as error:
        return [f"cannot be read back: {error}"]
    faults = []
    if sampler.transformer.config != design.network(setting.source):
        faults.append("the transformer is not that of design.json")
    if (sampler.sampling.steps, sampler.sampling.guidance.scale) != (design.steps, design.guidance):
        faults.append("steps or guidance are not those of design.json")
    state = sampler.transformer.state_dict()
    wrong = [name for name, each in state.items() if not bool(torch.isfinite(each.float()).all())]
    if wrong:
        faults.append(f"weights are no numbers: {', '.join(wrong[:3])}")
    if sampler.text is None:
        faults.append("the encoder of captions is missing")
    if not faults and sampler.text is not None:
        net = new_net(setting, 0)
        net.encoder = sampler.text
        found = _loss(setting, net, painter_of(setting, net), sampler.transformer)
        if not math.isclose(found, expected, rel_tol=LOSS_TOLERANCE):
            faults.append(f"its flow loss is {found:.5g} here, {EVALUATION} tells of {expected:.5g}")
    return faults


def _noise_seed(setting: Setting) -> int:
    return seed_of(setting.options.judging.seed, "export")


def _loss(setting: Setting, net: Inherited, painter: Painter, model: SanaTransformer) -> float:
    scenes, draws = setting.scenes("validation"), setting.options.judging.loss_draws
    return Losses(net, painter, scenes, draws=draws, seed=_noise_seed(setting)).of(model)


def _sampler(setting: Setting, design: SanaDesign, net: Inherited, model: SanaTransformer) -> SanaSampler:
    codec: Any = setting.codec
    autoencoder: Autoencoder | None = codec.autoencoder if isinstance(codec, Latents) else None
    return SanaSampler(
        model, Sampling(design.steps, Guidance(design.guidance)), net.captions, autoencoder,
        PIXEL_DEVIATION if autoencoder is None else 1.0,
    )  # fmt: skip


def _draw_samples(
    painter: Painter, model: SanaTransformer, design: SanaDesign, setting: Setting, path: Path
) -> None:  # fmt: skip
    from coevo.spaces.sana.drawing.samples import draw_samples

    prompts = setting.suites.validation
    images = painter.draw(
        model, prompts, SHOWN, steps=design.steps, guidance=design.guidance, seed=_noise_seed(setting)
    )
    verdicts = satisfied(images.flatten(0, 1), list(prompts) * SHOWN).view(SHOWN, -1)
    try:
        draw_samples(images, [each.text for each in prompts], verdicts, path)
    except MissingExtra:  # pictures are what an export can do without
        return
