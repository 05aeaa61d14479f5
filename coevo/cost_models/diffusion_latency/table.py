"""A table of measured operations of a diffusion transformer, and what it predicts for a design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from coevo.errors import InputError

AROUND = ("text", "solver", "decode", "verify")
"""Operations around the network: the text's features, one step's update of the latents, images from latents, and the
verifier's verdict on images."""


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of one operation by the images that it takes at once.

    Attributes:
        images: ascending.
        ms: one for each.
    """

    images: tuple[int, ...]
    ms: tuple[float, ...]

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.images, self.images[1:], strict=False))
        fits = len(self.images) == len(self.ms) > 0 and self.images[0] >= 1
        if not fits or not ascending or not all(np.isfinite(each) and each >= 0 for each in self.ms):
            raise InputError(
                f"times of an operation are milliseconds from 0 up at ascending numbers of images, got {self.images} "
                f"and {self.ms}"
            )

    def at(self, images: int) -> float:
        """Linear between measured numbers of images. ValueError outside."""
        if not self.images[0] <= images <= self.images[-1]:
            raise ValueError(f"{images} images, measured were {self.images[0]} to {self.images[-1]}")
        return float(np.interp(images, self.images, self.ms))


@dataclass(frozen=True, slots=True)
class Network:
    """What one evaluation runs.

    Attributes:
        operations: how often each.
        blocks: of the transformer.
    """

    operations: Mapping[str, int]
    blocks: int


@dataclass(frozen=True, slots=True)
class Workload:
    """What one prompt takes.

    Attributes:
        network: of an evaluation.
        passes: images of an evaluation: samples, and as many again where guidance acts.
        steps: evaluations.
        samples: images to decode; of several a verifier picks one.
    """

    network: Network
    passes: int
    steps: int
    samples: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """evaluation = scale * table + block_ms * blocks + rest_ms, fitted on `networks` whole networks."""

    scale: float = 1.0
    block_ms: float = 0.0
    rest_ms: float = 0.0
    networks: int = 0
    error: float = 0.0
    """Mean absolute relative error on those networks."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Milliseconds for one prompt.

    Attributes:
        evaluation_ms: of the network, once.
        denoising_ms: the text, and all steps.
        decoding_ms: all samples.
        verifying_ms: all samples; 0 where there is one.
    """

    evaluation_ms: float
    denoising_ms: float
    decoding_ms: float
    verifying_ms: float

    @property
    def total_ms(self) -> float:
        return self.denoising_ms + self.decoding_ms + self.verifying_ms


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """Times of operations on one device.

    Attributes:
        device: its fingerprint; times of another device are other times.
        dtype: of the network, as "bfloat16".
        shape: what times depend on beside the choices (width, heads, tokens, ..), plain JSON.
        operations: by name; those of `AROUND` among them.
    """

    device: Mapping[str, Any]
    dtype: str
    shape: Mapping[str, Any]
    operations: Mapping[str, Times]
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        missing = [each for each in AROUND if each not in self.operations]
        if missing:
            raise InputError(f"a latency table of drawing images needs {', '.join(AROUND)}; missing: {missing}")

    def of_operations(self, network: Network, images: int) -> float:
        """The sum of a network's operations, without the calibration. InputError for what was not measured."""
        return sum(count * self._at(name, images) for name, count in network.operations.items())

    def evaluation_ms(self, network: Network, images: int) -> float:
        """One evaluation of a network for so many images."""
        found = self.calibration
        return found.scale * self.of_operations(network, images) + found.block_ms * network.blocks + found.rest_ms

    def predict(self, work: Workload) -> Prediction:
        """For one prompt. InputError for operations or numbers of images that were not measured."""
        evaluation = self.evaluation_ms(work.network, work.passes)
        denoising = self._at("text", 1) + work.steps * (evaluation + self._at("solver", work.samples))
        verifying = self._at("verify", work.samples) if work.samples > 1 else 0.0
        return Prediction(evaluation, denoising, self._at("decode", work.samples), verifying)

    def check_device(self, device: Mapping[str, Any], where: str = "the latency table") -> None:
        """InputError unless the fingerprint is the table's."""
        differing = [name for name in {**self.device, **device} if self.device.get(name) != device.get(name)]
        if differing:
            said = ", ".join(f"{name} {self.device.get(name)!r} there, {device.get(name)!r} here" for name in differing)
            raise InputError(f"{where} is of another device: {said}. Measure this one (coevo measure)")

    def check_shape(self, shape: Mapping[str, Any], dtype: str, where: str = "the latency table") -> None:
        """InputError unless width, tokens and all else are the table's."""
        mine, theirs = {**self.shape, "dtype": self.dtype}, {**shape, "dtype": dtype}
        differing = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
        if differing:
            said = ", ".join(f"{name} {mine.get(name)!r} there, {theirs.get(name)!r} here" for name in differing)
            raise InputError(f"{where} is of other networks: {said}. Measure again (coevo measure)")

    def to_json(self) -> dict[str, Any]:
        return {
            "device": dict(self.device),
            "dtype": self.dtype,
            "shape": dict(self.shape),
            "operations": {name: asdict(each) for name, each in sorted(self.operations.items())},
            "calibration": asdict(self.calibration),
        }

    def _at(self, name: str, images: int) -> float:
        if name not in self.operations:
            raise InputError(
                f"the latency table holds no times of {name!r} (it holds {', '.join(sorted(self.operations))}); "
                "measure again with what the space now has (coevo measure)"
            )
        try:
            return self.operations[name].at(images)
        except ValueError as error:
            raise InputError(f"outside the latency table: {name!r} at {error}; measure again (coevo measure)") from None
