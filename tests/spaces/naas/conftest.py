"""A small Eyeriss-like chip whose figures are made up to be easy to follow."""

import pytest

from coevo.hardware.accelerators import Accelerator, Axis, Memory, Network

ALL = ("weights", "inputs", "outputs")

SMALL = Accelerator(
    name="small",
    clock_mhz=200,
    bits=(8, 8, 8),
    mac_pj=0.25,
    memories=(
        Memory("DRAM", ALL, read_pj_per_bit=(8, 8, 8), write_pj_per_bit=(8, 8, 8), read_bytes_per_cycle=4,
               write_bytes_per_cycle=4, shared_port=True),
        Memory("GLB", ("inputs", "outputs"), size_bytes=4096, read_pj_per_bit=(0.4,) * 3, write_pj_per_bit=(0.4,) * 3,
               leakage_mw=0.5,
               network=Network((Axis("rows", 4, ("R", "C")), Axis("columns", 6, ("Y", "K"))), bytes_per_cycle=8)),
        Memory("PE", ALL, partition_bytes=(64, 16, 16), read_pj_per_bit=(0.05, 0.025, 0.025),
               write_pj_per_bit=(0.05, 0.025, 0.025)),
    ),
)  # fmt: skip


@pytest.fixture(scope="session")
def small_chip():
    return SMALL
