"""An spvnas experiment with everything that its options name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from coevo.cost_models.point_cloud_latency import LatencyTable, read_table
from coevo.cost_models.point_cloud_latency.unet import layers_of_unet
from coevo.errors import ConfigError, InputError
from coevo.search.space import Space, Violation
from coevo.spaces.spvnas.data.scan import Scan, ScanSource
from coevo.spaces.spvnas.design import Backbone, Bounds
from coevo.spaces.spvnas.network.macs import MEAN_FRAME, MapSizes, check_budget, total_macs
from coevo.spaces.spvnas.options import Options

Check = Callable[[Backbone], Violation | None]


@dataclass(frozen=True)
class Splits:
    """`train` teaches the supernet; `search` judges designs; `validation` is read once, for what is exported."""

    train: ScanSource
    search: ScanSource
    validation: ScanSource

    @property
    def source(self) -> str:
        return self.train.source


class Some:
    """Those scans of a source that are numbered."""

    def __init__(self, source: ScanSource, numbers: list[int]) -> None:
        self._source, self.numbers = source, numbers

    @property
    def source(self) -> str:
        return self._source.source

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, number: int) -> Scan:
        return self._source[self.numbers[number]]


@dataclass(frozen=True)
class Setting:
    """`bounds`: the space; `table`: the one that the options name, None elsewhere."""

    options: Options
    bounds: Bounds
    table: LatencyTable | None

    @classmethod
    def make(cls, options: Options) -> Setting:
        """InputError for a table that is damaged or does not fit, and for a budget below the smallest network."""
        bounds = Bounds.scaled(options.width, options.points, options.quantum)
        table = None
        if options.latency_table is not None:
            table = read_table(Path(options.latency_table))
            if table.points != options.points:
                raise InputError(
                    f"{options.latency_table} is of networks with points {table.points!r}, the options say "
                    f"{options.points!r}; measure again (coevo measure)"
                )
        if options.most_gmacs is not None:
            check_budget(bounds, options.most_gmacs * 1e9, MEAN_FRAME if table is None else sizes_of(table))
        if table is not None and options.most_latency_ms is not None:
            least = table.predict(layers_of_unet(bounds.smallest, options.points)).p95_ms
            if least > options.most_latency_ms:
                raise InputError(
                    f"most_latency_ms = {options.most_latency_ms:g} is below the smallest network of the space "
                    f"{bounds.id}, which takes {least:.3g} ms at the 95th percentile; raise it, or search a smaller one"
                )
        return cls(options, bounds, table)

    @cached_property
    def space(self) -> Space:
        """Designs within the budgets."""
        options, table = self.options, self.table

        def check(design: Backbone) -> Violation | None:
            if options.most_gmacs is not None:
                gmacs = total_macs(design, MEAN_FRAME if table is None else sizes_of(table)) / 1e9
                if gmacs > options.most_gmacs:
                    return Violation(f"over {options.most_gmacs:g} GMACs", gmacs - options.most_gmacs)
            if table is not None and options.most_latency_ms is not None:
                p95 = table.predict(layers_of_unet(design, options.points)).p95_ms
                if p95 > options.most_latency_ms:
                    return Violation(f"over {options.most_latency_ms:g} ms", p95 - options.most_latency_ms)
            return None

        return Space(self.bounds.id, self.bounds.build, check)

    def sizes(self, table: LatencyTable | None = None) -> MapSizes:
        """Of kernel maps: those of the table's scans, else of SemanticKITTI's mean frame."""
        return MEAN_FRAME if table is None else sizes_of(table)

    def device(self) -> Any:
        """The torch device. ConfigError where there is none such."""
        import torch

        wanted = self.options.device
        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "cpu"
        if wanted.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(f"device = {wanted!r}: torch finds no CUDA device here; say cpu, or auto")
        return torch.device("cuda", torch.cuda.current_device()) if wanted == "cuda" else torch.device(wanted)

    def precision(self) -> str:
        """Of training and judging."""
        given = self.options.precision
        return given if given != "auto" else "bfloat16" if self.device().type == "cuda" else "float32"

    def dtype(self) -> Any:
        """Of the compiled network."""
        import torch

        given = self.options.deployed
        name = given if given != "auto" else "float16" if self.device().type == "cuda" else "float32"
        return getattr(torch, name)

    @cached_property
    def splits(self) -> Splits:
        """The scans, read or made when asked for."""
        data = self.options.data
        train, validation = self._sources()
        if data.protocol == "validation":
            return Splits(train, validation, validation)
        if data.folder is not None:
            from coevo.spaces.spvnas.data.semantickitti import SemanticKitti, hold_out

            assert isinstance(train, SemanticKitti)
            return Splits(*hold_out(train, data.search_share), validation)
        held = max(1, round(data.search_share * len(train)))
        if held >= len(train):
            raise ConfigError(
                f"data.train_scenes = {len(train)} leaves none to train beside those that judge the search"
            )
        numbers = list(range(len(train)))
        return Splits(Some(train, numbers[:-held]), Some(train, numbers[-held:]), validation)

    def _sources(self) -> tuple[ScanSource, ScanSource]:
        data = self.options.data
        if data.folder is not None:
            from coevo.spaces.spvnas.data.semantickitti import SemanticKitti

            train, validation = (SemanticKitti(data.folder, split, data.learning_map) for split in ("train", "val"))
            return train, validation
        from coevo.spaces.spvnas.data.generator.sensor import HDL_64E
        from coevo.spaces.spvnas.data.generator.source import GeneratedScans
        from coevo.spaces.spvnas.training.batches import Kept

        sensor = dataclasses.replace(
            HDL_64E, elevations_deg=HDL_64E.elevations_deg[:: data.rings_apart], azimuth_steps=data.azimuth_steps
        )
        made: dict[str, Any] = {"seed": data.seed, "device": self.device(), "rare": data.rare, "sensor": sensor}
        return (
            Kept(GeneratedScans(data.train_scenes, "train", **made)),
            Kept(GeneratedScans(data.validation_scenes, "val", **made)),
        )


def sizes_of(table: LatencyTable) -> MapSizes:
    """Mean sizes of a table's scans."""
    rows, pairs = (tuple(float(each) for each in np.mean(counts, axis=0)) for counts in (table.rows, table.pairs))
    return MapSizes(rows, pairs, rows[0])
