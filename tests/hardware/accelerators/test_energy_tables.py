"""The bundled energy tables: values by hand, rules between points, and refusals."""

import pytest

from coevo.errors import ConfigError
from coevo.hardware.accelerators import load_energy_table
from coevo.hardware.accelerators.document import parse_document
from coevo.hardware.accelerators.energy_table import TABLES_FOLDER, parse_energy_table

NAMES = sorted(path.stem for path in TABLES_FOLDER.glob("*.toml"))
ON_CHIP_65_OVER_45 = (3.755 * 0.8**2 - 4.398 * 0.8 + 1.975) / (1.103 * 0.8**2 - 0.362 * 0.8 + 0.2767)

TABLE = """
unit = "pJ"
source = "by hand"

[[component]]
name = "sram"
bits = "16 bit"
between = "power"
smallest = "1 KiB"
largest = "64 KiB"
points = [{ size = "2 KiB", read = "1 pJ" }, { size = "8 KiB", read = "2 pJ" }, { size = "32 KiB", read = "6 pJ" }]
"""


@pytest.mark.parametrize("name", NAMES)
def test_each_names_itself_and_its_sources(name):
    table = load_energy_table(name)
    assert table.name == name
    assert all(component.source for component in table.components.values())
    assert "dram" in table.components


def test_eyeriss_relative_is_its_papers_table():
    table = load_energy_table("eyeriss-relative")
    found = {
        (name, action): table.pj_per_bit(name, action, mac_pj=16.0)
        for name, action in (("register_file", "read"), ("array", "hop"), ("sram", "write"), ("dram", "read"))
    }
    assert list(found.values()) == [1, 2, 6, 200]  # of a 16-bit word: pJ a bit at 16 pJ a MAC
    with pytest.raises(ConfigError, match="counts in units of one MAC; give the energy of a MAC in pJ"):
        table.pj_per_bit("dram", "read")


def test_timeloops_model_is_linear_in_the_size():
    table = load_energy_table("timeloop-pat")
    for kibibytes in (0.25, 0.5, 3, 100, 1000):
        expected = (6.0 - 1.0) / (100.0 - 0.5) * (kibibytes - 0.5) + 1.0
        assert table.pj_per_bit("sram", "read", kibibytes * 1024, mac_pj=16.0) == pytest.approx(expected)


def test_accelergys_reference_at_32_nm_is_that_of_the_golden_mapping():
    table = load_energy_table("accelergy-32nm")
    assert table.pj_per_bit("sram_128KiB", "read") == pytest.approx(18.18 / 64, rel=1e-3)
    assert table.pj_per_bit("dram", "write") == 8
    assert table.compute_pj("mac_8bit", (8, 8)) == 0.207692


@pytest.mark.parametrize("name", ["mixed-45nm", "mixed-65nm", "timeloop-pat"])
def test_a_larger_memory_is_never_cheaper(name):
    table = load_energy_table(name)
    for component in ("register_file", "sram"):
        energies = [table.pj_per_bit(component, "read", 2.0**power, mac_pj=1.0) for power in range(4, 26)]
        assert energies == sorted(energies)


@pytest.mark.parametrize("family", ["accelergy", "mixed"])
def test_65_nm_is_45_nm_scaled_on_the_chip_alone(family):
    fine, coarse = load_energy_table(f"{family}-45nm"), load_energy_table(f"{family}-65nm")
    assert set(fine.components) == set(coarse.components)
    for name, component in fine.components.items():
        factor = 1.0 if name == "dram" else ON_CHIP_65_OVER_45
        other = coarse.components[name]
        assert (component.bits, component.rule, component.range_bytes) == (other.bits, other.rule, other.range_bytes)
        for one, two in zip(component.points, other.points, strict=True):
            assert one.size_bytes == two.size_bytes
            for action, energy in one.energies.items():
                assert two.energies[action] == pytest.approx(factor * energy, rel=1e-5), (name, action)


def test_between_points_energies_follow_a_power_of_the_size():
    table = parse_energy_table(parse_document(TABLE, "t.toml"), "t")
    sizes = (1, 2, 4, 8, 16, 32, 64)
    found = [16 * table.pj_per_bit("sram", "read", size * 1024) for size in sizes]
    assert found == pytest.approx([1 / 2**0.5, 1, 2**0.5, 2, 2 * 3**0.5, 6, 6 * 3**0.5])
    for size in (1023, 64 * 1024 + 1):
        with pytest.raises(ConfigError, match=f"holds for sizes of 1024 to 65536 bytes, this memory has {size}"):
            table.pj_per_bit("sram", "read", size)
    with pytest.raises(ConfigError, match="depends on the size"):
        table.pj_per_bit("sram", "read")
    with pytest.raises(
        ConfigError, match=r"needs the action sram\.write, and the energy table 't' \(t\.toml\) has only sram\.read"
    ):
        table.pj_per_bit("sram", "write", 2048)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('unit = "pJ"', 'unit = "J"', "expected 'pJ' or 'MAC'"),
        ('unit = "pJ"', "", "'unit' is missing"),
        ('source = "by hand"', "", "'source' is missing"),
        ('bits = "16 bit"', "", "component 'sram': bits: is missing"),
        ('bits = "16 bit"', 'bits = "0 bit"', "expected a whole number of bits, got '0 bit'"),
        ('between = "power"', 'between = "cubic"', "expected one of linear, power, got 'cubic'"),
        ('between = "power"\n', "", "'between' is missing"),
        ('smallest = "1 KiB"\n', "", "smallest: expected the size"),
        ('size = "8 KiB"', 'size = "2 KiB"', "at least two points of rising size"),
        ('size = "8 KiB"', 'size = "0 KiB"', "expected a positive size"),
        ('read = "2 pJ"', 'write = "2 pJ"', "every point needs the same actions"),
        ('read = "2 pJ"', 'read = "0 pJ"', "energies of points must be positive"),
        ('read = "2 pJ"', 'read = "2 MAC"', "is a unit of relative energy"),
        (
            'read = "2 pJ"',
            'raed = "2 pJ"',
            "unknown key 'raed' in t.toml: component 'sram': point 1. Did you mean 'read'?",
        ),
        (', read = "2 pJ"', "", "point 1: expected at least one of read, write, hop, compute"),
        ('read = "2 pJ"', 'read = "2 pJ", rite = "2 pJ"', "unknown key 'rite'"),
        ('name = "sram"', "", "'name' is missing"),
        ("[[component]]", "[[components]]", "unknown key 'components' in t.toml. Did you mean 'component'?"),
    ],
)
def test_a_wrong_table_is_told(old, new, said):
    assert old in TABLE
    with pytest.raises(ConfigError) as error:
        parse_energy_table(parse_document(TABLE.replace(old, new, 1), "t.toml"), "t")
    assert str(error.value).startswith("t.toml") or "in t.toml" in str(error.value)
    assert said in str(error.value)


def test_unknown_tables():
    with pytest.raises(ConfigError, match=r"unknown energy table 'mixed-45'\. Did you mean 'mixed-45nm'\?"):
        load_energy_table("mixed-45")
