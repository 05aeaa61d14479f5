"""One transformer of full depth whose subnets leave blocks out, narrow their Mix-FFNs and change their attention.

A block that is left out passes the tokens on, so that any mask is a valid network; blocks begin as the identity
(`identity_supernet`) or from a trained model, grown (`grow`). Linear and softmax attention read the same projections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from coevo.errors import InputError, unknown_name
from coevo.spaces.sana.depth.elastic_ffn import ElasticMixFFN, widest
from coevo.spaces.sana.depth.identity import draw_identity, is_fused
from coevo.spaces.sana.depth.masks import Keep, check_keep, check_kept
from coevo.spaces.sana.depth.pruning import pruned
from coevo.spaces.sana.model.block import SanaBlock
from coevo.spaces.sana.model.config import ATTENTION_KINDS, BlockConfig, SanaConfig
from coevo.spaces.sana.model.mix_ffn import MixFFN
from coevo.spaces.sana.model.transformer import SanaTransformer
from coevo.supernets.elastic import sort_channels


class Genes(Protocol):
    """What a subnet is; one entry a block of the supernet, those of blocks that are left out included."""

    @property
    def keep(self) -> tuple[bool, ...]: ...
    @property
    def ffn_ratios(self) -> tuple[float, ...]: ...
    @property
    def attention(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Subnet:
    """See `Genes`."""

    keep: tuple[bool, ...]
    ffn_ratios: tuple[float, ...]
    attention: tuple[str, ...]


class DepthSupernet(nn.Module):
    """The subnets of a transformer.

    Args:
        transformer: its Mix-FFNs are of the largest ratio, its kinds of attention are the largest subnet's; its weights
            are copied.
        ratios: FFN ratios that a block may have; the largest is the transformer's.
        attention: kinds that a block may have.
        least: blocks that every subnet keeps at least.

    Raises:
        InputError: a largest ratio that is not that of every block; `least` outside 1 to the depth; no kind.
        UnknownName: no such kind.
    """

    def __init__(
        self,
        transformer: SanaTransformer,
        ratios: Sequence[float],
        attention: Sequence[str] = ATTENTION_KINDS,
        least: int = 1,
    ) -> None:
        super().__init__()
        config = transformer.config
        most = widest(ratios)
        wrong = [index for index, block in enumerate(config.blocks) if block.ffn_ratio != most]
        if wrong:
            raise InputError(
                f"the supernet's blocks have the largest FFN ratio {most}, block {wrong[0]} of the transformer has "
                f"{config.blocks[wrong[0]].ffn_ratio}"
            )
        for kind in attention:
            if kind not in ATTENTION_KINDS:
                raise unknown_name("kind of attention", kind, ATTENTION_KINDS)
        if not attention:
            raise InputError("a supernet's blocks have one kind of attention at least, got none")
        check_kept(least, config.depth)
        self.config, self.ratios, self.kinds, self.least = config, tuple(ratios), tuple(attention), least
        self.transformer = pruned(transformer, (True,) * config.depth)
        for index, block in enumerate(self.transformer.blocks):
            assert isinstance(block, SanaBlock)
            block.ffn = _elastic(block.ffn, config, index)
        self.design: Genes = self.largest

    @property
    def largest(self) -> Subnet:
        """Every block, at the largest ratio, with the transformer's attention."""
        config = self.config
        return Subnet(
            (True,) * config.depth,
            (max(self.ratios),) * config.depth,
            tuple(each.attention for each in config.blocks),
        )

    def draw(
        self, rng: np.random.Generator, prior: npt.ArrayLike | None = None, kept: int | None = None
    ) -> Subnet:  # fmt: skip
        """A random subnet: a number of blocks, which ones, ratios and kinds.

        Args:
            prior: weights over 0 [depth]; blocks are drawn in their proportion, one after another; None is all alike.
            kept: blocks that stay; `least` to the depth, all equally likely, where it is None.

        Raises:
            InputError: weights of another number or not over 0; a number of blocks outside.
        """
        depth = self.config.depth
        kept = int(rng.integers(self.least, depth + 1)) if kept is None else kept
        check_kept(kept, depth)
        keep = drawn_keep(np.ones(depth) if prior is None else prior, depth, kept, rng)
        ratios = tuple(self.ratios[i] for i in rng.integers(len(self.ratios), size=depth))
        kinds = tuple(self.kinds[i] for i in rng.integers(len(self.kinds), size=depth))
        return Subnet(keep, ratios, kinds)

    def smallest(self, rng: np.random.Generator, prior: npt.ArrayLike | None = None) -> Subnet:
        """As few blocks as there may be, of the smallest ratio; which ones, and their attention, are drawn."""
        drawn = self.draw(rng, prior, self.least)
        return Subnet(drawn.keep, (min(self.ratios),) * self.config.depth, drawn.attention)

    def set_design(self, design: Genes) -> None:
        """What `forward` computes from now on.

        Raises:
            InputError: entries of another number than the depth, a ratio that is not offered, too few blocks.
            UnknownName: a kind that is not offered.
        """
        keep = self.check(design)
        for index, block in enumerate(self.transformer.blocks):
            assert isinstance(block, SanaBlock) and isinstance(block.ffn, ElasticMixFFN)
            if keep[index]:
                block.ffn.active = int(design.ffn_ratios[index] * self.config.width)
                block.attention.kind = design.attention[index]
        self.design = design

    def check(self, design: Genes) -> Keep:
        """The mask; errors as of `set_design`."""
        depth = self.config.depth
        keep = check_keep(design.keep, depth)
        for name, given in (("ffn_ratios", design.ffn_ratios), ("attention", design.attention)):
            if len(given) != depth:
                raise InputError(f"{name} has {len(given)} entries, the supernet has {depth} blocks: give {depth}")
        for ratio in design.ffn_ratios:
            if ratio not in self.ratios:
                raise InputError(f"an FFN ratio of {ratio} is none of the supernet's: {self.ratios}")
        for kind in design.attention:
            if kind not in self.kinds:
                raise unknown_name("kind of attention", kind, self.kinds, "the supernet")
        if sum(keep) < self.least:
            raise InputError(f"the supernet's subnets keep {self.least} blocks or more, got {sum(keep)}")
        return keep

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        text: Tensor,
        text_mask: Tensor | None = None,
        *,
        keep: Sequence[bool] | None = None,
    ) -> Tensor:
        """The velocity by the design that was set; arguments as of the transformer. `keep` is used in place of the
        design's mask."""
        found: Tensor = self.transformer(
            latents, timestep, text, text_mask, keep=self.design.keep if keep is None else keep
        )  # fmt: skip
        return found

    def sort_ffn(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Puts every Mix-FFN's hidden channels in the order of what reads them, so that a narrow one has those that
        matter; the largest network computes the same as before, up to the order of its sums."""
        groups = []
        for block in self.transformer.blocks:
            assert isinstance(block, SanaBlock) and isinstance(block.ffn, ElasticMixFFN)
            groups.append(block.ffn.channel_group())
        sort_channels(groups, optimizer=optimizer)

    def extract(self, design: Genes) -> SanaTransformer:
        """The subnet as a transformer of its own, on copies of its weights.

        Raises:
            InputError, UnknownName: as of `set_design`.
        """
        keep = self.check(design)
        places = [index for index, stays in enumerate(keep) if stays]
        shapes = [BlockConfig(design.attention[i], design.ffn_ratios[i]) for i in places]
        like = next(self.transformer.parameters())
        with torch.random.fork_rng(devices=[]):
            found = SanaTransformer(self.config.with_blocks(shapes)).to(like.device, like.dtype)
        state = self.transformer.state_dict()
        weights = {name: each for name, each in state.items() if not name.startswith("blocks.")}
        for to, place in enumerate(places):
            block = self.transformer.blocks[place]
            assert isinstance(block, SanaBlock) and isinstance(block.ffn, ElasticMixFFN)
            weights |= {f"blocks.{to}.{name}": each for name, each in block.state_dict().items()}
            narrow = block.ffn.weights(found.config.ffn_channels(to))
            weights |= {f"blocks.{to}.ffn.{name}": each for name, each in narrow.items()}
        found.load_state_dict({name: each.detach() for name, each in weights.items()})
        return found.use_fused(is_fused(self.transformer)).train(self.training)


def identity_supernet(
    config: SanaConfig,
    ratios: Sequence[float],
    attention: Sequence[str] = ATTENTION_KINDS,
    least: int = 1,
    seed: int = 0,
) -> DepthSupernet:
    """A supernet to be trained from nothing, every block of which is the identity at first, whatever its genes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = SanaTransformer(config)
    generator = torch.Generator().manual_seed(seed)
    for block in transformer.blocks:
        assert isinstance(block, SanaBlock)
        draw_identity(block, generator)
    return DepthSupernet(transformer, ratios, attention, least)


def drawn_keep(prior: npt.ArrayLike, depth: int, kept: int, rng: np.random.Generator) -> Keep:
    """`kept` blocks drawn one after another in proportion to their weights [depth] (by Gumbel's trick). InputError
    where the weights are of another number, or not finite and over 0."""
    weights = np.asarray(prior, dtype=np.float64)
    if weights.shape != (depth,) or not np.isfinite(weights).all() or (weights <= 0).any():
        raise InputError(f"a prior has {depth} finite weights over 0, one a block, got {np.asarray(prior).tolist()}")
    places = set(np.argsort(-(np.log(weights) + rng.gumbel(size=depth)), kind="stable")[:kept].tolist())
    return tuple(i in places for i in range(depth))


def _elastic(ffn: MixFFN, config: SanaConfig, index: int) -> ElasticMixFFN:
    with torch.random.fork_rng(devices=[]):
        found = ElasticMixFFN(config.width, config.ffn_channels(index))
    for name in ("expand", "depthwise", "project"):
        setattr(found, name, getattr(ffn, name))
    found.fused = ffn.fused
    return found
