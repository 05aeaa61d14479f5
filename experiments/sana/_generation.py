"""What the experiments on generation share: autoencoders and captioned transformers that are trained once and kept,
latents, samples, and the shares of them that the oracle accepts.

They run with torch, Triton and NumPy alone, from a copy of the tree. Weights are kept as .npz in the folder, each with
what it follows from; what is there is not trained again. No published weights, and all data is procedural.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _depth
import numpy as np
import torch
from torch import Tensor, nn

from coevo.spaces.sana.autoencoder.network import LATENT_CHANNELS, WIDTHS, Autoencoder
from coevo.spaces.sana.autoencoder.training import AutoencoderRecipe, mean_psnr_db, train_autoencoder
from coevo.spaces.sana.data.drawn import draw_scenes
from coevo.spaces.sana.data.latents import encode_scenes
from coevo.spaces.sana.data.prompts import Prompt
from coevo.spaces.sana.data.satisfaction import satisfied
from coevo.spaces.sana.data.scenes import SOURCE, render_batch
from coevo.spaces.sana.flow.sampling import sample
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.text.attribute import AttributeEncoder
from coevo.spaces.sana.training import Average, Batch, Captioned, Recipe, train
from coevo.spaces.sana.training.batches import Batches
from coevo.spaces.sana.training.captured import learner_of
from coevo.supernets.reproducibility import seed_of

COLUMNS = 128
"""Of the captions' features."""
EMA = 0.998


def parser(doc: str | None, seeds: int = 3) -> argparse.ArgumentParser:
    """The arguments that all have."""
    options = _depth._bench.parser(doc)
    options.add_argument("--folder", type=Path, default=Path("runs/sana"), help="rows and weights; go on there")
    options.add_argument("--minutes", type=float, default=float("inf"), help="begin no further piece after so many")
    options.add_argument("--seeds", type=int, default=seeds)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--latents", type=int, default=65536, help="images that are encoded, and train")
    options.add_argument("--batch", type=int, default=256)
    options.add_argument("--learning-rate", type=float, default=5e-4)
    options.add_argument("--guidance", type=float, default=3.0)
    options.add_argument("--autoencoder-steps", type=int, default=3000)
    options.add_argument("--autoencoder-batch", type=int, default=64)
    options.add_argument("--autoencoder-width", type=int, default=128, help="at most, of every stage")
    return options


def configuration_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that a row follows from."""
    left_out = {"folder", "minutes", "seeds", "json", "out"}
    plain = {key: value for key, value in vars(arguments).items() if key not in left_out}
    return {"data": SOURCE, "published_weights": None, **plain}


class Studio:
    """Trained parts of one experiment, in one folder."""

    def __init__(self, arguments: argparse.Namespace, rows: _depth.Rows) -> None:
        self.arguments, self.rows, self.folder = arguments, rows, arguments.folder
        self.device = torch.device(arguments.device)
        self.half = self.device.type == "cuda"
        self.precision = "bfloat16" if self.half else "float32"
        self._batches: dict[str, Batch] = {}
        self.seconds_of: dict[nn.Module, float] = {}

    def generator(self, *parts: Any) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed_of(*parts))

    def wait(self) -> None:
        """Until the device has done what was launched."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def images(self, count: int, size_px: int, *parts: Any) -> Tensor:
        """Images of a seed."""
        return render_batch(draw_scenes(count, self.generator(*parts))[0], size_px)

    def kept(self, name: str, identity: dict[str, Any], net: nn.Module, make: Callable[[], None]) -> float:
        """Weights as they were trained before for this name and identity, or as `make` trains them now. Gives the
        seconds that the training took; OutOfTime where one would begin too late."""
        path = self.folder / f"{name}.npz"
        note = json.dumps(identity, sort_keys=True)
        if path.is_file():
            with np.load(path) as file:
                if str(file["identity"]) == note:
                    state = {key[2:]: torch.from_numpy(file[key]) for key in file.files if key.startswith("w/")}
                    net.load_state_dict(state)
                    net.eval()
                    return float(file["seconds"])
        self.rows.check_time()
        began = time.perf_counter()
        make()
        self.wait()
        seconds = time.perf_counter() - began
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        arrays = {f"w/{key}": each.detach().float().cpu().numpy() for key, each in net.state_dict().items()}
        with part.open("wb") as file:
            np.savez(file, identity=np.array(note), seconds=np.array(seconds), **arrays)
        os.replace(part, path)
        net.eval()
        return seconds

    def autoencoder(self, factor: int, size_px: int, seed: int) -> Autoencoder:
        """Trained on scenes of that size."""
        given = self.arguments
        widths = tuple(min(given.autoencoder_width, each) for each in WIDTHS[factor])
        torch.manual_seed(seed_of(seed, "autoencoder", factor))
        net = Autoencoder(factor, min(LATENT_CHANNELS[factor], widths[-1]), widths=widths).to(self.device)
        recipe = AutoencoderRecipe(given.autoencoder_steps, half=self.half, seed=seed)
        identity = {**net.to_json(), "size_px": size_px, "seed": seed, "recipe": repr(recipe),
                    "batch": given.autoencoder_batch}  # fmt: skip

        def images(step: int) -> Tensor:
            return self.images(given.autoencoder_batch, size_px, seed, "autoencoder images", step)

        def make() -> None:
            train_autoencoder(net, images, recipe, checkpoint_every=500)

        self.seconds_of[net] = self.kept(f"autoencoder-f{factor}-{size_px}-{seed}", identity, net, make)
        return net

    def psnr_db(self, net: Autoencoder, size_px: int, seed: int, images: int = 1024) -> float:
        """On scenes that nothing trains on."""
        return mean_psnr_db(net, self.images(images, size_px, seed, "held out"), 64)

    def encoded(self, net: Autoencoder, size_px: int, seed: int) -> Batch:
        """Latents that train, with tokens, on the device."""
        name = f"{net.factor}-{size_px}-{seed}"
        if name not in self._batches:
            self._batches.clear()  # one set at a time: they are large
            made = encode_scenes(
                lambda images: torch.cat([net.encode(part) for part in torch.split(images, 128)]),
                self.arguments.latents, self.generator(seed, "latents"), size_px,
            )  # fmt: skip
            tokens, mask = AttributeEncoder(4, 0).to(self.device).tokens_of(made.captions)
            self._batches[name] = Batch(made.latents, tokens, mask)
        return self._batches[name]

    def captioned(
        self, name: str, config: SanaConfig, batches: Batches, steps: int, seed: int, identity: dict[str, Any]
    ) -> Captioned:
        """A transformer with its encoder of captions, trained together; its weights are their running average."""
        torch.manual_seed(seed_of(seed, name))
        net = Captioned(SanaTransformer(config), AttributeEncoder(config.caption_channels)).to(self.device)
        rate = self.arguments.learning_rate
        recipe = Recipe(steps, rate, warmup_steps=max(1, steps // 20), final_share=0.1, clip=1.0,
                        precision=self.precision, drop_text=0.1, ema=EMA, seed=seed)  # fmt: skip
        tokens, mask = net.encoder.tokens_of([""])
        average = Average(net, EMA)

        def make() -> None:
            train(learner_of(net, recipe, (tokens[0], mask[0])), batches, recipe, average=average, checkpoint_every=500)
            average.copy_to(net)

        whole = {**identity, "config": config.to_json(), "recipe": recipe.to_json(), "seed": seed}
        self.seconds_of[net] = self.kept(f"{name}-{seed}", whole, net, make)
        return net

    @torch.no_grad()
    def latents_for(
        self, net: Captioned, captions: Sequence[str], noise: Tensor, *, steps: int, solver: str = "flow_dpm"
    ) -> Tensor:
        """Samples, in bfloat16 on a GPU."""
        tokens, mask = net.encoder.tokens_of([*captions, ""])
        features = net.encoder(tokens)
        return sample(
            net.transformer, noise, features[:-1], mask[:-1], null_text=features[-1:], null_mask=mask[-1:], steps=steps,
            guidance=self.arguments.guidance, solver=solver,
        )  # fmt: skip

    def for_sampling(self, net: Captioned) -> Captioned:
        """The same in bfloat16 on a GPU, as Sana samples."""
        return net.to(torch.bfloat16) if self.half else net

    def noise(self, config: SanaConfig, count: int, *parts: Any) -> Tensor:
        """Of latents of the model's size, a function of the parts."""
        side = config.sample_size
        return torch.randn(
            count, config.in_channels, side, side, generator=self.generator("noise", *parts), device=self.device
        )  # fmt: skip


def indexed(whole: Batch, batch: int, seed: int) -> Batches:
    """Batches drawn with replacement from tensors on a device; a function of the step."""
    device = whole.latents.device

    def at(step: int) -> Batch:
        generator = torch.Generator(device).manual_seed(seed_of(seed, "batch", step))
        places = torch.randint(len(whole.latents), (batch,), generator=generator, device=device)
        mask = None if whole.text_mask is None else whole.text_mask[places]
        return Batch(whole.latents[places], whole.text[places], mask)

    return at


def accepted(images: Tensor, prompts: Sequence[Prompt]) -> list[bool]:
    """The oracle's answers."""
    return [bool(each) for each in satisfied(images.float(), list(prompts))]


def by_category(prompts: Sequence[Prompt], values: Sequence[float]) -> dict[str, float]:
    """Means by category, and their mean, "overall", as GenEval has it."""
    found: dict[str, list[float]] = {}
    for prompt, value in zip(prompts, values, strict=True):
        found.setdefault(str(prompt.category), []).append(float(value))
    means = {category: sum(each) / len(each) for category, each in found.items()}
    return {**means, "overall": sum(means.values()) / len(means)}
