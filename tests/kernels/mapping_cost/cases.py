"""Random layers, accelerators and mappings, as arrays: small ones for the simulator, larger ones for fast paths."""

from __future__ import annotations

import itertools

import numpy as np

from coevo.kernels.mapping_cost import MappingArrays, Tables

SWITCHES = ("halo_merge", "sliding_window", "charge_drain", "fetch_holes", "count_ramp")
ALL_SWITCHES = list(itertools.product((False, True), repeat=len(SWITCHES)))


def random_tables(rng, levels, axes, switches, sizes=None):
    """Tables whose figures are all drawn; about half of the limits are absent."""
    step = rng.integers(1, 5, size=(2, 2)) if rng.random() < 0.5 else rng.integers(1, 3, size=(2, 2))
    keeps = rng.random((levels, 3)) < 0.65
    keeps[0] = True
    limit = lambda shape, low, high: np.where(  # noqa: E731
        rng.random(shape) < 0.5, np.inf, rng.uniform(low, high, size=shape)
    )
    return Tables(
        sizes=np.array(sizes if sizes is not None else rng.integers(1, 30, size=8), dtype=np.int64),
        step=step.astype(np.int64),
        window=(step // np.gcd(step[:, 0], step[:, 1])[:, None]).astype(np.int64),
        keeps=keeps,
        axis_level=np.sort(rng.integers(0, levels, size=axes)).astype(np.int64),
        axis_size=rng.integers(1, 17, size=axes).astype(np.int64),
        axis_allowed=rng.random((axes, 8)) < 0.6,
        multicast=rng.random(levels) < 0.6,
        reduction=rng.random(levels) < 0.6,
        bits=rng.choice([4.0, 8.0, 16.0, 24.0], size=(levels, 3)),
        read_pj=rng.random((levels, 3)) * 10,
        write_pj=rng.random((levels, 3)) * 10,
        hop_pj=rng.random((levels, 3)),
        capacity_bits=limit((levels, 4), 1e2, 1e5),
        read_bits_per_cycle=limit(levels, 1, 200),
        write_bits_per_cycle=limit(levels, 1, 200),
        port_bits_per_cycle=limit(levels, 1, 200),
        network_bits_per_cycle=limit(levels, 1, 200),
        leakage_pj_per_cycle=float(rng.random()),
        mac_pj=float(rng.random()),
        **dict(zip(SWITCHES, switches, strict=True)),
    )


def random_mappings(rng, batch, levels, tables, bounds, places, macs=None):
    """Mappings that need neither fit nor cover: `places` bounds above 1 each at most, drawn from `bounds`; with `macs`
    no mapping has more of them."""
    temporal = np.ones((batch, levels, 8), dtype=np.int64)
    spatial = np.ones((batch, len(tables.axis_level), 8), dtype=np.int64)
    for row in range(batch):
        total = 1
        for _ in range(places):
            bound = int(rng.choice(bounds))
            if macs is not None and total * bound > macs:
                continue
            if len(tables.axis_level) and rng.random() < 0.4:
                where = spatial[row, rng.integers(len(tables.axis_level))]
            else:
                where = temporal[row, rng.integers(levels)]
            loop = rng.integers(8) if rng.random() < 0.5 else rng.integers(4, 8)  # windows are what is hard
            total = total // where[loop] * bound
            where[loop] = bound
    rank = np.argsort(rng.random((batch, levels, 8)), axis=-1).astype(np.int64)
    return MappingArrays(temporal, rank, spatial)
