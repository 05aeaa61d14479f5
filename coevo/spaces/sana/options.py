"""What can be set in `[options]` of a sana experiment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

STAGES = ("costs", "inherited", "recovered", "sampled")


class Model(BaseModel):
    """The source: a transformer of full depth, of which designs keep some blocks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(256, ge=32)
    depth: int = Field(12, ge=1)
    head_dim: int = Field(32, ge=8)
    cross_heads: int = Field(4, ge=1)
    patch_size: int = Field(
        4, ge=1, description="latent pixels of a token's side; what a patch holds should not exceed the width"
    )
    caption_channels: int = Field(128, ge=4)
    encoder_layers: int = Field(2, ge=0, description="of the captions' encoder, which is trained with it")


class Data(BaseModel):
    """Procedural scenes, made anew from the seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size_px: int = Field(48, ge=48, description="of images; the oracle needs 48")
    autoencoder: str | None = Field(
        None, description="folder of an export with the autoencoder whose latents are drawn; pixels without one"
    )  # fmt: skip
    train_scenes: int = Field(20_000, ge=1)
    search_scenes: int = Field(512, ge=1, description="whose flow loss judges the search")
    validation_scenes: int = Field(512, ge=1, description="whose flow loss an export is told with")
    seed: int = Field(0, ge=0)


class Training(BaseModel):
    """How the supernet, a candidate's recovery and the winner are trained; see `sana.training.Recipe` and `Plan`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(12_000, ge=1, description="updates of the supernet")
    source_depth: int | None = Field(
        None, ge=1, description="blocks of a transformer that is trained first and grown to model.depth; none without"
    )
    source_steps: int = Field(4000, ge=1, description="updates of that one")
    drop_last: int = Field(1, ge=0, description="of its blocks, from the end, that are left out when it grows")
    whole: float = Field(0.5, ge=0, le=1, description="share of them that trains the largest network alone")
    between: int = Field(2, ge=0, description="networks of a later update beside the largest and a smallest")
    velocity: float = Field(0.5, ge=0, le=1, description="share of the flow in what those learn; the rest distils")
    batch: int = Field(128, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    optimizer: Literal["adamw", "came"] = "adamw"
    warmup_steps: int = Field(200, ge=0)
    drop_text: float = Field(0.1, ge=0, le=1, description="share of captions that are left out, for guidance")
    recovery_steps: int = Field(100, ge=0, description="updates before a candidate is judged by its own weights")
    recovery_rate: float = Field(0.3, gt=0, description="factor on the learning rate in recovery and fine-tuning")
    fine_tune_steps: int = Field(1000, ge=0, description="updates of what is exported")
    checkpoint_every: int = Field(200, ge=1, description="updates")


class Judging(BaseModel):
    """What a search looks at; an export is judged by other prompts, scenes and noise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts_per_category: int = Field(3, ge=1, le=3, description="of GenEval's six")
    rounds: int = Field(8, ge=1, description="images of every prompt that the oracle sees of a design")
    export_rounds: int = Field(32, ge=1, description="the same, of what is exported")
    loss_draws: int = Field(2, ge=1, description="noises and times of every scene in a flow loss")
    verifier_steps: int = Field(2000, ge=1, description="updates of the network that picks one of several samples")
    verifier_width: int = Field(96, ge=16, multiple_of=16, description="its channels")
    verifier_batch: int = Field(256, ge=2)
    seed: int = Field(0, ge=0, description="of prompts and noise")


class Options(BaseModel):
    """Options of the problem `sana`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Model = Field(default_factory=lambda: Model.model_validate({}))
    data: Data = Field(default_factory=lambda: Data.model_validate({}))
    training: Training = Field(default_factory=lambda: Training.model_validate({}))
    judging: Judging = Field(default_factory=lambda: Judging.model_validate({}))
    ffn_ratios: tuple[float, ...] = Field((1.25, 2.5), min_length=1, description="of a block, ascending")
    attention: tuple[Literal["linear", "softmax"], ...] = Field(("linear", "softmax"), min_length=1)
    steps: tuple[int, ...] = Field((4, 6, 8, 12, 16, 20), min_length=1, description="of the solver, ascending")
    guidance: tuple[float, ...] = Field((1.0, 2.0, 3.0, 4.5), min_length=1, description="ascending; 1 is none")
    samples: tuple[int, ...] = Field((1, 2, 4, 8), min_length=1, description="drawn, of which a verifier picks one")
    least_depth: int = Field(2, ge=1, description="blocks that stay")
    most_runs: int = Field(3, ge=0, description="of neighbours that are left out")
    most_latency_ms: float | None = Field(
        None, gt=0, description="no design that takes longer by latency_table, which must be given, is built"
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="cuda where there is one, or which")
    precision: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        "auto", description="of the network's products and of the network that is timed: bfloat16 on a CUDA device"
    )
    ladder: tuple[Literal["costs", "inherited", "recovered", "sampled"], ...] = Field(
        ("costs", "inherited", "recovered", "sampled"), min_length=1, description="stages, in this order"
    )
    shares: tuple[float, ...] = Field((0.7, 0.4, 0.5), description="of each stage but the last that goes on")
    latency_table: str | None = Field(
        None, description="a table of `coevo measure`; else this device's own, which is measured where it is missing"
    )
    table_networks: int = Field(12, ge=4, description="whole networks that calibrate a table")
    timings: int = Field(5, ge=1, description="of each time, of which the median counts")

    @model_validator(mode="after")
    def _fit_together(self) -> Options:
        if list(self.ladder) != [name for name in STAGES if name in self.ladder]:
            raise ValueError(
                f"ladder: expected some of {', '.join(STAGES)} in that order, got {', '.join(self.ladder)}"
            )
        if len(self.shares) < len(self.ladder) - 1 or not all(0 < each <= 1 for each in self.shares):
            raise ValueError("shares: expected one for each stage but the last, each above 0 and at most 1")
        if self.most_latency_ms is not None and self.latency_table is None:
            raise ValueError("most_latency_ms needs latency_table: `coevo measure sana -o FILE` makes one")
        return self
