"""Products of tensors with leading dimensions, and attention, as layers: what the importers share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from coevo.cost_models.accelerator.layer import Layer
from coevo.cost_models.accelerator.workloads.workload import Occurrence
from coevo.errors import InputError


def batched_product(
    name: str,
    left: Sequence[int],
    right: Sequence[int],
    stored: str | None = None,
    bits: tuple[int, int, int] | None = None,
) -> Occurrence:
    """`left @ right` as NumPy's matmul takes them: [..., rows, inner] @ [..., inner, columns], leading dimensions
    broadcast, vectors allowed.

    `stored`: "left" or "right", the operand that the network stores, which becomes the weights; where neither is, the
    right one does. Leading dimensions that both operands have are groups; those of the other operand alone run over
    rows, those of the weights alone over columns.
    """
    if not left or not right:
        raise InputError(f"layer {name!r}: a product needs tensors of at least one dimension, got {left} and {right}")
    rows, inner = (1, left[0]) if len(left) == 1 else (left[-2], left[-1])
    inner_right, columns = (right[0], 1) if len(right) == 1 else (right[-2], right[-1])
    if inner != inner_right:
        raise InputError(f"layer {name!r}: shapes {list(left)} and {list(right)} do not multiply")
    ahead = max(len(left) - 2, len(right) - 2, 0)
    before = [1] * (ahead - max(len(left) - 2, 0)) + list(left[:-2])
    behind = [1] * (ahead - max(len(right) - 2, 0)) + list(right[:-2])
    groups = 1
    for one, other in zip(before, behind, strict=True):
        if one != other and 1 not in (one, other):
            raise InputError(f"layer {name!r}: shapes {list(left)} and {list(right)} do not broadcast")
        if one == other:
            groups *= one
        elif other == 1:
            rows *= one
        else:
            columns *= other
    if stored == "left":
        rows, columns = columns, rows
    sizes = {"N": rows, "G": groups, "K": columns, "C": inner}
    return Occurrence(Layer(name, sizes, bits=bits, kind="matrix product"), stored=stored is not None)


def attention_of(
    name: str, query: Sequence[int], key: Sequence[int], value: Sequence[int], heads_axis: int = -3
) -> list[Occurrence]:
    """The two products of attention over [..., heads, positions, width]; key heads may be fewer (grouped queries)."""
    heads, key_heads = query[heads_axis], key[heads_axis]
    if heads % key_heads or query[-1] != key[-1] or key[-2] != value[-2]:
        raise InputError(
            f"layer {name!r}: queries {list(query)}, keys {list(key)} and values {list(value)} do not belong together"
        )
    groups = math.prod(query[:heads_axis]) * key_heads
    rows = query[-2] * heads // key_heads
    pairs = (("scores", key[-2], key[-1]), ("mix", value[-1], value[-2]))
    return [
        Occurrence(
            Layer(f"{name}.{part}", {"N": rows, "G": groups, "K": columns, "C": inner}, kind="attention"), stored=False
        )
        for part, columns, inner in pairs
    ]


def convolution_of(
    name: str,
    output: Sequence[int],
    weights: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    bits: tuple[int, int, int] | None = None,
) -> Layer:
    """A convolution from the shape of its output [N, K, (rows,) columns] and its weights [K, C, (rows,) columns]: the
    padding, whatever its rule, is in the size of the output. One-dimensional ones lie along the columns."""
    spatial = len(weights) - 2
    if spatial not in (1, 2) or len(output) != spatial + 2:
        raise InputError(
            f"layer {name!r}: convolutions over one or two dimensions are mapped, got an output of shape "
            f"{list(output)} and weights of shape {list(weights)}"
        )
    rows, taps = (output[2], weights[2]) if spatial == 2 else (1, 1)
    step, spread = (stride[0], dilation[0]) if spatial == 2 else (1, 1)
    sizes = {"N": output[0], "G": groups, "K": output[1] // groups, "C": weights[1],
             "Y": rows, "X": output[-1], "R": taps, "S": weights[-1]}  # fmt: skip
    kind = "depthwise convolution" if groups > 1 and weights[1] == 1 else "convolution"
    return Layer(name, sizes, (step, stride[-1]), (spread, dilation[-1]), bits, kind)


def einsum_of(name: str, equation: str, shapes: Sequence[Sequence[int]], stored: str | None = None) -> list[Occurrence]:
    """`equation` over two tensors as one product: indices of both that stay are groups, of both that go are summed,
    the others run over rows and columns. No layer where nothing is summed over both: then it scales or copies."""
    inputs, _, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) == 1 and len(shapes) == 1:
        return []
    twice = any(len(set(term)) < len(term) for term in terms)
    if len(terms) != 2 or "." in equation or "->" not in equation or twice:
        raise InputError(
            f"layer {name!r}: an einsum of two tensors with an explicit output, without dots and without an index "
            f"twice in one tensor, is mapped; got {equation!r}"
        )
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if len(term) != len(shape):
            raise InputError(f"layer {name!r}: the einsum {equation!r} does not fit a tensor of shape {list(shape)}")
        for index, size in zip(term, shape, strict=True):
            sizes[index] = max(size, sizes.get(index, 1))
    left, right = (set(term) for term in terms)
    summed = left & right - set(output)
    if not summed:
        return []
    parts = {"N": (left - right) & set(output), "G": left & right & set(output), "K": (right - left) & set(output)}
    found = {loop: math.prod(sizes[index] for index in names) for loop, names in parts.items()}
    if stored == "left":
        found["N"], found["K"] = found["K"], found["N"]
    found["C"] = math.prod(sizes[index] for index in summed)
    return [Occurrence(Layer(name, found, kind="matrix product"), stored=stored is not None)]
