"""The weights that designs inherit: the captions' encoder and the supernet over depth, trained as one on scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch

from coevo.spaces.sana.depth.supernet import DepthSupernet, Subnet, identity_supernet
from coevo.spaces.sana.design import Bounds, SanaDesign
from coevo.spaces.sana.judging.material import Scenes
from coevo.spaces.sana.model.config import BlockConfig, SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.spaces.sana.text.attribute import AttributeEncoder
from coevo.spaces.sana.training.batches import Batch
from coevo.spaces.sana.training.captioned import Captioned
from coevo.spaces.sana.training.loop import Curve, train
from coevo.spaces.sana.training.recipe import Recipe
from coevo.spaces.sana.training.sandwich import Plan, SandwichLearner
from coevo.supernets.checkpoints import Checkpoints, check_weights, read_tensors, write_tensors
from coevo.supernets.reproducibility import seed_of

WEIGHTS = "weights.safetensors"
Progress = Callable[[float, float, str], None]


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


def identity_of(net: Inherited, scenes: Scenes, recipe: Recipe, plan: Plan, batch: int) -> dict[str, Any]:
    """What the weights follow from, plain JSON."""
    return {
        "space": net.bounds.id,
        "network": net.config.to_json(),
        "encoder_layers": len(net.captions.layers),
        "recipe": recipe.to_json(),
        "plan": asdict(plan),
        "batch": batch,
        "data": scenes.source,
    }


def train_weights(
    net: Inherited, scenes: Scenes, recipe: Recipe, plan: Plan, *, batch: int, folder: Path | None = None,
    checkpoint_every: int = 200, progress: Progress = lambda *_: None,
) -> Curve:  # fmt: skip
    """Trains the net in place, first the whole of it, then its subnets; in a folder it goes on where it was stopped.

    Raises:
        InputError: the folder holds another training.
        NonFiniteLoss: training did not survive.
    """

    def batches(step: int) -> Batch:
        return scenes.batch(scenes.rows_of(step, batch, recipe.seed))

    learner = SandwichLearner(net.supernet, recipe, plan, null_text=net.null_tokens(), net=net)
    kept = None if folder is None else Checkpoints(folder, identity_of(net, scenes, recipe, plan, batch))
    curve = train(learner, batches, recipe, kept, checkpoint_every=checkpoint_every, progress=progress)
    net.eval().requires_grad_(False)
    return curve


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
