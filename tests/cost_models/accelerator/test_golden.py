"""The counts and energies that Timeloop and Accelergy published for their Eyeriss-like example (layer of 3 to 32
channels, 112 x 112 outputs, 3 x 3 kernel, stride 2, 8 bits): timeloop-accelergy-exercises, eyeriss_like, default."""

import pytest

from coevo.cost_models.accelerator import Layer, Mapping, evaluate_mapping
from coevo.hardware.accelerators import Accelerator, Axis, Memory, Network

LAYER = Layer("conv", {"C": 3, "K": 32, "Y": 112, "X": 112, "R": 3, "S": 3}, stride=(2, 2))

EYERISS_LIKE = Accelerator(
    name="eyeriss_like",
    clock_mhz=200,
    bits=(8, 8, 8),
    mac_pj=0.2077,
    memories=(
        Memory("DRAM", ("weights", "inputs", "outputs"), read_pj_per_bit=(8, 8, 8), write_pj_per_bit=(8, 8, 8)),
        Memory(
            "GLB",
            ("inputs", "outputs"),
            size_bytes=128 * 1024,
            read_pj_per_bit=(0, 18.18 / 64, 18.18 / 64),
            write_pj_per_bit=(0, 14.14 / 64, 14.14 / 64),
            network=Network((Axis("columns", 14, ("Y", "X", "K")), Axis("rows", 12, ("R", "S", "C", "K")))),
        ),
        Memory(
            "PE",
            ("weights", "inputs", "outputs"),
            partition_bytes=(448, 24, 48),
            read_pj_per_bit=(1.977 / 16, 0.202 / 16, 0.251 / 8),
            write_pj_per_bit=(1.882 / 16, 0.177 / 16, 0.219 / 8),
        ),
    ),
)

MAPPING = Mapping(
    temporal=(
        (("Y", 8), ("X", 2), ("K", 4)),
        (("Y", 14), ("X", 4)),
        (("R", 3), ("K", 8)),
    ),
    spatial=((("X", 14),), (("C", 3), ("S", 3))),
)
PES = 126


@pytest.fixture(scope="module")
def evaluation():
    return evaluate_mapping(LAYER, EYERISS_LIKE, MAPPING)


def test_ten_counts(evaluation):
    reads = {key: access.reads for key, access in evaluation.accesses.items()}
    writes = {key: access.writes for key, access in evaluation.accesses.items()}
    assert evaluation.valid, evaluation.misfits
    assert {
        "macs": evaluation.padded_macs,
        "cycles": evaluation.cycles,
        "DRAM weight reads": reads["DRAM", "weights"],
        "DRAM input reads": reads["DRAM", "inputs"],
        "GLB input fills": writes["GLB", "inputs"],
        "DRAM output updates": writes["DRAM", "outputs"],
        "GLB input reads": reads["GLB", "inputs"],
        "weight fills a PE": writes["PE", "weights"] / PES,
        "input fills a PE": writes["PE", "inputs"] / PES,
        "sum updates a PE": writes["PE", "outputs"] / PES,
        "sum reads a PE": reads["PE", "outputs"] / PES,
    } == {
        "macs": 10_838_016,
        "cycles": 86_016,
        "DRAM weight reads": 13_824,
        "DRAM input reads": 157_296,
        "GLB input fills": 157_296,
        "DRAM output updates": 401_408,
        "GLB input reads": 1_354_752,
        "weight fills a PE": 1_536,
        "input fills a PE": 10_752,
        "sum updates a PE": 86_016,
        "sum reads a PE": 57_344,
    }


def test_six_energies_within_a_third_of_a_percent(evaluation):
    femtojoules = {
        "mac": evaluation.compute_pj,
        "psum": evaluation.accesses["PE", "outputs"].energy_pj,
        "weights": evaluation.accesses["PE", "weights"].energy_pj,
        "inputs": evaluation.accesses["PE", "inputs"].energy_pj,
        "GLB": sum(evaluation.accesses["GLB", tensor].energy_pj for tensor in ("inputs", "outputs")),
        "DRAM": sum(evaluation.accesses["DRAM", tensor].energy_pj for tensor in ("weights", "inputs", "outputs")),
    }
    found = {name: energy * 1000 / evaluation.padded_macs for name, energy in femtojoules.items()}
    published = {"mac": 207.69, "psum": 386.77, "weights": 1006.69, "inputs": 112.37, "GLB": 375.27, "DRAM": 3380.86}
    assert found == pytest.approx(published, rel=0.003)
    assert evaluation.energy_pj / 1e6 == pytest.approx(59.28, rel=0.003)
