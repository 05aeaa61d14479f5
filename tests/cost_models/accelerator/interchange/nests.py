"""Random layers, accelerators and mappings, as objects: what formats are asked to carry."""

import importlib.util
import random
from pathlib import Path

from coevo.cost_models.accelerator import Layer
from coevo.hardware.accelerators import DIMENSIONS, TENSORS, Accelerator, Axis, Memory, Network

_path = Path(__file__).parents[1] / "oracles" / "cases.py"
_spec = importlib.util.spec_from_file_location("oracle_cases", _path)
oracle_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracle_cases)


def random_layer(rng):
    sizes = {name: rng.choice((1, 1, 2, 3, 4, 6, 8, 12)) for name in DIMENSIONS}
    return Layer("layer", sizes, (rng.randint(1, 3), rng.randint(1, 2)), (rng.randint(1, 2), rng.randint(1, 3)))


def random_accelerator(rng, wired):
    """Two to four memories with random keeps, sizes, energies, bandwidths and arrays, within what Timeloop and
    AccelForge can both be told; `wired`: networks cost energy too, which Timeloop cannot be told."""
    levels = rng.randint(2, 4)
    memories = []
    for level in range(levels):
        keeps = TENSORS if level == 0 else tuple(rng.sample(TENSORS, rng.randint(1, 3)))
        axes = tuple(
            Axis(f"axis {place}", rng.randint(1, 9), tuple(rng.sample(DIMENSIONS, rng.randint(1, 8))))
            for place in range(rng.randint(0, 2))
        )
        split = level and rng.random() < 0.4
        pj = [rng.random() for _ in range(6)] if split else [rng.random()] * 3 + [rng.random()] * 3
        shared = rng.random() < 0.3
        rates = {
            name: rng.choice((None, rng.randint(1, 9) / 2)) if not split or len(keeps) == 1 else None
            for name in ("read_bytes_per_cycle", "write_bytes_per_cycle")
        }
        if shared:
            rates = {"read_bytes_per_cycle": rates["read_bytes_per_cycle"]}
        memories.append(
            Memory(
                f"M{level}",
                keeps,
                size_bytes=None if split or not level else rng.choice((None, rng.randint(1, 99) * 64)),
                partition_bytes=tuple(
                    rng.choice((None, rng.randint(1, 9) * 2)) if name in keeps else None for name in TENSORS
                )
                if split
                else None,
                read_pj_per_bit=tuple(pj[:3]),
                write_pj_per_bit=tuple(pj[3:]),
                shared_port=shared and rates["read_bytes_per_cycle"] is not None,
                double_buffered=rng.random() < 0.3,
                leakage_mw=rng.random(),
                network=Network(axes, pj_per_bit=rng.random() if wired and rng.random() < 0.5 else 0.0),
                **rates,
            )
        )
    return Accelerator("chip", rng.choice((200, 1000)), (8, 8, 8), rng.random(), tuple(memories), rng.random())


def random_nest(seed, wired=False):
    """(layer, accelerator, mapping) whose bounds multiply to the sizes; it need not fit."""
    rng = random.Random(seed)
    layer, accelerator = random_layer(rng), random_accelerator(rng, wired)
    return layer, accelerator, oracle_cases.drawn(layer, accelerator, seed)
