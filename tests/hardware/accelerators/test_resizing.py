"""Accelerators with other sizes: the energies are those that a file with those sizes would have."""

import re
from pathlib import Path

import pytest

from coevo.errors import InputError
from coevo.hardware.accelerators import ACCELERATORS, load_accelerator, load_resizable, parse_accelerator, reading

FOLDER = Path(reading.__file__).parent


@pytest.mark.parametrize("name", ACCELERATORS)
def test_the_same_sizes_give_the_same_accelerator(name):
    resizable = load_resizable(name)
    assert resizable.accelerator == load_accelerator(name)
    memories = resizable.accelerator.memories
    sizes = {memory.name: memory.partition_bytes or memory.size_bytes for memory in memories[1:]}
    assert resizable.resized(sizes) == resizable.accelerator


@pytest.mark.parametrize(
    ("name", "sizes", "old", "new"),
    [
        ("eyeriss", {"GLB": 65536}, 'size = "108 KiB"', 'size = "64 KiB"'),
        ("eyeriss", {"PE": (256.0, 32.0, None)}, 'size = { weights = "448 B", inputs = "24 B", outputs = "48 B" }',
         'size = { weights = "256 B", inputs = "32 B" }'),
        ("nvdla_256", {"CBUF": 32 * 1024}, 'size = "128 KiB"', 'size = "32 KiB"'),
        ("simba_like", {"PE": (1000, 2000, 3000)}, 'size = { weights = "32 KiB", inputs = "8 KiB", outputs = "3 KiB" }',
         'size = { weights = "1000 B", inputs = "2000 B", outputs = "3000 B" }'),
    ],
)  # fmt: skip
def test_other_sizes_cost_what_a_file_with_them_costs(name, sizes, old, new):
    text = (FOLDER / f"{name}.toml").read_text()
    assert old in text
    if (name, None) == ("eyeriss", dict(sizes).get("PE", (0,))[-1]):
        with pytest.raises(InputError, match="depends on the size of the memory, and this memory has none"):
            load_resizable(name).resized(sizes)
        return
    assert load_resizable(name).resized(sizes) == parse_accelerator(text.replace(old, new), f"{name}.toml")


def test_energies_that_the_file_states_stay(tmp_path):
    text = (FOLDER / "nvdla_256.toml").read_text()
    text = re.sub(r'(size = "128 KiB"\n)energy = "sram"', r'\1read_energy = "1 pJ/bit"\nwrite_energy = "sram"', text)
    (tmp_path / "chip.toml").write_text(text)
    resizable = load_resizable(tmp_path / "chip.toml")
    smaller = resizable.resized({"CBUF": 16384}).memories[1]
    assert smaller.read_pj_per_bit == (1, 1, 1)
    assert 0 < smaller.write_pj_per_bit[0] < resizable.accelerator.memories[1].write_pj_per_bit[0]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"GBL": 1024}, "unknown memory 'GBL' in eyeriss. Did you mean 'GLB'?"),
        ({"GLB": (1, 2, 3)}, "memory 'GLB' has one size, got (1, 2, 3)"),
        ({"PE": 512}, "memory 'PE' has one size a tensor, got 512"),
        ({"GLB": 0}, "holds for sizes of 1 to"),
        ({"GLB": 2.0**40}, "this memory has 1.09951e+12"),
    ],
)
def test_what_cannot_be_resized_is_told(sizes, said):
    with pytest.raises(InputError) as error:
        load_resizable("eyeriss").resized(sizes)
    assert said in str(error.value)
