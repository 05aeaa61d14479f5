"""What can be set in `[options]` of an spvnas experiment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

STAGES = ("macs", "latency", "part", "whole")


class Data(BaseModel):
    """Scans: generated ones, or SemanticKITTI's files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str | None = Field(None, description="SemanticKITTI's `dataset` folder; scenes are generated unless given")
    learning_map: Literal["official", "legacy"] = Field("official", description="of SemanticKITTI's labels")
    protocol: Literal["held-out", "validation"] = Field(
        "held-out", description="who judges the search: a part of the training scans that the supernet never sees, or "
        "the validation scans (SPVNAS's leaderboard entries), which then say nothing about other scans"
    )  # fmt: skip
    search_share: float = Field(0.1, gt=0, lt=1, description="of the training scans, held out to judge the search")
    train_scenes: int = Field(200, ge=1, description="generated; each is one scan")
    validation_scenes: int = Field(50, ge=1)
    seed: int = Field(0, ge=0, description="of the scenes")
    rare: float = Field(1.0, gt=0, description="factor on people, two-wheelers and lorries")
    azimuth_steps: int = Field(2170, ge=32, description="shots of a ring in a turn")
    rings_apart: int = Field(1, ge=1, description="every so manieth ring of an HDL-64E")


class Training(BaseModel):
    """How the supernet, and at the end the winner, is trained; see `spvnas.training.Recipe`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(3000, ge=1, description="updates of the supernet")
    fine_tune_steps: int = Field(1000, ge=0, description="updates of an exported network, on all training scans")
    batch: int = Field(2, ge=1, description="scans of an update")
    learning_rate_per_scan: float = Field(0.015, gt=0)
    fine_tune_rate: float = Field(0.25, gt=0, description="factor on that for an exported network")
    most_voxels: int = Field(80_000, ge=1, description="of a training scan")
    warmup_steps: int = Field(100, ge=0)
    flip: bool = False
    polar_mix: float = Field(0.0, ge=0, le=1, description="share of scans that are mixed with another")
    whole: float = Field(0.25, ge=0, le=1, description="share of the training that only the largest network learns in")
    full_depth: float = Field(0.5, ge=0, le=1, description="share that is done when shallow networks join")
    between: int = Field(2, ge=0, description="networks of an update beside the largest and the smallest")
    reproducible: bool = Field(False, description="refuse operators whose bits may differ from run to run")
    threads: int = Field(4, ge=0, description="that make batches ahead")
    checkpoint_every: int = Field(100, ge=1, description="updates")


class Options(BaseModel):
    """Options of the problem `spvnas`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: Literal["none", "voxels", "raw"] = Field(
        "voxels", description="the point branch: none (MinkUNet), of voxels as released, of every point"
    )
    width: float = Field(1.0, gt=0, le=2, description="factor on the published space's bounds")
    quantum: int = Field(16, ge=1, description="channels between two choices")
    voxel_m: float = Field(0.05, gt=0, description="edge of a voxel in metres")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="cuda where there is one, or which")
    precision: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        "auto", description="of features in training and judging: bfloat16 on a CUDA device"
    )
    deployed: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        "auto", description="of the compiled network whose latency counts: float16 on a CUDA device"
    )
    data: Data = Field(default_factory=lambda: Data.model_validate({}))
    training: Training = Field(default_factory=lambda: Training.model_validate({}))
    ladder: tuple[Literal["macs", "latency", "part", "whole"], ...] = Field(
        ("macs", "latency", "part", "whole"), min_length=1, description="stages, in this order"
    )
    shares: tuple[float, ...] = Field((0.7, 0.5, 0.3), description="of each stage but the last that goes on")
    latency_table: str | None = Field(
        None, description="a table of `coevo measure`; else this device's own, which is measured where it is missing"
    )
    table_networks: int = Field(24, ge=4, description="whole networks that calibrate a table")
    table_coarse: bool = Field(False, description="a table of a fifth of the entries")
    timings: int = Field(5, ge=1, description="of each time, of which the median counts")
    latency_scans: int = Field(8, ge=1, description="scans that latency is measured on")
    part_scans: int = Field(8, ge=1, description="scans of the stage `part`")
    calibration_scans: int = Field(20, ge=1, description="training scans that settle the norms of each design")
    most_gmacs: float | None = Field(None, gt=0, description="no design with more is built")
    most_latency_ms: float | None = Field(
        None, gt=0, description="no design whose 95th percentile is longer by latency_table, which must be given"
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Options:
        if list(self.ladder) != [name for name in STAGES if name in self.ladder]:
            raise ValueError(
                f"ladder: expected some of {', '.join(STAGES)} in that order, got {', '.join(self.ladder)}"
            )
        if len(self.shares) < len(self.ladder) - 1 or not all(0 < each <= 1 for each in self.shares):
            raise ValueError("shares: expected one for each stage but the last, each above 0 and at most 1")
        if self.most_latency_ms is not None and self.latency_table is None:
            raise ValueError("most_latency_ms needs latency_table: `coevo measure spvnas -o FILE` makes one")
        return self
