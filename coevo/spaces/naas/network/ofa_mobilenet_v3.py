"""Once-for-all's elastic MobileNetV3 (Cai et al. 2020, section 3.2): image size, depth of each stage, kernel and
expansion of every block."""

from __future__ import annotations

from coevo.search.pick import Pick
from coevo.spaces.naas.network.blocks import Block, Head, Inverted, Plain, divisible
from coevo.spaces.naas.network.design import NetworkDesign
from coevo.spaces.naas.network.scale import Scale

NAME = "ofa_mobilenet_v3"
STEM_WIDTH, STAGE_WIDTHS, STRIDES = 16, (24, 40, 80, 112, 160), (2, 2, 2, 1, 2)
SQUEEZES = (False, True, False, True, True)
DEPTHS, KERNELS, EXPANSIONS = (2, 3, 4), (3, 5, 7), (3, 4, 6)
LAST_WIDTHS = (960, 1280)


def build(pick: Pick, scale: Scale) -> NetworkDesign:
    """A network of 10 to 20 inverted bottlenecks."""
    size = pick.one("input_size", scale.input_sizes)
    inputs = divisible(STEM_WIDTH * scale.width)
    placed: list[tuple[int, Block]] = [
        (0, Plain("stem", scale.channels, inputs, 3, scale.stem_stride)),
        (1, Inverted("first", inputs, inputs, inputs, 3)),
    ]
    place = 2
    for stage, (base, stride) in enumerate(zip(STAGE_WIDTHS, STRIDES, strict=True)):
        outputs = divisible(base * scale.width)
        for block in range(pick.one(f"depth{stage}", DEPTHS)):
            kernel = pick.one(f"kernel{stage}_{block}", KERNELS)
            middle = divisible(round(inputs * pick.one(f"expansion{stage}_{block}", EXPANSIONS)))
            squeezed = divisible(middle // 4) if SQUEEZES[stage] else 0
            step = stride if block == 0 else 1
            placed.append(
                (place + block, Inverted(f"stage{stage}.{block}", inputs, middle, outputs, kernel, step, squeezed))
            )
            inputs = outputs
        place += max(DEPTHS)
    expanded, features = (divisible(width * scale.width) for width in LAST_WIDTHS)
    placed += [
        (place, Plain("last", inputs, expanded, 1)),
        (place + 1, Head("head", (expanded, features, scale.classes))),
    ]
    return NetworkDesign(NAME, size, tuple(block for _, block in placed), tuple(spot for spot, _ in placed))
