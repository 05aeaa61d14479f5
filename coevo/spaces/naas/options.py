"""What can be set in `[options]` of a naas experiment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Switches(BaseModel):
    """The cost model's assumptions; see `coevo.cost_models.accelerator.Assumptions`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    halo_merge: bool = False
    sliding_window: bool = False
    charge_drain: bool = False
    fetch_holes: bool = False
    count_ramp: bool = False


class Elastic(BaseModel):
    """A network that is searched with its hardware, and where its accuracy comes from: a supernet that `prepare` trains
    on `data`, or a table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["ofa_resnet50", "ofa_mobilenet_v3"] = Field("ofa_resnet50", description="the elastic network")
    table: str | None = Field(
        None, description="JSON file of accuracies; its networks are then the ones to choose from"
    )
    data: str | None = Field(
        None, description="digits, mnist, or a folder: CIFAR-10's binary files, or pictures a class"
    )
    input_sizes: tuple[int, ...] = Field(
        tuple(range(128, 257, 16)), min_length=1, description="rows of an image, to choose from; hardware sees the same"
    )
    classes: int = Field(1000, ge=2, description="of a table's networks; data has its own number")
    width: float = Field(1.0, gt=0, le=4, description="factor on all channels")
    stem_stride: Literal[1, 2] = Field(2, description="1 for images of a few dozen rows")
    data_seed: int = Field(0, ge=0, description="which images validate")
    validation_images: int | None = Field(None, ge=1, description="images that judge; all that validate unless given")
    supernet_steps: int = Field(2000, ge=1)
    supernet_batch: int = Field(64, ge=2)
    supernet_learning_rate: float = Field(2e-3, gt=0)
    accuracy_share: float = Field(
        1.0, gt=0, le=1, description="below 1, a stage first that judges accuracy and bounds the chip's costs from "
        "below, without mapping; this share of its designs goes on"
    )  # fmt: skip

    @model_validator(mode="after")
    def _one_source(self) -> Elastic:
        if (self.table is None) == (self.data is None):
            raise ValueError("elastic: give either a table of accuracies or the data that a supernet is trained on")
        if self.table is not None and self.accuracy_share < 1:
            raise ValueError(
                "elastic: accuracy_share binds to nothing: a table's accuracies need no stage of their own"
            )
        return self


class Options(BaseModel):
    """Options of the problem `naas`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline: str = Field("eyeriss", description="accelerator whose resources and energies hold: a name, or a .toml")
    networks: tuple[str, ...] | None = Field(
        None, min_length=1, description="workloads that every design runs: names, .toml or .onnx files; resnet50 "
        "unless given, or an elastic network"
    )  # fmt: skip
    elastic: Elastic | None = Field(None, description="search the network too")
    input_size: int | None = Field(None, ge=1, description="rows of the input; the network's own unless given")
    batch: int = Field(1, ge=1, description="examples at once")
    encoding: Literal["importance", "index", "order"] = Field(
        "importance", description="how the parallel loops are encoded: NAAS's, the one it is compared with, or an order"
    )
    connectivity: bool = Field(True, description="search which loops run along the array; false searches sizes alone")
    loops_per_axis: Literal["baseline"] | Annotated[int, Field(ge=1, le=6)] = Field(
        1, description="loops that share an axis of the array: 1 is NAAS's; `baseline` is the most that the baseline "
        "has along one (3 of Eyeriss), so that the baseline is among the designs"
    )  # fmt: skip
    hardware: bool = Field(True, description="false keeps the baseline as it is: mappings, and the network, alone")
    mac_units: int | None = Field(None, ge=1, description="most MAC units; the baseline's unless given")
    on_chip_bytes: int | None = Field(None, ge=16, description="most bytes on the chip; the baseline's unless given")
    network_bytes_per_cycle: float | None = Field(
        None, gt=0, description="most into the array; the baseline's unless given"
    )
    energy_exponent: float | None = Field(
        None, ge=0, le=1, description="energy of an access grows with this power of a memory's size; by the "
        "baseline's energy table unless given"
    )  # fmt: skip
    goal: Literal["edp", "energy", "cycles"] = Field("edp", description="what each layer's mapping is searched for")
    mapper: Literal["sampling", "evolution", "naas", "random"] = Field(
        "evolution", description="how a layer's mapping is searched; sampling is ten times faster and nearly as good"
    )
    mapping_encoding: Literal["importance", "index"] = Field(
        "importance", description="how the mapper's evolution encodes loop orders"
    )
    mapping_evaluations: int = Field(2000, ge=1, description="mappings judged for each layer")
    export_seconds: float = Field(2.0, gt=0, description="most time a layer for the exact mapper of an export")
    assumptions: Switches = Field(default_factory=Switches)

    @model_validator(mode="after")
    def _fit_together(self) -> Options:
        networks = self.networks or ()
        if len(set(networks)) != len(networks):
            raise ValueError(f"networks must be distinct, got {', '.join(networks)}")
        if networks and self.elastic is not None:
            raise ValueError("give networks or an elastic one, not both")
        if self.elastic is not None and self.input_size is not None:
            raise ValueError("input_size binds to nothing: an elastic network chooses among elastic.input_sizes")
        if not self.hardware and self.elastic is None:
            raise ValueError("hardware = false without an elastic network leaves nothing to search")
        return self

    @property
    def fixed_networks(self) -> tuple[str, ...]:
        """The workloads by name; none where the network is searched."""
        return () if self.elastic is not None else self.networks or ("resnet50",)
