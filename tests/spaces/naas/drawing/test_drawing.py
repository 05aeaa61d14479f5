from xml.etree import ElementTree

import pytest

from coevo.cost_models.accelerator import Layer, Mapping, evaluate_mapping
from coevo.hardware.accelerators import Accelerator, Axis, Memory, Network
from coevo.spaces.naas.drawing import bar_lines, draw_chip, energy_by_level, nest_lines

ALL = ("weights", "inputs", "outputs")
CHIP = Accelerator(
    "chip",
    100,
    (8, 8, 8),
    0.5,
    (
        Memory("DRAM", ALL, read_pj_per_bit=(8.0,) * 3, write_pj_per_bit=(8.0,) * 3),
        Memory("GLB", ALL, size_bytes=65536, read_pj_per_bit=(1.0,) * 3, write_pj_per_bit=(1.0,) * 3,
               network=Network((Axis("rows", 4, ("C",)), Axis("columns", 40, ("K", "Y"))), pj_per_bit=0.01)),
        Memory("PE", ALL, partition_bytes=(64, 16, None), read_pj_per_bit=(0.1,) * 3, write_pj_per_bit=(0.1,) * 3),
    ),
)  # fmt: skip
LAYER = Layer("conv<1>", {"K": 32, "C": 16, "Y": 8, "X": 8, "R": 3, "S": 3})
MAPPING = Mapping(
    ((("K", 2), ("C", 2)), (("X", 8), ("C", 2)), (("R", 3), ("S", 3))),
    ((("C", 4),), (("K", 16), ("Y", 8))),
)


def test_the_nest_says_loops_holdings_and_what_stays():
    lines = nest_lines(LAYER, CHIP, MAPPING)
    assert lines[0].startswith("DRAM holds weights 4.5 KiB, inputs 1.562 KiB, outputs 2 KiB")
    assert [line.strip().split("   ")[0] for line in lines if line.strip().startswith("for ")] == [
        "for K in 2", "for C in 2", "for X in 8", "for C in 2", "for R in 3", "for S in 3",
    ]  # fmt: skip
    assert any("for C in 2   (outputs stay below)" in line for line in lines)
    assert "side by side along columns: K 16 x Y 8   (128 of 40)" in "\n".join(lines)  # drawn even where it is too much
    assert lines[-1].strip() == "multiply and add"


def test_bars_add_up_to_the_energy_of_the_evaluation():
    evaluation = evaluate_mapping(LAYER, CHIP, MAPPING)
    parts = energy_by_level(CHIP, [(evaluation, 3)])
    assert sum(parts.values()) == pytest.approx(3 * evaluation.energy_pj)
    lines = bar_lines(parts)
    assert len(lines) == len(parts)
    shares = [float(line.rsplit(None, 1)[1].rstrip("%")) for line in lines]
    assert sum(shares) == pytest.approx(100, abs=0.3)


def test_the_picture_is_well_formed_names_every_memory_and_escapes_names():
    evaluation = evaluate_mapping(LAYER, CHIP, MAPPING)
    picture = draw_chip(CHIP, energy_by_level(CHIP, [(evaluation, 1)]), nest_lines(LAYER, CHIP, MAPPING), LAYER.name)
    words = " ".join(ElementTree.fromstring(picture).itertext())
    for name in ("DRAM: no limit", "GLB: 64 KiB", "PE x 160", "rows: 4 along C", "columns: 40 along K/Y, 16 drawn",
                 "160 MAC units at 100 MHz", "conv<1>"):  # fmt: skip
        assert name in words
    assert picture == draw_chip(
        CHIP, energy_by_level(CHIP, [(evaluation, 1)]), nest_lines(LAYER, CHIP, MAPPING), LAYER.name
    )
