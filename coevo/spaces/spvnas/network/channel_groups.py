"""Which channels of the supernet belong together: what writes, follows and reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from coevo.kernels.sparse.shape import STAGES
from coevo.spaces.spvnas.network.layers import POINT_PLACES
from coevo.spaces.spvnas.network.supernet import Supernet
from coevo.supernets.elastic.linear import ElasticLinear
from coevo.supernets.elastic.row_norm import ElasticBatchNorm
from coevo.supernets.elastic.sorting import ChannelGroup, Channels
from coevo.supernets.elastic.sparse_convolution import ElasticConv3d

Weights = ElasticConv3d | ElasticLinear
Writer = tuple[Weights, ElasticBatchNorm]
Reader = tuple[Weights, int]
"""A layer, and where among its inputs the channels begin."""


def channel_groups(net: Supernet) -> Iterator[ChannelGroup]:
    """For `sort_channels`: middles of blocks, transitions, and the widths of stem and stages. The order within a stage
    is one for its blocks, its skip connection and the point branch."""
    whole = net.bounds.largest
    opening, closing = net.stem.layers
    yield _group([opening], [(closing[0], 0)])
    writers: list[list[Writer]] = [[closing], *([] for _ in range(2 * STAGES))]
    readers: list[list[Reader]] = [[] for _ in range(2 * STAGES + 1)]
    for stage in range(2 * STAGES):
        begin, blocks = net.stage(stage)
        readers[stage].append((begin.layers[0], 0))
        (first, _), shortcut = blocks[0].layers, blocks[0].shortcut
        assert shortcut is not None
        entering = (first[0], shortcut[0])
        yield _group([begin.layers], [(each, 0) for each in entering])
        if stage >= STAGES:
            readers[2 * STAGES - 1 - stage] += [(each, whole.transitions[stage]) for each in entering]
        writers[stage + 1].append(shortcut)
        for number, block in enumerate(blocks):
            first, last = block.layers
            yield _group([first], [(last[0], 0)])
            writers[stage + 1].append(last)
            if number:  # its shortcut is the identity
                readers[stage + 1].append((first[0], 0))
    readers[2 * STAGES].append((cast(ElasticLinear, net.classifier[0]), 0))
    if net.bounds.points != "none":
        for number, (a, b) in enumerate(POINT_PLACES):
            perceptron = net.perceptron(number)
            readers[a].append((perceptron[0], 0))
            writers[b].append(perceptron)
    for place in range(2 * STAGES + 1):
        yield _group(writers[place], readers[place])


def _group(writers: Sequence[Writer], readers: Sequence[Reader]) -> ChannelGroup:
    size = writers[0][1].num_features
    followers = []
    for layer, norm in writers:
        assert norm.running_mean is not None and norm.running_var is not None
        tensors = [norm.weight, norm.bias, norm.running_mean, norm.running_var]
        if isinstance(layer, ElasticLinear):
            tensors.append(layer.bias)
        followers += [Channels(each, 0, size) for each in tensors]
    return ChannelGroup(
        tuple(_side(layer, size, 0, inputs=False) for layer, _ in writers),
        tuple(followers),
        tuple(_side(layer, size, start, inputs=True) for layer, start in readers),
    )


def _side(layer: Weights, size: int, start: int, inputs: bool) -> Channels:
    if isinstance(layer, ElasticLinear):
        return Channels(layer.weight, 1 if inputs else 0, size, start)
    return Channels(layer.kernel, layer.kernel.dim() - (2 if inputs else 1), size, start)
