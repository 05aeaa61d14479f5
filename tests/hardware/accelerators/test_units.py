"""Quantities with units, and what is refused."""

import pytest

from coevo.errors import ConfigError
from coevo.hardware.accelerators.units import quantity


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("108 KiB", "size", 110592),
        ("108 kB", "size", 108000),
        ("1.5MiB", "size", 1572864),
        ("200 MHz", "frequency", 200),
        ("1 GHz", "frequency", 1000),
        ("0.21 pJ", "energy", 0.21),
        ("210 fJ", "energy", 0.21),
        ("6 MAC", "relative energy", 6),
        ("8 pJ/bit", "energy a bit", 8),
        ("8 pJ / B", "energy a bit", 1),
        ("512 pJ/64 bit", "energy a bit", 8),
        ("1 nJ/16 B", "energy a bit", 1000 / 128),
        ("16 B/cycle", "bandwidth", 16),
        ("64 bit/cycle", "bandwidth", 8),
        ("25.6 GB/s", "bandwidth", 25.6e9 / 200e6),
        ("8 Gbit/s", "bandwidth", 5),
        ("1.2 mW", "power", 1.2),
        ("500 uW", "power", 0.5),
        ("65 nm", "length", 65),
        ("16 bit", "width", 16),
        ("1e-3 pJ", "energy", 1e-3),
        (".5 pJ", "energy", 0.5),
        ("0 pJ/bit", "energy a bit", 0),
    ],
)
def test_quantities(text, kind, expected):
    assert quantity(text, kind, "here", clock_mhz=200) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (108, "size", "as text with its unit, got 108"),
        (True, "size", "got True"),
        ("108", "size", "without a unit"),
        ("KiB", "size", "got 'KiB'"),
        ("108 KB", "size", "ambiguous; write KiB"),
        ("108 Kib", "size", "did you mean 'KiB'?"),
        ("108 MHz", "size", "is a unit of frequency"),
        ("16 pJ", "energy a bit", "is a unit of energy"),
        ("16 pJ/bit", "energy", "is a unit of energy a bit"),
        ("16 pJ/0 bit", "energy a bit", "no unit"),
        ("16 parsec", "length", "no unit 'parsec' Known: nm, um"),
        ("16 B/s", "bandwidth", "no unit 'B/s'"),
        ("-1 pJ", "energy", "cannot be negative"),
        ("1e999 pJ", "energy", "cannot be negative or infinite"),
        ("16 bits", "width", "did you mean 'bit'?"),
    ],
)
def test_refusals_name_the_place_what_came_and_an_example(value, kind, said):
    with pytest.raises(ConfigError) as error:
        quantity(value, kind, "chip.toml: memory 'GLB': size", clock_mhz=200)
    assert str(error.value).startswith("chip.toml: memory 'GLB': size: expected a")
    assert said in str(error.value)
