"""The parts of E6; each writes its rows, and begins none that is there."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import _generation
import torch
import torch.nn.functional as F
from _generation import Studio
from torch import Tensor

from coevo.spaces.sana.data.drawn import CATEGORIES, draw_scenes
from coevo.spaces.sana.data.prompts import Prompt, captions_of, prompt_of, prompt_suite
from coevo.spaces.sana.data.scenes import render_batch
from coevo.spaces.sana.model.config import BlockConfig, SanaConfig
from coevo.spaces.sana.model.macs import macs_of, parameters_of
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.text.attribute import tokens_of
from coevo.spaces.sana.training import Batch, Captioned, HeldOutLoss, in_parts
from coevo.spaces.sana.training.batches import Batches
from coevo.supernets.reproducibility import seed_of

F32, F8_EQUAL_UPDATES, F8_EQUAL_SECONDS = "f32", "f8, equal updates", "f8, equal seconds"
SAMPLERS_PX = 64
FOLD = 4
"""Pixels a side of a token where scenes are folded instead of encoded."""
TEXT_TOKENS = 300


def solver_name(solver: str, steps: int) -> str:
    return f"{solver}, {steps} steps"


def attention_name(kind: str, side: int) -> str:
    return f"{kind} attention, {side**2} tokens"


def time_name(side: int) -> str:
    return f"time, {side**2} tokens"


def autoencoder(arguments: argparse.Namespace, studio: Studio, seed: int) -> None:
    """PSNR and what the oracle reads of both autoencoders' reconstructions; transformers on both."""
    for name, factor in ((F32, 32), (F8_EQUAL_UPDATES, 8), (F8_EQUAL_SECONDS, 8)):
        if studio.rows.find(seed, name) is not None:
            continue
        net = studio.autoencoder(factor, arguments.size_px, seed)
        steps = arguments.steps
        if name == F8_EQUAL_SECONDS:
            given = [studio.rows.find(seed, each) for each in (F32, F8_EQUAL_UPDATES)]
            seconds = [each["training_s"] for each in given if each is not None]
            steps = max(1, round(steps * seconds[0] / seconds[1]))
        side = arguments.size_px // factor
        config = SanaConfig.small(
            arguments.width, arguments.depth, cross_heads=max(1, arguments.width // 64), sample_size=side,
            channels=net.latent_channels, caption_channels=_generation.COLUMNS,
        )  # fmt: skip
        batches = _generation.indexed(studio.encoded(net, arguments.size_px, seed), arguments.batch, seed)
        identity = {"arm": name, "latents": arguments.latents, "autoencoder": arguments.autoencoder_steps,
                    "batch": arguments.batch, "size_px": arguments.size_px}  # fmt: skip
        label = f"claims-{name.replace(', ', '-').replace(' ', '-')}"
        model = studio.captioned(label, config, batches, steps, seed, identity)
        found = {
            "factor": factor, "tokens": side * side, "updates": steps, "training_s": studio.seconds_of[model],
            "gmacs_a_step": macs_of(config, text_tokens=16) / 1e9, "mparams": parameters_of(config) / 1e6,
            "autoencoder_mparams": net.parameters_count / 1e6, "autoencoder_training_s": studio.seconds_of[net],
            "psnr_db": studio.psnr_db(net, arguments.size_px, seed, arguments.held_out),
            "reconstructions_accepted": reconstructed(net, arguments, studio, seed),
            **sampled(studio.for_sampling(model), net.decode, arguments, studio, seed, samples=arguments.samples),
        }  # fmt: skip
        studio.rows.add(seed, name, found)


@torch.no_grad()
def reconstructed(net: Any, arguments: argparse.Namespace, studio: Studio, seed: int) -> float:
    """Share of held-out scenes that still satisfy their captions when they come back."""
    drawn, categories = draw_scenes(arguments.held_out, studio.generator(seed, "reconstructed"))
    prompts = [
        prompt_of(scene, CATEGORIES[number]) for scene, number in zip(drawn.scenes(), categories.tolist(), strict=True)
    ]
    images = render_batch(drawn, arguments.size_px)
    back = torch.cat([net(part) for part in torch.split(images, 64)])
    return statistics.fmean(_generation.accepted(back, prompts))


def sampled(
    net: Captioned, decode: Callable[[Tensor], Tensor], arguments: argparse.Namespace, studio: Studio, seed: int, *,
    samples: int, steps: int | None = None, batch: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The oracle's share of samples and seconds a sample, decoding counted; the first batch is run once before."""
    prompts = [prompt for prompt in prompt_suite(arguments.per_category, seed=0) for _ in range(samples)]
    batch = min(batch or arguments.sampling_batch, len(prompts))
    right: list[bool] = []
    seconds: list[float] = []
    for number, begin in enumerate(range(0, len(prompts), batch)):
        part = prompts[begin : begin + batch]
        noise = studio.noise(net.transformer.config, len(part), seed, "sampled", number)
        for _ in range(2 if number == 0 else 1):
            studio.wait()
            began = time.perf_counter()
            images = decoded(net, part, noise, steps or arguments.sampling_steps, decode, studio)
            studio.wait()
            took = time.perf_counter() - began
        if len(part) == batch:
            seconds.append(took / batch)
        right += _generation.accepted(images, part)
    return {"sample_s": statistics.median(seconds), "accepted": _generation.by_category(prompts, right)}


@torch.no_grad()
def decoded(
    net: Captioned, prompts: Sequence[Prompt], noise: Tensor, steps: int, decode: Callable[[Tensor], Tensor],
    studio: Studio, solver: str = "flow_dpm",
) -> Tensor:  # fmt: skip
    latents = studio.latents_for(net, [each.text for each in prompts], noise, steps=steps, solver=solver)
    return decode(latents)


@torch.no_grad()
def samplers(arguments: argparse.Namespace, studio: Studio, seed: int) -> None:
    """Both solvers from the same noise, in float32, against Euler with very many steps."""
    names = [(solver, steps) for solver in ("flow_dpm", "flow_euler") for steps in arguments.solver_steps]
    if all(studio.rows.find(seed, solver_name(*each)) for each in names):
        return
    with torch.enable_grad():
        net = studio.autoencoder(8, SAMPLERS_PX, seed)
        config = SanaConfig.small(
            arguments.width, arguments.depth, cross_heads=max(1, arguments.width // 64), sample_size=SAMPLERS_PX // 8,
            channels=net.latent_channels, caption_channels=_generation.COLUMNS,
        )  # fmt: skip
        batches = _generation.indexed(studio.encoded(net, SAMPLERS_PX, seed), arguments.batch, seed)
        identity = {"latents": arguments.latents, "autoencoder": arguments.autoencoder_steps, "batch": arguments.batch}
        model = studio.captioned("claims-samplers", config, batches, arguments.steps, seed, identity)
    prompts = [prompt for prompt in prompt_suite(arguments.per_category, seed=0) for _ in range(arguments.samples)]
    captions = [prompt.text for prompt in prompts]
    noise = studio.noise(config, len(prompts), seed, "samplers")
    exact = studio.latents_for(model, captions, noise, steps=arguments.reference_steps, solver="flow_euler")
    share = _generation.by_category(prompts, _generation.accepted(net.decode(exact), prompts))
    for solver, steps in names:
        if studio.rows.find(seed, solver_name(solver, steps)) is None:
            found = studio.latents_for(model, captions, noise, steps=steps, solver=solver)
            distance = float((found - exact).square().mean().sqrt() / exact.square().mean().sqrt())
            accepted = _generation.by_category(prompts, _generation.accepted(net.decode(found), prompts))
            studio.rows.add(seed, solver_name(solver, steps), {
                "solver": solver, "steps": steps, "distance": distance, "accepted": accepted,
                "accepted_by_reference": share["overall"], "shown": accepted["overall"],
            })  # fmt: skip


class FoldedScenes:
    """Scenes that are rendered when a batch is asked for, with their tokens: the same ones at any number of pixels."""

    def __init__(self, count: int, side: int, studio: Studio, *seed: Any) -> None:
        self.side = side
        self.drawn, categories = draw_scenes(count, studio.generator("folded", *seed))
        tokens, mask = tokens_of(captions_of(self.drawn, categories))
        self.tokens, self.mask = tokens.to(studio.device), mask.to(studio.device)
        self.std = float(self._folded(torch.arange(min(32, count), device=studio.device)).std())

    def _folded(self, places: Tensor) -> Tensor:
        return F.pixel_unshuffle(render_batch(self.drawn.at(places), FOLD * self.side), FOLD)

    def batch(self, places: Tensor) -> Batch:
        return Batch(self._folded(places) / self.std, self.tokens[places], self.mask[places])

    def batches(self, size: int, seed: int) -> Batches:
        """With replacement; a function of the step."""
        device = self.tokens.device

        def at(step: int) -> Batch:
            generator = torch.Generator(device).manual_seed(seed_of(seed, "folded", step))
            return self.batch(torch.randint(len(self.tokens), (size,), generator=generator, device=device))

        return at

    def unfolded(self, latents: Tensor) -> Tensor:
        """Images."""
        return F.pixel_shuffle(latents * self.std, FOLD)


def attention(arguments: argparse.Namespace, studio: Studio, seed: int) -> None:
    """Transformers that differ in the kind of self-attention alone, at every number of tokens."""
    for side in arguments.attention_sides:
        for kind in ("linear", "softmax"):
            name = attention_name(kind, side)
            if studio.rows.find(seed, name) is not None:
                continue
            scenes = FoldedScenes(arguments.attention_scenes, side, studio, seed, "train")
            held = FoldedScenes(arguments.held_out, side, studio, seed, "held out")
            held.std = scenes.std
            width = arguments.attention_width
            config = SanaConfig.small(
                width, arguments.attention_depth, cross_heads=max(1, width // 64), channels=3 * FOLD**2,
                sample_size=side, caption_channels=_generation.COLUMNS, attention=kind,
            )  # fmt: skip
            batch = max(1, arguments.attention_tokens // side**2)
            identity = {"kind": kind, "side": side, "batch": batch, "scenes": arguments.attention_scenes}
            model = studio.captioned(
                f"claims-{kind}-{side}", config, scenes.batches(batch, seed), arguments.attention_steps, seed, identity
            )
            images = held.batch(torch.arange(min(arguments.held_out, max(32, 4 * batch)), device=studio.device))
            judge = HeldOutLoss(in_parts(images, batch), draws=2, precision=studio.precision)
            found = {
                "kind": kind, "tokens": side**2, "updates": arguments.attention_steps, "batch": batch,
                "held_out_loss": judge(model), "training_s": studio.seconds_of[model],
                **sampled(studio.for_sampling(model), scenes.unfolded, arguments, studio, seed,
                          samples=arguments.attention_samples, batch=batch),
            }  # fmt: skip
            studio.rows.add(seed, name, found)


def block_times(arguments: argparse.Namespace, studio: Studio, seed: int) -> None:
    """A block of a released size with random weights, forward and forward with backward, one image."""
    for side in arguments.attention_sides:
        if studio.rows.find(seed, time_name(side)) is None:
            studio.rows.check_time()
            found: dict[str, Any] = {"model": arguments.time_model, "tokens": side**2, "images": 1}
            for kind in ("linear", "softmax"):
                for fused in (False, True):
                    how = "kernels" if fused else "plain"
                    found[f"{kind}, {how}"] = timed_block(arguments, studio, kind, side, fused)
            ratio = [found[f"{kind}, kernels"]["forward_s"] for kind in ("softmax", "linear")]
            studio.rows.add(seed, time_name(side), {**found, "softmax_over_linear": ratio[0] / ratio[1]})


def timed_block(
    arguments: argparse.Namespace, studio: Studio, kind: str, side: int, fused: bool
) -> dict[str, float | None]:
    """Seconds: medians of the forward pass, of its self-attention alone, and of forward with backward."""
    whole = (
        SanaConfig.small(64, 1, qk_norm=True)
        if arguments.time_model == "tiny"
        else SanaConfig.named(arguments.time_model)
    )
    torch.manual_seed(0)
    net = SanaTransformer(whole.with_blocks([BlockConfig(kind)])).use_fused(fused)
    dtype = torch.bfloat16 if studio.half else torch.float32
    block = net.blocks[0].to(studio.device, dtype)
    made: dict[str, Any] = {"generator": studio.generator("times"), "device": studio.device, "dtype": dtype}
    x = torch.randn(1, side * side, whole.width, **made)
    text = torch.randn(1, TEXT_TOKENS, whole.width, **made)
    table = torch.randn(1, 6, whole.width, **made)

    def forward() -> Tensor:
        out: Tensor = block(x, text, None, table, (side, side))
        return out

    def both() -> None:
        forward().square().mean().backward()

    with torch.no_grad():
        times = {"forward_s": seconds(forward, arguments, studio),
                 "attention_s": seconds(lambda: block.attention(x), arguments, studio)}  # fmt: skip
    return {**times, "forward_backward_s": seconds(both, arguments, studio)}


def seconds(call: Callable[[], Any], arguments: argparse.Namespace, studio: Studio) -> float:
    """The median after three runs that are not counted."""
    taken = []
    for number in range(3 + arguments.time_repeats):
        studio.wait()
        began = time.perf_counter()
        call()
        studio.wait()
        if number >= 3:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)
