"""Vectors in the unit cube become mappings: orders by importance or index, tiles by ratio, all of them valid; the
compiled decoder makes the same of them."""

import dataclasses
import importlib.util
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from coevo.cost_models.accelerator import Assumptions, Layer, convolution, matrix_product, tables_of
from coevo.errors import ConfigError
from coevo.hardware.accelerators import Accelerator, Memory
from coevo.kernels.mapping_cost import axis_excess, count, excess_bits, uncovered
from coevo.kernels.mapping_cost.cpu import evaluate
from coevo.kernels.mapping_cost.evolve import Room
from coevo.kernels.mapping_cost.packed import LANES
from coevo.kernels.mapping_cost.tables import C, K
from coevo.spaces.naas.mapper.encoding import decode, gene_count, live_genes

_spec = importlib.util.spec_from_file_location(
    "cases", Path(__file__).parents[3] / "kernels" / "mapping_cost" / "cases.py"
)
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)

LAYERS = [
    convolution("strided", (31, 29), 24, 56, 5, 2, 1),
    convolution("depthwise", (14, 14), 96, 96, 3, 1, 1, groups=96),
    matrix_product("product", 77, 130, 513, batch=3),
    Layer("one", {}),
]


@pytest.mark.parametrize("encoding", ["importance", "index"])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_every_vector_is_a_valid_mapping(accelerator, layer, encoding):
    tables = tables_of(layer, accelerator, Assumptions())
    genes = np.random.default_rng(0).random((200, gene_count(tables, encoding)))
    genes[0], genes[1] = 0.0, 1.0
    mappings = decode(tables, genes, encoding)
    assert not excess_bits(tables, count(tables, mappings)).any()
    assert not axis_excess(tables, mappings).any()
    assert not uncovered(tables, mappings).any()
    assert (np.sort(mappings.rank, axis=-1) == np.arange(8)).all()
    assert (mappings.temporal >= 1).all() and (mappings.spatial >= 1).all()


ONE_BUFFER = Accelerator(
    "one buffer", 100, (8, 8, 8), 1.0,
    (Memory("DRAM", ("weights", "inputs", "outputs")), Memory("buffer", ("weights", "inputs", "outputs"))),
)  # fmt: skip


def genes_of(order, ratios):
    return np.concatenate([np.asarray(order, dtype=float), np.asarray(ratios, dtype=float)])[None]


def test_the_most_important_loop_is_the_outermost_and_ties_go_by_the_order_of_loops():
    tables = tables_of(Layer("l", {"K": 10, "C": 10}), ONE_BUFFER, Assumptions())
    importance = [0.5] * 8
    importance[C] = 0.9
    rank = decode(tables, genes_of(importance, [0.5] * 8)).rank[0, 0]
    assert rank[C] == 7
    assert [int(rank[loop]) for loop in range(8) if loop != C] == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("ratio", "tile", "steps"), [(0.0, 1, 10), (0.04, 1, 10), (0.3, 3, 4), (0.7, 7, 2), (0.96, 10, 1), (1.0, 10, 1)]
)
def test_a_tile_is_the_rounded_share_of_its_bound(ratio, tile, steps):
    tables = tables_of(Layer("l", {"K": 10, "C": 10}), ONE_BUFFER, Assumptions())
    ratios = [0.5] * 8
    ratios[K] = ratio
    temporal = decode(tables, genes_of([0.5] * 8, ratios)).temporal[0]
    assert (temporal[1, K], temporal[0, K]) == (tile, steps)


def test_an_index_counts_through_all_orders():
    tables = tables_of(Layer("l", {}), ONE_BUFFER, Assumptions())
    every = [order for number, order in enumerate(permutations(range(8))) if number % 997 == 0]
    index = (np.arange(len(every)) * 997 + 0.5) / 40320
    genes = np.concatenate([index[:, None], np.full((len(index), 8), 0.5)], axis=1)
    rank = decode(tables, genes, "index").rank[:, 0]
    assert [tuple(np.argsort(-row)) for row in rank] == every


def test_an_unknown_encoding_is_refused():
    tables = tables_of(Layer("l", {}), ONE_BUFFER, Assumptions())
    with pytest.raises(ConfigError, match="expected one of importance, index, got 'gray'"):
        gene_count(tables, "gray")


def same(one, other):
    for part in ("temporal", "rank", "spatial"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def compare(tables, points, encoding):
    """points [genes, n]: both decoders, and the compiled judge against the compiled cost of what the plain one says."""
    plain = decode(tables, points.T, encoding)
    room = Room(tables)
    same(room.decode(points, encoding == "index"), plain)
    costs = evaluate(tables, plain)
    for goal, value in (
        ("edp", costs.energy_pj * costs.cycles),
        ("energy", costs.energy_pj),
        ("cycles", costs.cycles),
    ):
        np.testing.assert_array_equal(
            room.values(points, goal, encoding == "index"), np.where(costs.excess > 0, np.inf, value)
        )
    return plain


@pytest.mark.parametrize("encoding", ["importance", "index"])
@pytest.mark.parametrize("switches", range(0, len(cases.ALL_SWITCHES), 3))
def test_the_compiled_decoder_is_the_plain_one(switches, encoding):
    """Chips on which little or nothing fits are among them: memories have room for 12 to 25,000 words."""
    rng = np.random.default_rng(switches)
    for levels in (1, 2, 3, 4, 5):
        tables = cases.random_tables(rng, levels, int(rng.integers(0, 4)), cases.ALL_SWITCHES[switches])
        sizes = np.where(rng.random(8) < 0.3, 1, tables.sizes)
        points = rng.random((gene_count(tables, encoding), 20))
        points[:, 0], points[:, 1] = 0.0, 1.0
        points[:, 2] = rng.integers(0, 3, len(points)) / 2  # ties between orders, ratios at halves
        compare(dataclasses.replace(tables, sizes=sizes), points, encoding)


@pytest.mark.parametrize("encoding", ["importance", "index"])
@pytest.mark.parametrize("room", ["one word", "a word of outputs", "nothing"])
def test_the_decoders_agree_where_little_fits(row_stationary, encoding, room):
    """Tiles shrink to one step of every loop, in both rounds of the repair."""
    memories = list(row_stationary.memories)
    partition = {"one word": (1, 1, 1), "a word of outputs": (448, 24, 1), "nothing": (0.5, 0.5, 0.5)}[room]
    memories[2] = dataclasses.replace(memories[2], partition_bytes=partition)
    memories[1] = dataclasses.replace(memories[1], size_bytes=64)
    tables = tables_of(
        convolution("l", (31, 29), 24, 56, 5, 2, 1), dataclasses.replace(row_stationary, memories=tuple(memories)),
        Assumptions(),
    )  # fmt: skip
    points = np.random.default_rng(1).random((gene_count(tables, encoding), LANES + 7))
    plain = compare(tables, points, encoding)
    if room == "one word":
        assert (plain.temporal[:, 2] == 1).all()


@pytest.mark.parametrize("encoding", ["importance", "index"])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_only_live_genes_matter(accelerator, layer, encoding):
    """Whatever the others are, bounds, and the order of loops that have one, are the same."""
    tables = tables_of(layer, accelerator, Assumptions())
    rng = np.random.default_rng(2)
    genes, other = (rng.random((100, gene_count(tables, encoding))) for _ in range(2))
    live = live_genes(tables, encoding)
    other[:, live] = genes[:, live]
    one, two = decode(tables, genes, encoding), decode(tables, other, encoding)
    np.testing.assert_array_equal(one.temporal, two.temporal)
    np.testing.assert_array_equal(one.spatial, two.spatial)
    long = np.flatnonzero(tables.sizes > 1)
    orders = [np.argsort(mappings.rank[..., long], axis=-1) for mappings in (one, two)]
    np.testing.assert_array_equal(*orders)
    assert len(live) == 0 if layer.name == "one" else 0 < len(live) < genes.shape[1]


def test_every_live_gene_matters(row_stationary):
    """None could be left out: each changes some mapping."""
    tables = tables_of(convolution("l", (9, 9), 8, 24, 3), row_stationary, Assumptions())
    rng = np.random.default_rng(3)
    genes = rng.random((2000, gene_count(tables, "importance")))
    room = Room(tables)
    before = room.decode(np.ascontiguousarray(genes.T))
    for gene in live_genes(tables, "importance"):
        moved = genes.copy()
        moved[:, gene] = rng.random(len(genes))
        after = room.decode(np.ascontiguousarray(moved.T))
        assert any((getattr(after, part) != getattr(before, part)).any() for part in ("temporal", "rank", "spatial")), (
            gene
        )
