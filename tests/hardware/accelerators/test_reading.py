"""Accelerators as TOML files: the bundled ones, round trips, and every wrong file told once."""

import dataclasses
import math
import tomllib
from pathlib import Path

import pytest

from coevo.cost_models.accelerator import Layer, Mapping, evaluate_mapping
from coevo.errors import ConfigError
from coevo.hardware.accelerators import (
    ACCELERATORS,
    Accelerator,
    Axis,
    Memory,
    Network,
    load_accelerator,
    parse_accelerator,
    write_accelerator,
)

CHIP = """
clock = "500 MHz"
bits = { weights = "8 bit", inputs = "16 bit", outputs = "16 bit" }
macs = 6
technology = "28 nm"

[mac]
energy = "0.2 pJ"
leakage = "1 uW"

[[memory]]
name = "DRAM"
keeps = ["weights", "inputs", "outputs"]
energy = "8 pJ/bit"
bandwidth = "1 GB/s"

[[memory]]
name = "buffer"
keeps = ["inputs", "outputs"]
size = "2 KiB"
read_energy = { inputs = "0.1 pJ/bit", outputs = "mixed-45nm/sram" }
write_energy = "1.6 pJ/16 bit"
read_bandwidth = "16 B/cycle"
double_buffered = true
leakage = "0.5 mW"
bits = { outputs = "24 bit" }

[memory.network]
energy = "0.01 pJ/bit"
multicast = false
bandwidth = "3 B/cycle"
axes = [{ name = "rows", size = 2, dimensions = ["C", "K"] }, { name = "columns", size = 3, dimensions = ["Y"] }]

[provenance]
buffer = "invented"
"""


def ones(accelerator):
    """Every loop at the outermost memory."""
    return Mapping(
        ((("N", 2), ("K", 3), ("C", 5), ("Y", 4), ("X", 4), ("R", 3), ("S", 3)),)
        + ((),) * (len(accelerator.memories) - 1),
        ((),) * len(accelerator.axes),
    )


LAYER = Layer("tiny", {"N": 2, "K": 3, "C": 5, "Y": 4, "X": 4, "R": 3, "S": 3})


def test_the_seven_are_there():
    assert set(ACCELERATORS) == {
        "edge_tpu", "eyeriss", "nvdla_1024", "nvdla_256", "shidiannao", "simba_like", "tpu_like",
    }  # fmt: skip


@pytest.mark.parametrize("name", ACCELERATORS)
def test_each_maps_a_layer_with_every_loop_at_dram(name):
    accelerator = load_accelerator(name)
    found = evaluate_mapping(LAYER, accelerator, ones(accelerator))
    assert found.valid, found.misfits
    assert found.macs == found.padded_macs and found.cycles >= found.macs
    assert all(access.energy_pj > 0 for access in found.accesses.values())


@pytest.mark.parametrize("name", ACCELERATORS)
def test_each_states_its_array_whole_and_where_figures_come_from(name):
    accelerator = load_accelerator(name)
    stated = tomllib.loads((Path(load_accelerator.__code__.co_filename).parent / f"{name}.toml").read_text())
    assert accelerator.name == name
    assert accelerator.mac_units == stated["macs"]
    assert "array" in accelerator.provenance and "mac: energy" in accelerator.provenance
    for memory in accelerator.memories[1:]:
        assert memory.name in accelerator.provenance, memory.name


@pytest.mark.parametrize(
    ("name", "macs", "axes"),
    [
        ("edge_tpu", 4096, (("C", 64), ("K", 64))),
        ("nvdla_1024", 1024, (("C", 64), ("K", 16))),
        ("nvdla_256", 256, (("C", 32), ("K", 8))),
        ("eyeriss", 168, (("R", 12), ("Y", 14))),
        ("shidiannao", 64, (("Y", 8), ("X", 8))),
    ],
)
def test_the_baselines_of_naas_have_their_parallel_dimensions(name, macs, axes):
    accelerator = load_accelerator(name)
    assert accelerator.mac_units == macs
    assert tuple((axis.dimensions[0], axis.size) for _, axis in accelerator.axes) == axes


def test_eyeriss_has_the_figures_of_its_paper():
    eyeriss = load_accelerator("eyeriss")
    glb, pe = eyeriss.memories[1:]
    assert eyeriss.clock_mhz == 200 and eyeriss.bits == (16, 16, 16)
    assert glb.size_bytes == 108 * 1024 and "weights" not in glb.keeps
    assert pe.partition_bytes == (448, 24, 48)  # 224, 12 and 24 words of 16 bit


@pytest.mark.parametrize("name", ACCELERATORS)
def test_round_trip_of_the_bundled_ones(name):
    accelerator = load_accelerator(name)
    assert parse_accelerator(write_accelerator(accelerator)) == accelerator


def test_every_field_is_read():
    found = parse_accelerator(CHIP, "chip.toml")
    assert found == Accelerator(
        name="chip",
        clock_mhz=500,
        bits=(8, 16, 16),
        mac_pj=0.2,
        mac_leakage_mw=1e-3,
        technology_nm=28,
        memories=(
            Memory(
                "DRAM",
                ("weights", "inputs", "outputs"),
                read_pj_per_bit=(8, 8, 8),
                write_pj_per_bit=(8, 8, 8),
                read_bytes_per_cycle=2,
                shared_port=True,
            ),
            Memory(
                "buffer",
                ("inputs", "outputs"),
                size_bytes=2048,
                read_pj_per_bit=(0, 0.1, found.memories[1].read_pj_per_bit[2]),
                write_pj_per_bit=(0.1, 0.1, 0.1),
                read_bytes_per_cycle=16,
                double_buffered=True,
                leakage_mw=0.5,
                bits=(None, None, 24),
                network=Network(
                    (Axis("rows", 2, ("C", "K")), Axis("columns", 3, ("Y",))),
                    multicast=False,
                    pj_per_bit=0.01,
                    bytes_per_cycle=3,
                ),
            ),
        ),
        provenance={"buffer": "invented", "memory 'buffer': read_energy: outputs": "mixed-45nm/sram"},
    )
    share = math.log(2048 / 384) / math.log(8192 / 384)  # between a register file and the smallest cache
    assert found.memories[1].read_pj_per_bit[2] == pytest.approx(1.586 / 16 * (2.5 / 1.586) ** share)


def test_round_trip_of_every_field():
    full = parse_accelerator(CHIP, "chip.toml")
    assert parse_accelerator(write_accelerator(full)) == full
    partition = dataclasses.replace(full.memories[1], size_bytes=None, partition_bytes=(None, 0.1 + 0.2, 7))
    bare = Network(full.memories[1].network.axes, reduction=False)
    odd = dataclasses.replace(
        full,
        clock_mhz=1 / 3,
        technology_nm=None,
        provenance={},
        memories=(dataclasses.replace(full.memories[0], read_pj_per_bit=(1 / 3, 1e-9, 1e6)),
                  dataclasses.replace(partition, network=bare, write_bytes_per_cycle=1 / 7)),
    )  # fmt: skip
    assert parse_accelerator(write_accelerator(odd)) == odd


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('clock = "500 MHz"\n', "", "chip.toml: clock: expected a frequency"),
        ('clock = "500 MHz"', 'clock = "500 KiB"', "expected a frequency such as '200 MHz', got '500 KiB'"),
        ('clock = "500 MHz"', 'clock = "0 MHz"', "chip.toml: clock: expected a frequency"),
        ('clock = "500 MHz"', 'clok = "500 MHz"', "unknown key 'clok' in chip.toml. Did you mean 'clock'?"),
        ("macs = 6", "macs = 5", "rows 2 x columns 3 is an array of 6 MAC units, larger than the stated 5"),
        ("macs = 6", "macs = 0", "chip.toml: macs: expected a whole number of at least 1, got 0"),
        ("macs = 6", "macs = true", "got True"),
        ("macs = 6", "", "'macs' is missing"),
        ('size = "2 KiB"', 'size = "0 KiB"', "memory 'buffer': size: expected a positive size, got '0 KiB'"),
        ('size = "2 KiB"', 'size = "2048"', "size: expected a size such as '108 KiB', got '2048' without"),
        ('size = "2 KiB"', "size = 2048", "as text with its unit, got 2048"),
        ('size = "2 KiB"', 'size = { inputs = "0 B" }', "size: inputs: expected a positive size"),
        ('size = "2 KiB"', 'size = { input = "9 B" }', "unknown key 'input'"),
        ('size = "2 KiB"', 'syze = "2 KiB"', "unknown key 'syze' in chip.toml: memory 'buffer'. Did you mean 'size'?"),
        ('dimensions = ["Y"]', "dimensions = []", "axis 'columns': loops along it must be some of N, G"),
        ('dimensions = ["Y"]', 'dimensions = ["Z"]', "unknown name 'Z' in chip.toml: memory 'buffer': network"),
        ("size = 3", "size = 0", "axis 'columns': size: expected a whole number of at least 1, got 0"),
        ('keeps = ["inputs", "outputs"]', 'keeps = ["input"]', "unknown name 'input'"),
        ('keeps = ["inputs", "outputs"]', 'keeps = ["inputs", "inputs"]', "stands twice"),
        ('keeps = ["weights", "inputs", "outputs"]', 'keeps = ["weights"]', "must keep all tensors"),
        ('energy = "0.2 pJ"\n', "", "chip.toml: mac: 'energy' is missing"),
        ('energy = "8 pJ/bit"\n', "", "memory 'DRAM': 'energy' is missing"),
        ('energy = "8 pJ/bit"', 'energy = "dram"', "name the table by energy_table"),
        ('energy = "8 pJ/bit"', 'energy = "mixed-45nm/dran"', "no component 'dran'; did you mean 'dram'?"),
        ('energy = "8 pJ/bit"', 'energy = "mixed-44nm/dram"', "unknown energy table 'mixed-44nm'. Did you mean 'mixed"),
        ('energy = "8 pJ/bit"', 'energy = "mixed-45nm/sram"', "depends on the size of the memory, and this"),
        ('energy = "8 pJ/bit"', 'energy = "mixed-45nm/mac_8bit"', "needs the action mac_8bit.read, and the energy"),
        ('energy = "0.01 pJ/bit"\n', "", "memory 'buffer': network: 'energy' is missing"),
        ('energy = "0.01 pJ/bit"', 'energy = "mixed-45nm/sram"', "needs the action sram.hop"),
        ('bandwidth = "3 B/cycle"', 'bandwidth = "0 B/cycle"', "network: bandwidth: expected a positive bandwidth"),
        ('read_bandwidth = "16 B/cycle"', 'read_bandwidth = "0 B/cycle"', "must be positive, got 0"),
        ('read_bandwidth', 'bandwidth = "1 B/cycle"\nread_bandwidth', "is of reads and writes together"),
        ('outputs = "24 bit"', 'outputs = "65 bit"', "expected a whole width of 1 to 64 bit"),
        ('outputs = "24 bit"', 'outputs = "1.5 bit"', "expected a whole width"),
        ("double_buffered = true", 'double_buffered = "yes"', "expected true or false, got 'yes'"),
        ('name = "buffer"', 'name = "DRAM"', "memories need distinct names"),
        ("[provenance]", "[provenence]", "unknown key 'provenence'"),
        ("[provenance]\nbuffer = \"invented\"", "[provenance]\nbuffer = 3", "expected a text, got 3"),
        ("macs = 6", "macs = ", "chip.toml: not valid TOML"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_by_file_key_and_what_is_expected(old, new, said):
    assert old in CHIP
    with pytest.raises(ConfigError) as error:
        parse_accelerator(CHIP.replace(old, new, 1), "chip.toml")
    assert said in str(error.value)
    assert "chip.toml" in str(error.value) or "energy table" in str(error.value)


def test_a_table_in_units_of_a_mac_needs_the_energy_of_one():
    text = CHIP.replace('energy = "0.2 pJ"', 'energy = "timeloop-pat/mac"')
    with pytest.raises(ConfigError, match=r"needs the action mac\.compute"):
        parse_accelerator(text, "chip.toml")
    relative = CHIP.replace('energy = "8 pJ/bit"', 'energy = "eyeriss-relative/dram"')
    assert parse_accelerator(relative, "chip.toml").memories[0].read_pj_per_bit == pytest.approx([200 * 0.2 / 16] * 3)


def test_a_mac_of_another_width_is_refused():
    with pytest.raises(
        ConfigError, match="is for operands of 16 bit, the accelerator has weights of 8 bit and inputs of 16"
    ):
        parse_accelerator(CHIP.replace('energy = "0.2 pJ"', 'energy = "mixed-45nm/mac_16bit"'), "chip.toml")


def test_a_file_of_ones_own_and_its_table(tmp_path):
    table = (
        'unit = "pJ"\nsource = "mine"\n[[component]]\nname = "dram"\nbits = "32 bit"\nread = "64 pJ"\nwrite = "96 pJ"\n'
    )
    (tmp_path / "mine.toml").write_text(table)
    chip = CHIP.replace("macs = 6", 'macs = 6\nenergy_table = "mine.toml"').replace('"8 pJ/bit"', '"dram"')
    (tmp_path / "chip.toml").write_text(chip)
    found = load_accelerator(tmp_path / "chip.toml")
    assert found.name == "chip"
    assert found.memories[0].read_pj_per_bit == (2, 2, 2) and found.memories[0].write_pj_per_bit == (3, 3, 3)
    (tmp_path / "mine.toml").write_text(table.replace('write = "96 pJ"\n', ""))
    with pytest.raises(
        ConfigError, match=r"memory 'DRAM': energy: needs the action dram\.write, and the energy table 'mine'"
    ):
        load_accelerator(tmp_path / "chip.toml")


@pytest.mark.parametrize("table", ["mixed-45nm", "mixed-65nm"])
def test_all_seven_can_be_compared_on_one_table(table):
    for name in ACCELERATORS:
        accelerator = load_accelerator(name, energy_table=table)
        assert accelerator.memories[0].read_pj_per_bit == (8, 8, 8)  # the table's DRAM
        assert accelerator.provenance["memory 'DRAM': energy"] == f"{table}/dram"


def test_another_table_than_the_file_names():
    first, second = load_accelerator("nvdla_256"), load_accelerator("nvdla_256", energy_table="mixed-65nm")
    assert second.memories[0] == first.memories[0]  # DRAM does not scale
    assert second.memories[1].read_pj_per_bit[0] == pytest.approx(
        1.24065 * first.memories[1].read_pj_per_bit[0], rel=1e-4
    )
    with pytest.raises(ConfigError, match="'eyeriss-relative'"):
        load_accelerator("nvdla_256", energy_table="eyeriss-relative")


def test_names_that_nobody_offers(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown accelerator 'eyeris'\. Did you mean 'eyeriss'\?"):
        load_accelerator("eyeris")
    (tmp_path / "chip.toml").write_text(CHIP)
    with pytest.raises(ConfigError, match=r"no file '.*chp\.toml'\. Did you mean 'chip\.toml'?"):
        load_accelerator(tmp_path / "chp.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read"):
        load_accelerator(tmp_path / "binary.toml")
