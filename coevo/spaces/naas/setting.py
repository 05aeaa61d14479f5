"""A naas experiment with everything that its options name: the baseline, its template, what runs on it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coevo.cost_models.accelerator import Assumptions, Layer
from coevo.cost_models.accelerator.workloads import Workload, load_workload
from coevo.errors import InputError
from coevo.hardware.accelerators.resizing import load_resizable
from coevo.search.pick import Pick
from coevo.spaces.naas.design import CoDesign
from coevo.spaces.naas.hardware import Resources, Template, build_hardware, check_resources
from coevo.spaces.naas.network import Scale, family
from coevo.spaces.naas.network.images import Images, read_images
from coevo.spaces.naas.network.table import AccuracyTable, read_table
from coevo.spaces.naas.options import Elastic, Options

Runs = Sequence[tuple[Layer, int]]
"""Layers of a network with how often each runs."""


@dataclass(frozen=True)
class Setting:
    """`template`: what a design may change; `workloads`: what it runs where networks are named; `scale` and `table` of
    an elastic network, None elsewhere."""

    options: Options
    template: Template
    workloads: tuple[Workload, ...]
    assumptions: Assumptions
    scale: Scale | None
    table: AccuracyTable | None

    @classmethod
    def make(cls, options: Options) -> Setting:
        """Raises UnknownName for names that nobody offers, InputError for resources and data that do not fit."""
        resizable = load_resizable(options.baseline)
        baseline = resizable.accelerator
        own = Template.of(resizable, energy_exponent=options.energy_exponent).resources
        rate = options.network_bytes_per_cycle
        if rate is not None and own.network_bytes_per_cycle is None:
            raise InputError(
                f"network_bytes_per_cycle = {rate} binds to nothing: the array of {baseline.name} has no limit there; "
                "give its network one, or leave the option out"
            )
        resources = Resources(
            options.mac_units or own.mac_units,
            options.on_chip_bytes or own.on_chip_bytes,
            rate or own.network_bytes_per_cycle,
        )
        template = Template.of(resizable, resources, options.energy_exponent)
        check_resources(template)
        workloads = tuple(
            load_workload(name, batch=options.batch, input_size=options.input_size) for name in options.fixed_networks
        )
        elastic = options.elastic
        scale = None if elastic is None else _scale(elastic)
        table = None
        if elastic is not None and elastic.table is not None and scale is not None:
            table = read_table(Path(elastic.table), elastic.family, scale)
        return cls(options, template, workloads, Assumptions(**options.assumptions.model_dump()), scale, table)

    def build(self, pick: Pick) -> CoDesign:
        """The space function: the chip, then the network."""
        options, template = self.options, self.template
        hardware = (
            build_hardware(pick, template, options.encoding, options.connectivity, options.loops_per_axis)
            if options.hardware
            else template.own_design()
        )
        if options.elastic is None or self.scale is None:
            return CoDesign(hardware)
        if self.table is not None:
            network, accuracy = self.table.pick(pick)
            return CoDesign(hardware, network, accuracy)
        return CoDesign(hardware, family(options.elastic.family)(pick, self.scale))

    def runs(self, design: CoDesign) -> dict[str, Runs]:
        """What a design runs, by network."""
        if design.network is not None:
            return {design.network.family: design.network.runs(self.options.batch)}
        return {workload.name: workload.layers for workload in self.workloads}

    @property
    def images(self) -> Images:
        """The images that a supernet learns from."""
        elastic = self.options.elastic
        assert elastic is not None and elastic.data is not None
        return images_of(elastic.data, max(elastic.input_sizes), elastic.data_seed)

    @property
    def accuracy_source(self) -> str:
        """Where accuracies come from, in words."""
        if self.table is not None:
            return f"a table ({self.table.source})"
        return f"a supernet trained on {self.images.source}, {len(self.images.validation)} images validate"


@functools.lru_cache(maxsize=2)
def images_of(data: str, size: int, seed: int) -> Images:
    """Read once a process."""
    return read_images(data, size, seed)


def _scale(elastic: Elastic) -> Scale:
    if elastic.data is None:
        return Scale(elastic.input_sizes, elastic.classes, elastic.width, 3, elastic.stem_stride)
    images = images_of(elastic.data, max(elastic.input_sizes), elastic.data_seed)
    return Scale(elastic.input_sizes, len(images.classes), elastic.width, images.channels, elastic.stem_stride)
