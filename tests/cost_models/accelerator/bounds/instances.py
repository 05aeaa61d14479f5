"""Random accelerators and mappings for the tests of bounds."""

import itertools

import numpy as np

from coevo.cost_models.accelerator import Assumptions
from coevo.hardware.accelerators import Accelerator, Axis, Memory, Network
from coevo.kernels.mapping_cost import MappingArrays

SWITCHES = [Assumptions(*switches) for switches in itertools.product([False, True], repeat=5)]
ALL = ("weights", "inputs", "outputs")


def random_accelerator(random, sized=False):
    """Three memories, two axes, anything kept anywhere; `sized`: the inner memories have small sizes."""

    def rates():
        return {"read_bytes_per_cycle": float(random.choice([1, 4, 64])), "shared_port": bool(random.random() < 0.5)}

    def network(axes):
        return Network(axes, bool(random.random() < 0.7), bool(random.random() < 0.7), float(random.random()))

    def energies():
        return {
            "read_pj_per_bit": tuple(random.random(3).tolist()),
            "write_pj_per_bit": tuple(random.random(3).tolist()),
        }

    loops = [tuple(random.choice(list("NGKCYXRS"), 3, replace=False).tolist()) for _ in range(2)]
    kept = [tuple(name for name in ALL if random.random() < 0.7) for _ in range(2)]
    shared = int(random.integers(40, 400)) if sized else None
    parts = tuple(random.integers(4, 40, 3).tolist()) if sized else None
    outer = Memory("DRAM", ALL, network=network(()), **energies(), **rates())
    rows, lanes = network((Axis("rows", 4, loops[0]),)), network((Axis("lanes", 3, loops[1]),))
    buffer = Memory("buffer", kept[0], shared, network=rows, leakage_mw=0.1, **energies(), **rates())
    registers = Memory("registers", kept[1], partition_bytes=parts, network=lanes, **energies())
    return Accelerator("random", 100, (8, 8, 16), 0.5, (outer, buffer, registers))


def random_mappings(random, accelerator, sizes, batch):
    """Random bounds that cover the sizes, within the axes; capacity is no matter here."""
    levels, axes = len(accelerator.memories), accelerator.axes
    spatial = np.ones((batch, len(axes), 8), dtype=np.int64)
    for position, (_, axis) in enumerate(axes):
        loop = random.integers(0, len(axis.dimensions), batch)
        names = np.array(["NGKCYXRS".index(name) for name in axis.dimensions])
        spatial[np.arange(batch), position, names[loop]] = random.integers(1, axis.size + 1, batch)
    temporal = random.integers(1, 4, (batch, levels, 8))
    inner = temporal[:, 1:].prod(axis=1) * spatial.prod(axis=1)
    temporal[:, 0] = -(-np.asarray(sizes) // inner)
    rank = np.argsort(random.random((batch, levels, 8)), axis=-1)
    return MappingArrays(temporal, rank, spatial)
