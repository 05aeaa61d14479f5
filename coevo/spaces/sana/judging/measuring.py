"""A latency table of a space on this device, calibrated on whole networks of the space; a design's measured time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from coevo.cost_models.diffusion_latency import AROUND, LatencyTable, Prediction, Times, Workload, calibrate
from coevo.cost_models.fingerprint import fingerprint
from coevo.search.canonical import stream
from coevo.search.space import Space
from coevo.spaces.sana.design import Bounds, SanaDesign
from coevo.spaces.sana.judging.clock import Clock
from coevo.spaces.sana.judging.workload import (
    CROSS,
    GATE,
    NORM,
    attention_name,
    batch_sizes,
    ffn_name,
    network_of,
    shape_of,
    workload_of,
)
from coevo.spaces.sana.model import operations
from coevo.spaces.sana.model.block import SanaBlock
from coevo.spaces.sana.model.config import BlockConfig, SanaConfig
from coevo.spaces.sana.model.transformer import SanaTransformer

Progress = Callable[[float, float, str], None]
Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        networks: whole networks that calibrate the table.
        repeats: timings of each, of which the median counts.
    """

    networks: int = 12
    repeats: int = 5


def drawn_designs(bounds: Bounds, count: int, seed: int, purpose: str) -> list[SanaDesign]:
    """Random designs of the space, which follow from seed and purpose."""
    space = Space(bounds.id, bounds.build)
    return [space.build(space.sample(stream(seed, purpose, number))) for number in range(count)]


def space_table(
    bounds: Bounds, source: SanaConfig, clock: Clock, verifier: str, effort: Effort, *, seed: int = 0,
    progress: Progress = lambda *_: None,
) -> LatencyTable:  # fmt: skip
    """Measured with the clock.

    Args:
        verifier: what it is, in words.
    """
    sizes, found = batch_sizes(bounds), {}
    rows: dict[str, list[float]] = {}
    for number, images in enumerate(sizes):
        for name, work in _operations(bounds, source, clock, images).items():
            rows.setdefault(name, []).append(clock.work_ms(work))
        progress(number + 1, len(sizes), f"operations of {images} images")
    found = {name: Times(sizes, tuple(ms)) for name, ms in rows.items()}
    channels, samples = source.in_channels, bounds.samples
    found |= {
        "text": Times((1,), (clock.text_ms(),)),
        "solver": Times(samples, tuple(clock.solver_ms(channels, each) for each in samples)),
        "decode": Times(samples, tuple(clock.decode_ms(each) for each in samples)),
        "verify": Times(samples, tuple(clock.verify_ms(each) for each in samples)),
    }
    assert set(AROUND) <= set(found)
    table = LatencyTable(
        fingerprint(str(clock.device)), dtype_name(clock.dtype),
        shape_of(source, clock.size_px, clock.text_tokens, verifier), found,
    )  # fmt: skip
    designs = [bounds.largest, bounds.smallest, *drawn_designs(bounds, effort.networks - 2, seed, "calibration")]
    times = []
    for number, design in enumerate(designs):
        times.append(evaluation_ms(design, source, clock))
        progress(number + 1, len(designs), f"calibration: {times[-1]:.3g} ms an evaluation")
    networks = [network_of(each.network(source)) for each in designs]
    return calibrate(table, networks, [each.passes for each in designs], times)


def evaluation_ms(design: SanaDesign, source: SanaConfig, clock: Clock) -> float:
    """One evaluation of the design's network, with weights of a new one, for one prompt's passes."""
    return clock.evaluation_ms(_new(design.network(source), clock), design.passes)


def measured(design: SanaDesign, source: SanaConfig, clock: Clock) -> Prediction:
    """A design's time for one prompt with every part of it measured, the network as a whole."""
    evaluation = evaluation_ms(design, source, clock)
    denoising = clock.text_ms() + design.steps * (evaluation + clock.solver_ms(source.in_channels, design.samples))
    verifying = clock.verify_ms(design.samples) if design.samples > 1 else 0.0
    return Prediction(evaluation, denoising, clock.decode_ms(design.samples), verifying)


def predicted(table: LatencyTable, design: SanaDesign, source: SanaConfig) -> Prediction:
    """By the table."""
    work: Workload = workload_of(design, source)
    return table.predict(work)


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _new(config: SanaConfig, clock: Clock) -> SanaTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SanaTransformer(config)
    return model.to(clock.device, clock.dtype).eval().requires_grad_(False)


def _operations(bounds: Bounds, source: SanaConfig, clock: Clock, images: int) -> dict[str, Work]:
    """What the network's operations are, at so many images."""
    blocks = [BlockConfig(bounds.attention[0], ratio) for ratio in bounds.ffn_ratios]
    blocks += [BlockConfig(kind, bounds.ffn_ratios[0]) for kind in bounds.attention]
    model = _new(source.with_blocks(blocks), clock)
    given = clock.inputs(source, images)
    with torch.no_grad():
        stem = model.embed(*given)
    x, text, bias, grid = stem.tokens, stem.text, stem.text_mask, stem.grid
    row = stem.time_table[:, :1]
    first = model.blocks[0]
    assert isinstance(first, SanaBlock)
    made: dict[str, Work] = {
        "embed": lambda: model.embed(*given),
        "head": lambda: model.head(x, stem.time, grid),
        NORM: lambda: operations.modulated_norm(x, row, row),
        GATE: lambda: operations.gated_residual(x, row, x),
        CROSS: lambda: first.cross_attention(x, text, bias) + x,
    }
    for block, config in zip(model.blocks, blocks, strict=True):
        assert isinstance(block, SanaBlock)
        made[attention_name(config.attention)] = _call(block.attention, x)
        made[ffn_name(config.ffn_ratio)] = _call(block.ffn, x, grid)
    return {name: _without_gradient(work) for name, work in made.items()}


def _call(of: Callable[..., object], *given: object) -> Work:
    return lambda: of(*given)


def _without_gradient(work: Work) -> Work:
    def run() -> object:
        with torch.no_grad():
            return work()

    return run
