"""The weights that designs inherit: the captions' encoder and the supernet over depth, trained as one on scenes; from
the start, or grown from a shallower transformer (Sana-1.5, arXiv 2501.18427, section 2.1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch

from coevo.spaces.sana.depth.growth import grow
from coevo.spaces.sana.depth.supernet import DepthSupernet, Subnet, identity_supernet
from coevo.spaces.sana.design import Bounds, SanaDesign
from coevo.spaces.sana.judging.material import Scenes
from coevo.spaces.sana.judging.source import Growth
from coevo.spaces.sana.model.config import BlockConfig, SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.text.attribute import AttributeEncoder
from coevo.spaces.sana.training.batches import Batch, Batches
from coevo.spaces.sana.training.captioned import Captioned
from coevo.spaces.sana.training.captured import learner_of
from coevo.spaces.sana.training.held_out import HeldOutLoss
from coevo.spaces.sana.training.loop import Curve, train
from coevo.spaces.sana.training.recipe import Recipe
from coevo.spaces.sana.training.sandwich import Plan, SandwichLearner
from coevo.supernets.checkpoints import Checkpoints, check_weights, read_tensors, write_tensors
from coevo.supernets.reproducibility import seed_of

WEIGHTS, SOURCE = "weights.safetensors", "source"
Progress = Callable[[float, float, str], None]
LOOKS = 8
"""Looks at the held-out loss in a training."""


class Inherited(Captioned):
    """A supernet that reads captions.

    Args:
        bounds: its designs.
        source: its shape; every block has the bounds' largest FFN ratio and first kind of attention.
        seed: of the first weights, of which every block is the identity.
        encoder_layers: of the captions' encoder.
    """

    def __init__(self, bounds: Bounds, source: SanaConfig, seed: int = 0, encoder_layers: int = 2) -> None:
        config = source_config(bounds, source)
        supernet = identity_supernet(config, bounds.ffn_ratios, bounds.attention, bounds.least_depth, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed, "encoder"))
            encoder = AttributeEncoder(config.caption_channels, encoder_layers)
        super().__init__(cast(SanaTransformer, supernet), encoder)  # called as a transformer is
        self.bounds, self.config = bounds, config

    @property
    def supernet(self) -> DepthSupernet:
        return cast(DepthSupernet, self.transformer)

    @property
    def captions(self) -> AttributeEncoder:
        return cast(AttributeEncoder, self.encoder)

    @property
    def device(self) -> torch.device:
        return self.captions.places.device

    def set_design(self, design: SanaDesign) -> None:
        """What the supernet computes from now on."""
        self.supernet.set_design(subnet_of(design, self.bounds))

    def extract(self, design: SanaDesign) -> SanaTransformer:
        """The design's network on copies of its weights, in evaluation mode."""
        return self.supernet.extract(subnet_of(design, self.bounds)).eval()

    def null_tokens(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and mask of the empty caption, [T] each."""
        tokens, mask = self.captions.tokens_of([""])
        return tokens[0], mask[0]


def source_config(bounds: Bounds, source: SanaConfig) -> SanaConfig:
    """A shape with the bounds' depth, whose blocks are the largest that may be chosen."""
    return source.with_blocks([BlockConfig(bounds.attention[0], bounds.ffn_ratios[-1])] * bounds.depth)


def subnet_of(design: SanaDesign, bounds: Bounds) -> Subnet:
    """The design's genes, one entry a block of the supernet."""
    ratios, kinds = iter(design.ffn_ratios), iter(design.attention)
    return Subnet(
        design.keep,
        tuple(next(ratios) if stays else bounds.ffn_ratios[-1] for stays in design.keep),
        tuple(next(kinds) if stays else bounds.attention[0] for stays in design.keep),
    )


def identity_of(
    net: Inherited, scenes: Scenes, recipe: Recipe, plan: Plan, batch: int, growth: Growth | None = None
) -> dict[str, Any]:  # fmt: skip
    """What the weights follow from, plain JSON."""
    return {
        "space": net.bounds.id,
        "network": net.config.to_json(),
        "encoder_layers": len(net.captions.layers),
        "recipe": recipe.to_json(),
        "plan": asdict(plan),
        "growth": None if growth is None else asdict(growth),
        "batch": batch,
        "data": scenes.source,
    }


@dataclass
class Trained:
    """What a training of the weights wrote down; the held-out losses are in the curves' validations.

    Attributes:
        whole: of the supernet, of whose subnets the largest is looked at.
        source: of the shallower transformer that it grew from; None where there was none.
    """

    whole: Curve
    source: Curve | None = None

    def to_json(self) -> dict[str, Any]:
        return {"source": None if self.source is None else self.source.to_json(), "whole": self.whole.to_json()}


def train_weights(
    net: Inherited, scenes: Scenes, recipe: Recipe, plan: Plan, *, batch: int, growth: Growth | None = None,
    held_out: Scenes | None = None, folder: Path | None = None, checkpoint_every: int = 200,
    progress: Progress = lambda *_: None,
) -> Trained:  # fmt: skip
    """Trains the net in place, first the whole of it, then its subnets; in a folder it goes on where it was stopped.

    Args:
        growth: of a shallower transformer that is trained before, with an encoder of its own, and grown by partial
            preservation; None begins with blocks that are the identity.
        held_out: scenes whose flow loss is looked at `LOOKS` times in each training; None looks at none.

    Raises:
        InputError: the folder holds another training; a source that is deeper than the net.
        NonFiniteLoss: training did not survive.
    """

    def batches(step: int) -> Batch:
        return scenes.batch(scenes.rows_of(step, batch, recipe.seed))

    identity, source = identity_of(net, scenes, recipe, plan, batch, growth), None
    if growth is not None:
        home = None if folder is None else Checkpoints(folder / SOURCE, identity)
        source = _grow_into(net, batches, recipe, growth, held_out, home, checkpoint_every, progress)
    learner = SandwichLearner(net.supernet, recipe, plan, null_text=net.null_tokens(), net=net)
    kept = None if folder is None else Checkpoints(folder, identity)
    curve = train(
        learner, batches, recipe, kept, checkpoint_every=checkpoint_every, progress=progress,
        **_looks(net, held_out, recipe),
    )  # fmt: skip
    net.eval().requires_grad_(False)
    return Trained(curve, source)


def _grow_into(
    net: Inherited, batches: Batches, recipe: Recipe, growth: Growth, held_out: Scenes | None,
    kept: Checkpoints | None, checkpoint_every: int, progress: Progress,
) -> Curve:  # fmt: skip
    """Trains the source and puts what it grows to, and its encoder, into the net."""
    growth.check(net.config.depth)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(recipe.seed, SOURCE))
        encoder = AttributeEncoder(net.captions.channels, len(net.captions.layers), heads=net.captions.heads)
        source = Captioned(SanaTransformer(net.config.with_depth(growth.depth)), encoder).to(net.device)
    warmup = min(recipe.warmup_steps, growth.steps)
    own = dataclasses.replace(recipe, steps=growth.steps, warmup_steps=warmup, final_share=1.0)
    curve = train(
        learner_of(source, own, net.null_tokens()), batches, own, kept, checkpoint_every=checkpoint_every,
        progress=lambda done, total, text: progress(done, total, f"source of {growth.depth} blocks: {text}"),
        **_looks(source, held_out, own),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed_of(recipe.seed, "growth"))
    grown = grow(source.transformer, net.config.depth, drop_last=growth.drop_last, generator=generator)
    net.supernet.transformer.load_state_dict(grown.state_dict())
    net.encoder.load_state_dict(encoder.state_dict())
    return curve


def _looks(net: Captioned, held_out: Scenes | None, recipe: Recipe) -> dict[str, Any]:
    """Arguments of `train`."""
    if held_out is None:
        return {}
    loss = HeldOutLoss(held_out.all(), precision=recipe.precision, seed=seed_of(0, "looks"))
    every = max(1, recipe.steps // LOOKS)
    called = cast(SanaTransformer, net)  # as one is
    return {"validate": lambda: loss(called), "validate_at": sorted({*range(0, recipe.steps, every), recipe.steps})}


def save_weights(net: Inherited, path: Path) -> None:
    """A safetensors file, whole or not at all."""
    write_tensors(path, net.state_dict())


def load_weights(net: Inherited, path: Path) -> Inherited:
    """The net with a file's weights, in evaluation mode.

    Raises:
        InputError: the file is damaged, or its weights are of another width, depth or space.
    """
    weights = read_tensors(path)
    check_weights(net, weights, str(path))
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)
