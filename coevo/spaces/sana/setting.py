"""A sana experiment with everything that its options name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coevo.cost_models.diffusion_latency import LatencyTable, read_table
from coevo.errors import ConfigError, InputError
from coevo.search.space import Space, Violation
from coevo.spaces.sana.design import Bounds, SanaDesign
from coevo.spaces.sana.judging.resolution import check_resolution
from coevo.spaces.sana.judging.source import Growth
from coevo.spaces.sana.judging.workload import shape_of, workload_of
from coevo.spaces.sana.model.config import SanaConfig
from coevo.spaces.sana.options import Options

if TYPE_CHECKING:
    import torch

    from coevo.spaces.sana.autoencoder.network import Autoencoder
    from coevo.spaces.sana.judging.codec import Codec
    from coevo.spaces.sana.judging.material import Scenes, Suites
    from coevo.spaces.sana.scaling.verifiers import LearnedVerifier
    from coevo.spaces.sana.training.recipe import Recipe
    from coevo.spaces.sana.training.sandwich import Plan

MOST_TOKENS = 16


@dataclass(frozen=True)
class Setting:
    """`bounds`: the space; `source`: the shape of full depth; `table`: the one that the options name, else None."""

    options: Options
    bounds: Bounds
    source: SanaConfig
    table: LatencyTable | None

    @classmethod
    def make(cls, options: Options) -> Setting:
        """InputError or ConfigError for a depth, a width or a resolution that does not come out even, for a table that
        is damaged or does not fit, and for a budget below the smallest design."""
        model = options.model
        if options.least_depth > model.depth:
            raise ConfigError(
                f"least_depth = {options.least_depth}, but the source has {model.depth} blocks (model.depth): keep at "
                "most as many"
            )
        if (grown := growth_of(options)) is not None:
            grown.check(model.depth)
        bounds = Bounds(
            model.depth, options.ffn_ratios, tuple(options.attention), options.steps, options.guidance, options.samples,
            options.least_depth, options.most_runs,
        )  # fmt: skip
        channels, factor = latents_of(options.data.autoencoder)
        side = check_resolution(options.data.size_px, factor, model.patch_size)
        source = SanaConfig.small(
            model.width, model.depth, head_dim=model.head_dim, cross_heads=model.cross_heads, channels=channels,
            patch_size=model.patch_size, sample_size=side, caption_channels=model.caption_channels,
            ffn_ratio=options.ffn_ratios[-1], attention=options.attention[0],
        )  # fmt: skip
        table = None if options.latency_table is None else read_table(Path(options.latency_table))
        made = cls(options, bounds, source, table)
        if table is not None:
            table.check_shape(made.shape, table.dtype, str(options.latency_table))
            least = table.predict(workload_of(bounds.smallest, source)).total_ms
            if options.most_latency_ms is not None and least > options.most_latency_ms:
                raise InputError(
                    f"most_latency_ms = {options.most_latency_ms:g} is below the smallest design of the space "
                    f"{bounds.id}, which takes {least:.3g} ms; raise it, or search a smaller one"
                )
        return made

    @cached_property
    def space(self) -> Space:
        """Designs within the budget."""
        most, table, source = self.options.most_latency_ms, self.table, self.source

        def check(design: SanaDesign) -> Violation | None:
            if most is not None and table is not None:
                ms = table.predict(workload_of(design, source)).total_ms
                if ms > most:
                    return Violation(f"over {most:g} ms", ms - most)
            return None

        return Space(self.bounds.id, self.bounds.build, check)

    @property
    def shape(self) -> dict[str, Any]:
        """What times depend on beside the choices."""
        verifier = f"learned, {self.options.judging.verifier_width} channels"
        return shape_of(self.source, self.options.data.size_px, MOST_TOKENS, verifier)

    def device(self) -> torch.device:
        """ConfigError where there is none such."""
        import torch

        wanted = self.options.device
        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "cpu"
        if wanted.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(f"device = {wanted!r}: torch finds no CUDA device here; say cpu, or auto")
        return torch.device("cuda", torch.cuda.current_device()) if wanted == "cuda" else torch.device(wanted)

    def precision(self) -> str:
        """Of the network's products."""
        given = self.options.precision
        return given if given != "auto" else "bfloat16" if self.device().type == "cuda" else "float32"

    def dtype(self) -> torch.dtype:
        """Of the network that is timed."""
        import torch

        found: torch.dtype = getattr(torch, self.precision())
        return found

    @cached_property
    def codec(self) -> Codec:
        """Pixels, or the latents of the autoencoder that the options name."""
        from coevo.spaces.sana.judging.codec import Latents, Pixels

        folder = self.options.data.autoencoder
        if folder is None:
            return Pixels()
        return Latents(autoencoder_in(folder).to(self.device()))

    def scenes(self, part: str) -> Scenes:
        """The scenes that train, judge the search, or are seen once at the end."""
        from coevo.spaces.sana.judging.material import Scenes

        data = self.options.data
        count: int = getattr(data, f"{part}_scenes")
        return Scenes(count, part, seed=data.seed, size_px=data.size_px, codec=self.codec, device=self.device())

    @property
    def suites(self) -> Suites:
        """Prompts of the search and of the export."""
        from coevo.spaces.sana.judging.material import prompt_suites

        return prompt_suites(self.options.judging.prompts_per_category, self.options.judging.seed)

    def recipe(self, seed: int) -> Recipe:
        """Of the supernet."""
        from coevo.spaces.sana.training.recipe import Recipe

        given = self.options.training
        return Recipe(
            given.steps, given.learning_rate, given.optimizer, warmup_steps=min(given.warmup_steps, given.steps),
            final_share=0.05, precision=self.precision(), drop_text=given.drop_text, seed=seed,
        )  # fmt: skip

    @property
    def plan(self) -> Plan:
        """Of the supernet's training."""
        from coevo.spaces.sana.training.sandwich import Plan

        given = self.options.training
        return Plan(given.whole, given.between, given.velocity)

    @property
    def growth(self) -> Growth | None:
        """What the supernet grows from."""
        return growth_of(self.options)

    def new_verifier(self, seed: int) -> LearnedVerifier:
        """Who picks one of several samples, untrained, on the setting's device."""
        import torch

        from coevo.spaces.sana.scaling.verifiers import LearnedVerifier
        from coevo.supernets.reproducibility import seed_of

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed, "verifier"))
            return LearnedVerifier(self.options.judging.verifier_width).to(self.device())


def growth_of(options: Options) -> Growth | None:
    """What the options say of a source; None where there is none."""
    given = options.training
    return None if given.source_depth is None else Growth(given.source_depth, given.source_steps, given.drop_last)


def latents_of(autoencoder: str | None) -> tuple[int, int]:
    """Channels and factor of the latents: pixels, or what an autoencoder's folder says. InputError where it is none."""
    if autoencoder is None:
        return 3, 1
    found = autoencoder_in(autoencoder)
    return found.latent_channels, found.factor


def autoencoder_in(folder: str) -> Autoencoder:
    """That of an exported folder (`export.folder.save_sampler`). InputError where it is none, or holds none."""
    from coevo.spaces.sana.export.folder import load_sampler

    found = load_sampler(folder).autoencoder
    if found is None:
        raise InputError(f"data.autoencoder = {folder!r}: this export draws pixels and holds no autoencoder")
    return found
