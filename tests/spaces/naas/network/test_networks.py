from itertools import pairwise

import pytest

from coevo.errors import UnknownName
from coevo.search.canonical import stream
from coevo.search.pick import Pick
from coevo.search.space import Space
from coevo.spaces.naas.network import FAMILIES, IMAGENET, Scale, family
from coevo.spaces.naas.network.blocks import Bottleneck, Inverted, divisible, layers_of

SMALL = Scale((16, 32), 10, width=0.25, channels=1, stem_stride=1)


def largest(name: str):
    """Every choice at its largest."""
    return family(name)(Pick(lambda _, question: max(question.raw), {}), IMAGENET)


def test_the_largest_resnet_has_18_bottlenecks_and_the_plain_one_is_resnet50_sized():
    big = largest("ofa_resnet50")
    assert sum(isinstance(block, Bottleneck) for block in big.blocks) == 18
    answers = {"input_size": 224, "stem_depth": 0}

    def choose(name, question):
        if name in answers:
            return answers[name]
        if name.startswith("depth"):
            return {0: 1, 1: 2, 2: 2, 3: 1}[int(name[-1])]
        return 1.0 if "width" in name else 0.25

    plain = family("ofa_resnet50")(Pick(choose, {}), IMAGENET)
    assert sum(isinstance(block, Bottleneck) for block in plain.blocks) == 16
    assert plain.macs == pytest.approx(4.1e9, rel=0.08)  # ResNet50's 4.09 G; stem and shortcuts are those of ResNet-D


def test_the_largest_mobilenet_has_20_blocks_after_the_first():
    big = largest("ofa_mobilenet_v3")
    assert sum(isinstance(block, Inverted) for block in big.blocks) == 21


@pytest.mark.parametrize("name", FAMILIES)
def test_channels_and_sizes_fit_from_block_to_block(name):
    space = Space("test/v1", lambda pick: family(name)(pick, SMALL))
    for index in range(50):
        network = space.build(space.sample(stream("test", index)))
        layers = layers_of(network.blocks, network.input_size)
        assert list(network.places) == sorted(set(network.places))
        assert layers[-1].sizes["K"] == 10
        assert sum(times for _, times in network.runs()) == len(layers)
        assert sum(layer.macs for layer in layers) == network.macs
        widths = [block for block in network.blocks if hasattr(block, "inputs")]
        for before, after in pairwise(widths):
            assert after.inputs == before.outputs


def test_rounding_of_channels():
    assert [divisible(value) for value in (1, 8, 12, 19, 41.6, 51.2)] == [8, 8, 16, 24, 40, 48]


def test_an_unknown_family_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="ofa_resnet50"):
        family("ofa_resnet")
