"""What can be set in `[options]` of a quantumnas experiment."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from coevo.errors import unknown_name
from coevo.spaces.quantumnas.ansatz.gate_sets import GATE_SETS, gate_set_of

Layout = tuple[int, ...] | Literal["qiskit"]


class Options(BaseModel):
    """Options of the problem `quantumnas`. Steps and examples are counts, learning rates are Adam's, per step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gates: str = Field("u3cu3", description=f"gate set of the SuperCircuit: {', '.join(GATE_SETS)}")
    widths: Literal["front", "arbitrary"] = Field("front", description="which gates of a layer a design may keep")
    max_blocks: int | None = Field(None, ge=1, le=32, description="most blocks; the gate set's own number unless given")
    artifact_depth: bool = Field(False, description="cut the last layer of gate set rxyz as QuantumNAS's artifact does")
    data: str = Field("mnist4", description="the task by name, or the path of a .npz (X, y) or .json (Hamiltonian)")
    data_path: str | None = Field(None, description="folder of the task's own files, such as the full IDX files")
    start: str | None = Field(
        None,
        description="basis state that a ground state is searched from: 'hartree_fock' of a molecule's file, or bits, "
        "the highest qubit's first; |0...0> unless given",
    )
    device: str = Field("FakeQuitoV2", description="a fake backend by its class name, or a snapshot's path (.json)")
    qubits: tuple[int, ...] | None = Field(None, description="physical qubits that a layout may use; all unless given")
    layout: Layout | None = Field(None, description="search circuits alone: physical qubits in order, or 'qiskit'")
    layers: tuple[tuple[int, ...], ...] | None = Field(
        None, description="search mappings alone: the circuit, as layout.json of an export writes it"
    )
    human_parameters: int | None = Field(
        None,
        ge=1,
        description="search mappings alone, of the human design: full-width layers of so many trained angles",
    )
    optimization_level: Literal[0, 1, 2, 3] = Field(2, description="Qiskit's, for mapping candidates and the export")
    transpiler_seed: int = Field(42, ge=0, lt=2**31)

    estimator: Literal["exact", "success_rate", "estnoise", "trajectories", "none"] = Field(
        "exact",
        description="how noise is judged: exactly (10 qubits at most), by success rate (all errors, or as the "
        "artifact's estnoise), by sampled trajectories, or not at all",
    )
    trajectories: int = Field(64, ge=2, description="sampled for every example; their standard error is a metric")
    noise_scales: tuple[float, ...] = Field((), description="judge under so many times the noise too; the worst counts")
    drifts: int = Field(0, ge=0, le=256, description="judge under so many drifted snapshots too; the worst counts")
    drift_spread: float = Field(0.2, ge=0, description="a drift multiplies every error and time by exp(spread N(0, 1))")
    drift_seed: int = Field(0, ge=0)

    data_seed: int = Field(1, ge=0, description="which examples train, validate and test")
    train_examples: int | None = Field(None, ge=1, description="the task's own number unless given")
    validation_examples: int | None = Field(None, ge=1)
    test_examples: int | None = Field(None, ge=1)

    sharpness: float = Field(4.0, gt=0, description="factor on the logits inside every training loss; 1 is the paper's")
    supercircuit_steps: int = Field(6000, ge=0, description="0 leaves the SuperCircuit at its random start")
    supercircuit_batch: int = Field(256, ge=1, description="training examples a step")
    supercircuit_learning_rate: float = Field(0.01, gt=0)
    subcircuits_per_step: int = Field(4, ge=1, description="SubCircuits whose gradients make one step")
    sampler: Literal["plain", "restricted", "gate_count", "expanding", "shrinking"] = Field(
        "shrinking", description="how they are drawn"
    )
    fine_tune_steps: int = Field(100, ge=0, description="steps on all training examples before a candidate is judged")
    fine_tune_learning_rate: float = Field(0.1, gt=0)
    ladder: bool = Field(
        False,
        description="a cheap stage first (a short fine-tuning, no noise, estimated routing), its best to the exact",
    )
    ladder_score: Literal["loss", "elivagar"] = Field(
        "loss", description="of the cheap stage: noise-free after fine-tuning, or Elivagar's rank, which trains nothing"
    )
    ladder_share: float = Field(0.25, gt=0, le=1, description="share of the cheap stage's designs that goes on")
    ladder_steps: int = Field(20, ge=0, description="fine-tuning steps of the cheap stage")
    ladder_examples: int = Field(128, ge=1, description="training examples that the cheap stage fine-tunes on")
    trained_share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of judged designs that is trained from scratch and judged again; none if unset",
    )
    scratch_steps: int = Field(1500, ge=1, description="steps of training a design from fresh weights, at export too")
    scratch_learning_rate: float = Field(0.02, gt=0)
    scratch_restarts: int = Field(3, ge=1, description="trainings at export; the best on validation examples is kept")
    prune_ratios: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (), description="shares of angles to prune after scratch training; the best on noisy validation is kept"
    )
    prune_steps: int = Field(600, ge=1, description="fine-tuning steps while pruning, the ramp in the first half")
    prune_learning_rate: float = Field(2e-3, gt=0)
    noise_aware_steps: int = Field(0, ge=0, description="steps through the device's noise, after scratch and pruning")
    noise_aware_learning_rate: float = Field(0.02, gt=0)

    @property
    def blocks(self) -> int:
        """Most blocks of a design."""
        return self.max_blocks or gate_set_of(self.gates).blocks(self.widths)

    @field_validator("gates")
    @classmethod
    def _offered_gates(cls, value: str) -> str:
        gate_set_of(value)
        return value

    @field_validator("data")
    @classmethod
    def _offered_data(cls, value: str) -> str:
        from coevo.spaces.quantumnas.tasks.catalogue import GIVEN, TASKS

        if value not in TASKS and value != GIVEN and not value.endswith((".npz", ".json")):
            raise unknown_name("data", value, TASKS, "option 'data'")
        return value

    @field_validator("noise_scales")
    @classmethod
    def _scales(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for scale in value:
            if not (math.isfinite(scale) and scale >= 0) or scale == 1 or value.count(scale) > 1:
                raise ValueError(
                    f"expected distinct noise scales of 0 or more, without 1 (the snapshot itself), got {list(value)}"
                )
        return value

    @model_validator(mode="after")
    def _depth_has_an_effect(self) -> Options:
        if self.artifact_depth and self.gates != "rxyz":
            raise ValueError(f"artifact_depth = true has no effect with gates = {self.gates!r}, only with 'rxyz'")
        return self

    @model_validator(mode="after")
    def _estimator_is_whole(self) -> Options:
        if (self.noise_scales or self.drifts) and self.estimator != "exact":
            raise ValueError(f'noise_scales and drifts need estimator = "exact", got {self.estimator!r}')
        if self.ladder and self.estimator not in ("exact", "trajectories"):
            raise ValueError(
                f"estimator = {self.estimator!r} is cheap itself; ladder = true leads to exact or trajectories"
            )
        for name, needed in (
            ("trajectories", self.estimator == "trajectories"),
            ("drift_spread", self.drifts > 0),
            ("drift_seed", self.drifts > 0),
        ):
            if not needed and getattr(self, name) != type(self).model_fields[name].default:
                what = 'estimator = "trajectories"' if name == "trajectories" else "drifts"
                raise ValueError(f"{name} = {getattr(self, name)} has no effect without {what}")
        return self

    @model_validator(mode="after")
    def _circuit_is_one(self) -> Options:
        if self.layers is not None and self.human_parameters is not None:
            raise ValueError("layers and human_parameters both give the circuit; leave one of them out")
        return self

    @model_validator(mode="after")
    def _ladder_is_whole(self) -> Options:
        if not self.ladder:
            for name, field in type(self).model_fields.items():
                if name.startswith("ladder_") and getattr(self, name) != field.default:
                    raise ValueError(f"{name} = {getattr(self, name)} has no effect without ladder = true")
        elif self.ladder_score == "elivagar":
            for name in ("ladder_steps", "ladder_examples"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f'{name} = {getattr(self, name)} has no effect with ladder_score = "elivagar", which trains '
                        "nothing"
                    )
        return self
