"""Vectors in the unit cube become mappings: orders by importance or index, tiles by ratio, all of them valid."""

from itertools import permutations

import numpy as np
import pytest

from coevo.cost_models.accelerator import Assumptions, Layer, convolution, matrix_product, tables_of
from coevo.errors import ConfigError
from coevo.hardware.accelerators import Accelerator, Memory
from coevo.kernels.mapping_cost import axis_excess, count, excess_bits, uncovered
from coevo.kernels.mapping_cost.tables import C, K
from coevo.spaces.naas.mapper.encoding import decode, gene_count

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
