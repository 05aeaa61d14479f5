"""Once-for-all's elastic ResNet50 (Cai et al. 2020; the space that NAAS searches, section 2.3): image size, width and
depth of the stem and of each stage, and the bottleneck ratio of every block."""

from __future__ import annotations

from coevo.search.pick import Pick
from coevo.spaces.naas.network.blocks import Block, Bottleneck, Head, MaxPool, Plain, divisible
from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.network.scale import Scale

NAME = "ofa_resnet50"
STAGE_WIDTHS, BASE_DEPTHS, STRIDES = (256, 512, 1024, 2048), (2, 2, 4, 2), (1, 2, 2, 2)
WIDTHS = (0.65, 0.8, 1.0)
DEPTHS = (0, 1, 2)  # blocks beyond the base depth
RATIOS = (0.2, 0.25, 0.35)
STEM_WIDTH = 64


def build(pick: Pick, scale: Scale) -> NetworkDesign:
    """A network of at most 18 bottlenecks."""
    size = pick.one("input_size", scale.input_sizes)
    middle = divisible(STEM_WIDTH // 2 * pick.one("stem_middle_width", WIDTHS) * scale.width)
    stem = divisible(STEM_WIDTH * pick.one("stem_width", WIDTHS) * scale.width)
    deep_stem = pick.one("stem_depth", (0, 1))
    placed: list[tuple[int, Block]] = [(0, Plain("stem0", scale.channels, middle, 3, scale.stem_stride))]
    if deep_stem:
        placed.append((1, Plain("stem1", middle, middle, 3, residual=True)))
    placed += [(2, Plain("stem2", middle, stem, 3)), (3, MaxPool("pool"))]
    place, inputs = 4, stem
    for stage, (base, stride) in enumerate(zip(STAGE_WIDTHS, STRIDES, strict=True)):
        outputs = divisible(base * pick.one(f"width{stage}", WIDTHS) * scale.width)
        depth = BASE_DEPTHS[stage] + pick.one(f"depth{stage}", DEPTHS)
        for block in range(depth):
            ratio = pick.one(f"ratio{stage}_{block}", RATIOS)
            middle = divisible(round(outputs * ratio))
            name = f"stage{stage}.{block}"
            placed.append((place + block, Bottleneck(name, inputs, middle, outputs, stride if block == 0 else 1)))
            inputs = outputs
        place += BASE_DEPTHS[stage] + max(DEPTHS)
    placed.append((place, Head("head", (inputs, scale.classes))))
    return NetworkDesign(NAME, size, tuple(block for _, block in placed), tuple(spot for spot, _ in placed))
