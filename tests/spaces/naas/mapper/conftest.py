"""Two accelerators of the kinds that the mapper meets: a tensor passes the buffer by, and none does."""

import pytest

from coevo.hardware.accelerators import Accelerator, Axis, Memory, Network

ALL = ("weights", "inputs", "outputs")


@pytest.fixture(scope="session")
def row_stationary():
    """Weights pass the global buffer by; three small memories in each of 12 x 14 processing elements."""
    return Accelerator(
        "row-stationary", 200, (8, 8, 8), 0.2,
        (
            Memory("DRAM", ALL, read_pj_per_bit=(8,) * 3, write_pj_per_bit=(8,) * 3, read_bytes_per_cycle=16,
                   shared_port=True),
            Memory("GLB", ("inputs", "outputs"), size_bytes=16 * 1024, read_pj_per_bit=(0, 0.28, 0.28),
                   write_pj_per_bit=(0, 0.22, 0.22), read_bytes_per_cycle=16, shared_port=True, leakage_mw=1.0,
                   network=Network((Axis("columns", 14, ("Y", "X", "K")), Axis("rows", 12, ("R", "S", "C", "K"))),
                                   pj_per_bit=0.05)),
            Memory("PE", ALL, partition_bytes=(448, 24, 48), read_pj_per_bit=(0.12, 0.013, 0.03),
                   write_pj_per_bit=(0.11, 0.011, 0.027)),
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def vector_array():
    """All tensors are in the buffer; 16 x 64 MAC units share words and add up; wide sums wait in registers."""
    return Accelerator(
        "vector-array", 1000, (8, 8, 8), 0.2,
        (
            Memory("DRAM", ALL, read_pj_per_bit=(8,) * 3, write_pj_per_bit=(8,) * 3, read_bytes_per_cycle=20,
                   write_bytes_per_cycle=20),
            Memory("CBUF", ALL, size_bytes=512 * 1024, read_pj_per_bit=(0.6,) * 3, write_pj_per_bit=(0.5,) * 3,
                   double_buffered=True, network=Network((Axis("kernels", 16, ("K", "G")),), bytes_per_cycle=128)),
            Memory("registers", ("weights", "outputs"), partition_bytes=(64, None, 128), bits=(None, None, 32),
                   read_pj_per_bit=(0.02,) * 3, write_pj_per_bit=(0.02,) * 3,
                   network=Network((Axis("channels", 64, ("C",)),))),
        ),
    )  # fmt: skip


@pytest.fixture(params=["row_stationary", "vector_array"])
def accelerator(request):
    return request.getfixturevalue(request.param)
