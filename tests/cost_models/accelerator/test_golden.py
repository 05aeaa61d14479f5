"""The counts and energies that Timeloop and Accelergy published for their Eyeriss-like example (layer of 3 to 32
channels, 112 x 112 outputs, 3 x 3 kernel, stride 2, 8 bits): timeloop-accelergy-exercises, eyeriss_like, default."""

import dataclasses

import pytest

from coevo.cost_models.accelerator import Layer, Mapping, evaluate_mapping
from coevo.hardware.accelerators import Accelerator, Axis, Memory, Network

LAYER = Layer("conv", {"C": 3, "K": 32, "Y": 112, "X": 112, "R": 3, "S": 3}, stride=(2, 2))

# timeloop-mapper.ERT.yaml beside the published statistics (timeloop-accelergy-exercises, commit ac42b269, 0.4 tables of
# Accelergy for 65 nm): pJ an access of a whole vector (block), pJ a cycle of one instance for leakage at 1 ns.
DRAM_PJ = 512.0  # 64 bits
GLB_READ_PJ, GLB_WRITE_PJ, GLB_LEAK_PJ = 18.183829, 14.137929, 0.005652  # 64 bits
WEIGHT_READ_PJ, WEIGHT_WRITE_PJ, WEIGHT_LEAK_PJ = 1.976602, 1.881657, 0.001592  # 16 bits
INPUT_READ_PJ, INPUT_WRITE_PJ, INPUT_LEAK_PJ = 0.202442, 0.176713, 0.000101  # 16 bits
SUM_READ_PJ, SUM_WRITE_PJ, SUM_LEAK_PJ = 0.2513, 0.2191, 0.000134  # one sum, 16 bits
MAC_PJ = 0.207692

EYERISS_LIKE = Accelerator(
    name="eyeriss_like",
    clock_mhz=1000,
    bits=(8, 8, 8),
    mac_pj=MAC_PJ,
    memories=(
        Memory(
            "DRAM",
            ("weights", "inputs", "outputs"),
            read_pj_per_bit=(DRAM_PJ / 64,) * 3,
            write_pj_per_bit=(DRAM_PJ / 64,) * 3,
        ),
        Memory(
            "GLB",
            ("inputs", "outputs"),
            size_bytes=128 * 1024,
            read_pj_per_bit=(0, GLB_READ_PJ / 64, GLB_READ_PJ / 64),
            write_pj_per_bit=(0, GLB_WRITE_PJ / 64, GLB_WRITE_PJ / 64),
            network=Network((Axis("columns", 14, ("Y", "X", "K")), Axis("rows", 12, ("R", "S", "C", "K")))),
        ),
        Memory(
            "PE",
            ("weights", "inputs", "outputs"),
            partition_bytes=(384, 24, 32),
            bits=(None, None, 16),
            read_pj_per_bit=(WEIGHT_READ_PJ / 16, INPUT_READ_PJ / 16, SUM_READ_PJ / 16),
            write_pj_per_bit=(WEIGHT_WRITE_PJ / 16, INPUT_WRITE_PJ / 16, SUM_WRITE_PJ / 16),
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


def energies_pj(evaluation):
    return {
        "psum": evaluation.accesses["PE", "outputs"].energy_pj,
        "weights": evaluation.accesses["PE", "weights"].energy_pj,
        "inputs": evaluation.accesses["PE", "inputs"].energy_pj,
        "GLB": sum(evaluation.accesses["GLB", tensor].energy_pj for tensor in ("inputs", "outputs")),
        "DRAM": sum(evaluation.accesses["DRAM", tensor].energy_pj for tensor in ("weights", "inputs", "outputs")),
        "mac": evaluation.compute_pj,
    }


def test_energies_of_accesses_to_the_last_published_digit(evaluation):
    """`Energy (total)` of each component in timeloop-mapper.stats.txt, which are printed to 0.01 pJ."""
    published = {
        "psum": 4190338.25,
        "weights": 10893306.24,
        "inputs": 1216735.96,
        "GLB": 3357302.30 + 709384.73,
        "DRAM": 884736.00 + 10066944.00 + 25690112.00,
        "mac": 2250969.22,
    }
    assert energies_pj(evaluation) == pytest.approx(published, abs=0.011)


@pytest.mark.parametrize(("instances", "tolerance"), [(PES, 5e-5), (168, 2e-3)])
def test_six_energies_with_leakage(evaluation, instances, tolerance):
    """The summary in fJ a MAC adds the leakage of memories in use (126 PEs; units that idle are gated), none of MACs.
    Our model lets all 168 PEs leak: that too stays within 0.2 %."""
    leakage_pj_per_cycle = {"psum": SUM_LEAK_PJ, "weights": WEIGHT_LEAK_PJ, "inputs": INPUT_LEAK_PJ}
    found = energies_pj(evaluation)
    for name, leak in leakage_pj_per_cycle.items():
        found[name] += leak * instances * evaluation.cycles
    found["GLB"] += GLB_LEAK_PJ * evaluation.cycles
    found = {name: energy * 1000 / evaluation.padded_macs for name, energy in found.items()}
    published = {"mac": 207.69, "psum": 386.77, "weights": 1006.69, "inputs": 112.37, "GLB": 375.27, "DRAM": 3380.86}
    assert found == pytest.approx(published, rel=tolerance)
    assert sum(found.values()) == pytest.approx(5469.65, rel=tolerance)
    assert sum(found.values()) * evaluation.padded_macs / 1e9 == pytest.approx(59.28, rel=1e-3)


def test_leakage_of_the_whole_chip_is_that_of_its_parts():
    """What the table leaks, as the accelerator's own: pJ a cycle at 1 ns are mW."""
    memories = list(EYERISS_LIKE.memories)
    memories[1] = dataclasses.replace(memories[1], leakage_mw=GLB_LEAK_PJ)
    memories[2] = dataclasses.replace(memories[2], leakage_mw=WEIGHT_LEAK_PJ + INPUT_LEAK_PJ + SUM_LEAK_PJ)
    leaking = dataclasses.replace(EYERISS_LIKE, memories=tuple(memories))
    evaluation = evaluate_mapping(LAYER, leaking, MAPPING)
    expected = 86_016 * (GLB_LEAK_PJ + 168 * (WEIGHT_LEAK_PJ + INPUT_LEAK_PJ + SUM_LEAK_PJ))
    assert evaluation.leakage_pj == pytest.approx(expected)
    assert evaluation.energy_pj * 1000 / evaluation.padded_macs == pytest.approx(5469.65, rel=2e-3)
