"""The device functions of `triton_sweep`. A number of 2 w bits indexes an operator [4^w], two bits a digit; places of
digits are counted from the lowest. Matrices are merged in double precision, whatever the operators have.
"""

from __future__ import annotations

from coevo.errors import missing_extra

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

INTERPRETED = bool(triton.knobs.runtime.interpret)
"""Whether the kernels run in Triton's interpreter on the CPU (TRITON_INTERPRET=1 when this module is imported)."""


@triton.jit(do_not_specialize=["width", "each"])
def place(start, shifts, operators, width, each, DIGITS: tl.constexpr, CHUNK: tl.constexpr):
    """operators [rows, 4^width], all 0, get starts [rows, 4^DIGITS] at the digits whose bits begin at shifts
    [rows, DIGITS], the lowest first. An instance moves CHUNK of them; `each` is 4^DIGITS / CHUNK."""
    row = tl.program_id(0) // each
    index = (tl.program_id(0) % each) * CHUNK + tl.arange(0, CHUNK)
    where = _spread(index, shifts + row * DIGITS, DIGITS)
    values = tl.load(start + row.to(tl.int64) * (4**DIGITS) + index)
    tl.store(operators + (row.to(tl.int64) << (2 * width)) + where, values)


@triton.jit
def segments(ranges, codes, turns, basis, matrices, out):
    """out [S, 4, 4]: the product of the one-qubit rows ranges[s] to ranges[s + 1], the first applied first.

    Args:
        codes: [N, 2] rotation and matrix of each row, 0 the identity.
        turns: [N, 2] cosine and sine of its angle.
        basis: [R, 3, 4, 4]; matrices [M, 4, 4].
    """
    segment = tl.program_id(0)
    i = tl.arange(0, 4)
    at = 4 * i[:, None] + i[None, :]
    product = tl.where(i[:, None] == i[None, :], 1.0, 0.0).to(tl.float64)
    for row in range(tl.load(ranges + segment), tl.load(ranges + segment + 1)):
        turned = basis + 48 * tl.load(codes + 2 * row)
        rotation = tl.load(turned + at) + tl.load(turns + 2 * row) * tl.load(turned + 16 + at)
        rotation += tl.load(turns + 2 * row + 1) * tl.load(turned + 32 + at)
        after = tl.load(matrices + 16 * tl.load(codes + 2 * row + 1) + at)
        product = _four(after, _four(rotation, product))
    tl.store(out + 16 * segment + at, product)


@triton.jit
def merged_blocks(ranges, codes, turns, basis, matrices, segment, out):
    """out [B, 16, 16]: the product of the two-qubit rows ranges[b] to ranges[b + 1], each after its segments.

    Args:
        codes: [N, 5] rotation and matrix of each row, 0 the identity; the segments before it on the first and the
            second qubit of the block's pair; 1 where the row names the pair the other way round.
        others: as `segments` has them, [R, 3, 16, 16] and [M, 16, 16]; segment [S, 4, 4].
    """
    block = tl.program_id(0)
    i = tl.arange(0, 16)
    four = tl.arange(0, 4)
    small = 4 * four[:, None] + four[None, :]
    product = tl.where(i[:, None] == i[None, :], 1.0, 0.0).to(tl.float64)
    for row in range(tl.load(ranges + block), tl.load(ranges + block + 1)):
        code = codes + 5 * row
        turned = tl.where(tl.load(code + 4) != 0, (i % 4) * 4 + i // 4, i)
        at = 16 * turned[:, None] + turned[None, :]
        parts = basis + 768 * tl.load(code)
        rotation = tl.load(parts + at) + tl.load(turns + 2 * row) * tl.load(parts + 256 + at)
        rotation += tl.load(turns + 2 * row + 1) * tl.load(parts + 512 + at)
        after = tl.load(matrices + 256 * tl.load(code + 1) + at)
        first = tl.load(segment + 16 * tl.load(code + 2) + small)
        second = tl.load(segment + 16 * tl.load(code + 3) + small)
        before = tl.reshape(first[:, None, :, None] * second[None, :, None, :], (16, 16))
        product = tl.dot(after, tl.dot(rotation, tl.dot(before, product)))
    tl.store(out + 256 * block + 16 * i[:, None] + i[None, :], product.to(out.dtype.element_ty))


@triton.jit(
    do_not_specialize=["width", "most"],
    do_not_specialize_on_alignment=["ranges", "shifts", "tiles"],
)
def sweep(operators, blocks, steps, ranges, shifts, tiles, width, most, TILE: tl.constexpr):
    """One stage, in place: every block of it on every operator [R, 4^width].

    A program instance holds 4^TILE coefficients, those over the digits that the stage's blocks act on, for one value of
    all other digits, and takes them through all blocks of the stage.

    Args:
        blocks: [B, 16, 16]; the operator goes through their transposes.
        steps: [N, 3] block, and the places in the tile of its first and second digit.
        ranges: [R, 2] the steps of each operator.
        shifts: [R, width] where each digit's bits begin, those in the tile first, then those that number its tiles.
        tiles: [R] of each operator, `most` at most; all other coefficients are 0.
    """
    COLUMNS: tl.constexpr = 4 ** (TILE - 2)
    number = tl.program_id(0) % most
    row = tl.program_id(0) // most
    count = tl.load(tiles + row)
    if number < count:
        begin, end = tl.load(ranges + 2 * row), tl.load(ranges + 2 * row + 1)
        own = shifts + row * width
        origin = operators + (row.to(tl.int64) << (2 * width))
        digit = TILE
        while (number >> (2 * (digit - TILE))) > 0:
            origin += ((number >> (2 * (digit - TILE))) & 3) << tl.load(own + digit)
            digit += 1
        i, c = tl.arange(0, 16), tl.arange(0, COLUMNS)
        # The tile as [16, COLUMNS]: the pair's digits, and all others. At first the pair is that of the two highest.
        first, second = begin * 0 + TILE - 1, begin * 0 + TILE - 2
        pair, rest = i * COLUMNS, c
        values = tl.load(origin + (_spread(pair, own, TILE)[:, None] + _spread(rest, own, TILE)[None, :]))
        for step in range(begin, end):
            block = tl.load(steps + 3 * step)
            a, b = tl.load(steps + 3 * step + 1), tl.load(steps + 3 * step + 2)
            pair = ((i >> 2) << (2 * a)) + ((i & 3) << (2 * b))
            rest = _opened(_opened(c, tl.minimum(a, b)), tl.maximum(a, b))
            held = _front(pair, first, second, COLUMNS)[:, None] + _front(rest, first, second, COLUMNS)[None, :]
            flat = tl.gather(tl.reshape(values, (16 * COLUMNS,)), tl.reshape(held, (16 * COLUMNS,)), 0)
            matrix = tl.load(blocks + 256 * block + i[:, None] + 16 * i[None, :])
            values = tl.dot(matrix, tl.reshape(flat, (16, COLUMNS)), input_precision="ieee")
            first, second = a, b
        tl.store(origin + (_spread(pair, own, TILE)[:, None] + _spread(rest, own, TILE)[None, :]), values)


@triton.jit(do_not_specialize=["width", "each"])
def finish(
    operators, shifts, width, each, out,
    ENCODED: tl.constexpr, GROUND: tl.constexpr, E: tl.constexpr, G: tl.constexpr,
):  # fmt: skip
    """out [rows, 4^ENCODED]: operators over the encoded digits, all others in |0>, where I and Z count as 1.

    `shifts` [rows, width] tells where each digit's bits begin, the GROUND others first. An instance fills E values from
    G coefficients at a time; `each` is 4^ENCODED / E.
    """
    row = tl.program_id(0) // each
    own = shifts + row * width
    index = (tl.program_id(0) % each) * E + tl.arange(0, E)
    origin = operators + (row.to(tl.int64) << (2 * width)) + _spread(index, own + GROUND, ENCODED)
    total = tl.zeros((E,), operators.dtype.element_ty)
    for begin in range(0, 2**GROUND, G):
        bits = begin + tl.arange(0, G)
        where = bits * 0
        for digit in tl.static_range(GROUND):
            where += (3 * ((bits >> digit) & 1)) << tl.load(own + digit)
        total += tl.sum(tl.load(origin[:, None] + where[None, :]), axis=1)
    tl.store(out + row.to(tl.int64) * (4**ENCODED) + index, total)


@triton.jit
def _spread(index, shifts, DIGITS: tl.constexpr):
    """Each digit of `index` moved to where `shifts` says that its bits begin."""
    moved = index * 0
    for digit in tl.static_range(DIGITS):
        moved += ((index >> (2 * digit)) & 3) << tl.load(shifts + digit)
    return moved


@triton.jit
def _opened(index, at):
    """A digit 0 inserted at a place."""
    low = (1 << (2 * at)) - 1
    return ((index & ~low) << 2) | (index & low)


@triton.jit
def _front(index, first, second, COLUMNS: tl.constexpr):
    """The digits at two places in front, the others behind them in their order."""
    high, low = tl.maximum(first, second), tl.minimum(first, second)
    below = (1 << (2 * low)) - 1
    between = ((1 << (2 * high)) - 1) & ~((below << 2) | 3)
    above = ~((1 << (2 * high + 2)) - 1)
    rest = (index & below) | ((index & between) >> 2) | ((index & above) >> 4)
    pair = 4 * ((index >> (2 * first)) & 3) + ((index >> (2 * second)) & 3)
    return pair * COLUMNS + rest


@triton.jit
def _four(left, right):
    """The product of [4, 4] matrices, below the smallest that `dot` takes."""
    return tl.sum(left[:, :, None] * right[None, :, :], axis=1)
