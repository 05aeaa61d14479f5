"""The mappings that independent engines price: `CASES` by name, each (layer, accelerator, mapping)."""

import random

from coevo.cost_models.accelerator import Layer, Mapping, convolution, matrix_product
from coevo.hardware.accelerators import DIMENSIONS, Accelerator, Axis, Memory, Network

ALL = ("weights", "inputs", "outputs")
ANY = tuple(DIMENSIONS)


def same(pj):
    return (pj, pj, pj)


def memory(name, keeps, word_pj, write_word_pj=None, **rest):
    """A memory whose energies are pJ a word of 8 bits, the same for all tensors."""
    write = word_pj if write_word_pj is None else write_word_pj
    return Memory(name, keeps, read_pj_per_bit=same(word_pj / 8), write_pj_per_bit=same(write / 8), **rest)


FLAT = Accelerator(
    "flat", 1000, (8, 8, 8), 1.0, (memory("DRAM", ALL, 200), memory("GLB", ALL, 6), memory("RF", ALL, 1))
)
"""No array: energies of Eyeriss relative to a MAC."""

GRID = Accelerator(
    "grid",
    500,
    (8, 8, 8),
    0.5,
    (
        memory("DRAM", ALL, 200, 180),
        memory("GLB", ALL, 6, 7, size_bytes=1 << 20, network=Network((Axis("a", 8, ANY), Axis("b", 16, ANY)))),
        memory("RF", ALL, 1, 1.5, size_bytes=1 << 14),
    ),
)

BYPASS = Accelerator(
    "bypass",
    200,
    (8, 8, 16),
    0.25,
    (
        memory("DRAM", ALL, 64, 72),
        memory("GLB", ("inputs", "outputs"), 2.5, 2, size_bytes=1 << 18,
               network=Network((Axis("columns", 14, ANY), Axis("rows", 12, ANY)))),
        Memory("PE", ALL, partition_bytes=(4096, 1024, 2048), read_pj_per_bit=(0.1, 0.0125, 0.03),
               write_pj_per_bit=(0.11, 0.011, 0.0275)),
    ),
)  # fmt: skip
"""Weights pass the global buffer by; scratchpads by tensor; outputs are 16 bits wide."""

DEEP = Accelerator(
    "deep",
    800,
    (8, 8, 8),
    0.3,
    (
        memory("DRAM", ALL, 160),
        memory("L2", ALL, 12, 10, size_bytes=1 << 22, network=Network((Axis("clusters", 4, ANY),))),
        memory("L1", ("weights", "outputs"), 3, 4, size_bytes=1 << 18,
               network=Network((Axis("rows", 8, ANY), Axis("columns", 8, ANY)))),
        memory("RF", ("inputs", "outputs"), 0.5, 0.6, size_bytes=1 << 12, network=Network((Axis("lanes", 4, ANY),))),
    ),
)  # fmt: skip
"""Four levels, two bypasses, an array of arrays, and lanes between the registers and the MACs."""

BANDED = Accelerator(
    "banded",
    1000,
    (8, 8, 8),
    1.0,
    (
        memory("DRAM", ALL, 200, read_bytes_per_cycle=2.0, shared_port=True),
        memory("GLB", ALL, 6, size_bytes=1 << 22, read_bytes_per_cycle=8.0, write_bytes_per_cycle=4.0,
               network=Network((Axis("a", 8, ANY), Axis("b", 8, ANY)))),
        memory("RF", ALL, 1, size_bytes=1 << 14, read_bytes_per_cycle=4.0, write_bytes_per_cycle=1.0, leakage_mw=0.02),
    ),
    mac_leakage_mw=0.01,
)  # fmt: skip
"""Bandwidths and leakage: time is the largest of the parts."""

WIRED = Accelerator(
    "wired",
    1000,
    (8, 8, 8),
    1.0,
    (
        memory("DRAM", ALL, 200),
        memory(
            "GLB", ("inputs", "outputs"), 6, network=Network((Axis("a", 8, ANY), Axis("b", 8, ANY)), pj_per_bit=0.25)
        ),
        memory("RF", ALL, 1, network=Network((Axis("lanes", 4, ANY),), pj_per_bit=0.01)),
    ),
)
"""Networks whose deliveries cost energy."""

UNICAST = Accelerator(
    "unicast",
    1000,
    (8, 8, 8),
    1.0,
    (
        memory("DRAM", ALL, 200, network=Network((Axis("halves", 2, ANY),), reduction=False)),
        memory("GLB", ALL, 6, network=Network((Axis("a", 8, ANY), Axis("b", 8, ANY)), multicast=False)),
        memory("RF", ALL, 1, network=Network((Axis("lanes", 4, ANY),), multicast=False, reduction=False)),
    ),
)
"""Networks that do not multicast, do not reduce, or neither."""

LAYERS = {
    "conv3": convolution("conv3", (28, 28), 32, 64, 3, padding=1),
    "conv3_stride2": convolution("conv3_stride2", (56, 56), 16, 32, 3, stride=2, padding=1),
    "conv1": convolution("conv1", (14, 14), 64, 128, 1),
    "conv1_stride2": convolution("conv1_stride2", (28, 28), 32, 64, 1, stride=2),
    "conv7_stride2": convolution("conv7_stride2", (64, 64), 3, 32, 7, stride=2, padding=3),
    "conv_dilated": convolution("conv_dilated", (24, 24), 16, 16, 3, padding=2, dilation=2),
    "depthwise": convolution("depthwise", (28, 28), 48, 48, 3, padding=1, groups=48),
    "depthwise_stride2": convolution("depthwise_stride2", (28, 28), 48, 48, 5, stride=2, padding=2, groups=48),
    "grouped": convolution("grouped", (14, 14), 64, 96, 3, padding=1, groups=4, batch=2),
    "product": matrix_product("product", 196, 256, 64),
    "heads": matrix_product("heads", 64, 64, 32, batch=8),
}


def drawn(layer, accelerator, seed):
    """A mapping whose bounds multiply to the sizes: every prime factor goes to a random memory, or to an axis where it
    still fits; orders are random."""
    rng = random.Random(seed)
    temporal = [{} for _ in accelerator.memories]
    spatial = [{} for _ in accelerator.axes]
    room = [axis.size for _, axis in accelerator.axes]
    for name, size in layer.sizes.items():
        for prime in primes(size):
            fits = [place for place, left in enumerate(room) if prime <= left]
            if fits and rng.random() < 0.45:
                place = rng.choice(fits)
                room[place] //= prime
                loops = spatial[place]
            else:
                loops = rng.choice(temporal)
            loops[name] = loops.get(name, 1) * prime
    shuffled = [rng.sample(list(loops.items()), len(loops)) for loops in temporal]
    return Mapping(tuple(map(tuple, shuffled)), tuple(tuple(loops.items()) for loops in spatial))


def primes(number):
    found, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found


def nest(text):
    """Loops by memory, outermost first: "N28 K256 / N112 C64"."""
    return tuple(tuple((loop[0], int(loop[1:])) for loop in group.split()) for group in text.split("/"))


PUBLISHED = Layer("conv", {"C": 3, "K": 32, "Y": 112, "X": 112, "R": 3, "S": 3}, stride=(2, 2))

CASES = {
    # AccelForge's own optimum for two products (energies of Eyeriss relative to a MAC).
    "product_64": (matrix_product("product_64", 64, 64, 64), FLAT, Mapping(nest(" / N64 / K64 C64"))),
    "product_3136x64x256": (
        matrix_product("product_3136", 3136, 256, 64), FLAT, Mapping(nest(" / N28 K256 / N112 C64"))),
    # The mapping that Timeloop published for its Eyeriss-like example.
    "published": (
        PUBLISHED, BYPASS, Mapping(nest("Y8 X2 K4 / Y14 X4 / R3 K8"), nest("X14 / C3 S3"))),
    # By hand: each data flow once.
    "weights_stay": (LAYERS["conv3"], GRID, Mapping(nest("K4 C2 / Y28 X28 / R3 S3 K2"), nest("K8 / C16"))),
    "inputs_stay": (LAYERS["conv3"], GRID, Mapping(nest("Y7 X4 / C16 K64 / R3 S3 X7"), nest("Y4 / C2"))),
    "outputs_stay": (LAYERS["conv3"], GRID, Mapping(nest("K8 Y4 / C32 R3 S3 / Y7 X2"), nest("K8 / X14"))),
    "rows_across": (LAYERS["conv3_stride2"], GRID, Mapping(nest("K4 Y4 / X28 C16 / R3 S3"), nest("K8 / Y7"))),
    "halo_across": (LAYERS["conv3"], BYPASS, Mapping(nest("K16 X2 / Y4 C8 X14 / K4 S3"), nest("Y7 / R3 C4"))),
}  # fmt: skip

CASES |= {
    f"{layer}_{accelerator.name}_{seed}": (LAYERS[layer], accelerator, drawn(LAYERS[layer], accelerator, seed))
    for layer in LAYERS
    for seed, accelerator in enumerate((GRID, BYPASS, DEEP, BANDED, UNICAST, WIRED))
}
