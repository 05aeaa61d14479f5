"""Why a mapping is not valid: which memory, which tensor, how many bytes over; which axis; which loop."""

import dataclasses

import pytest

from coevo.cost_models.accelerator import Layer, Mapping, evaluate_mapping
from coevo.hardware.accelerators import Accelerator, Axis, Memory, Network

ALL = ("weights", "inputs", "outputs")
LAYER = Layer("conv", {"K": 8, "C": 6, "Y": 10, "X": 10, "R": 3, "S": 3})
CHIP = Accelerator(
    "chip",
    200,
    (8, 16, 32),
    1.0,
    (
        Memory("DRAM", ALL),
        Memory("buffer", ("inputs", "outputs"), size_bytes=2000, network=Network((Axis("rows", 4, ("K", "C")),))),
        Memory("PE", ALL, partition_bytes=(100, 40, None)),
    ),
)


def mapping(buffer=(), pe=(), rows=(), dram=None):
    """What is not mapped further in runs over the DRAM."""
    inside = {}
    for name, bound in (*buffer, *pe, *rows):
        inside[name] = inside.get(name, 1) * bound
    outer = tuple((name, -(-size // inside.get(name, 1))) for name, size in LAYER.sizes.items())
    return Mapping((outer if dram is None else dram, tuple(buffer), tuple(pe)), (tuple(rows),))


def test_a_mapping_that_fits_has_no_reasons():
    evaluation = evaluate_mapping(LAYER, CHIP, mapping(buffer=[("Y", 5)], pe=[("R", 3)], rows=[("K", 4)]))
    assert evaluation.valid
    assert evaluation.misfits == ()


def test_tiles_that_are_too_large_are_named_with_the_bytes_that_are_missing():
    # buffer: inputs 6 x 12 x 12 of 2 bytes, outputs 10 x 10 of 4; PE: weights 6 x 9 of 1 byte, inputs 6 x 9 of 2 bytes
    evaluation = evaluate_mapping(
        LAYER, CHIP, mapping(buffer=[("Y", 10), ("X", 10)], pe=[("C", 6), ("R", 3), ("S", 3)])
    )
    assert not evaluation.valid
    assert evaluation.misfits == (
        f"buffer: the tiles together exceed its size by {6 * 144 * 2 + 400 - 2000} bytes",
        f"PE: inputs exceed its size by {6 * 9 * 2 - 40} bytes",
    )


def test_a_tensor_that_passes_by_takes_no_room():
    """288 bytes of weights pass the buffer, which keeps 162 x 2 bytes of inputs and 144 x 4 of outputs."""
    small = dataclasses.replace(CHIP.memories[1], size_bytes=400)
    chip = dataclasses.replace(CHIP, memories=(CHIP.memories[0], small, CHIP.memories[2]))
    found = evaluate_mapping(LAYER, chip, mapping(buffer=[("K", 8), ("C", 6), ("R", 3), ("S", 3)]))
    assert found.misfits == ()  # inputs 6 x 9 of 2 bytes, outputs 8 of 4


def test_half_of_a_double_buffered_memory_is_there_for_the_next_tile():
    doubled = dataclasses.replace(CHIP.memories[1], double_buffered=True)
    chip = dataclasses.replace(CHIP, memories=(CHIP.memories[0], doubled, CHIP.memories[2]))
    fits = mapping(buffer=[("K", 8), ("Y", 10), ("X", 3)])  # inputs 10 x 3 of 2 bytes, outputs 240 of 4: 1020 bytes
    assert evaluate_mapping(LAYER, CHIP, fits).valid
    assert evaluate_mapping(LAYER, chip, fits).misfits == (
        "buffer: the tiles together exceed half of its size by 20 bytes (it is double buffered)",
    )


@pytest.mark.parametrize("rows", [[("K", 8)], [("K", 4), ("C", 2)], [("Y", 2)]])
def test_loops_that_an_axis_does_not_take(rows):
    given = " x ".join(f"{name}{bound}" for name, bound in rows)
    found = evaluate_mapping(LAYER, CHIP, mapping(rows=rows))
    assert found.misfits == (f"axis buffer.rows: {given} does not fit 4 children that take K, C",)


def test_loops_that_no_bound_covers():
    dram = (("K", 8), ("C", 6), ("Y", 10), ("X", 9), ("R", 3))
    found = evaluate_mapping(LAYER, CHIP, mapping(dram=dram))
    assert found.misfits == ("loop X: its bounds cover 9 of 10", "loop S: its bounds cover 1 of 3")


def test_every_reason_is_given_at_once():
    found = evaluate_mapping(LAYER, CHIP, mapping(dram=(), buffer=[("Y", 20), ("X", 60)], rows=[("K", 16)]))
    words = [reason.split(":")[0] for reason in found.misfits]
    assert words == ["buffer", "axis buffer.rows", "loop C", "loop R", "loop S"]
