"""Device functions of ReLU linear attention.

A program takes a group of heads, whose channels lie side by side, so that rows are read in long pieces; products
between heads of a group are masked away. A state is float32 [D, d] and [D], flat: row r of the first holds
sum_n relu(k_n)_r v_n over the channels of r's head, entry r of the second sum_n relu(k_n)_r.

relu(x w) = |w| relu(x sign(w)): weights of the norms move into the states, so that the ReLU of a value loses nothing
when it becomes an operand of a half-precision product. The query's root mean square cancels and is never computed.
States become such operands as a sum of two (their leading and their next bits).
"""

from __future__ import annotations

from coevo.errors import missing_extra

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error


@triton.jit
def _operand(values, like):
    """bfloat16 stays what it is; float16 becomes float32, whose products as tf32 have its bits and a wider range."""
    return values.to(tl.bfloat16) if like.dtype.element_ty == tl.bfloat16 else values.to(tl.float32)


@triton.jit
def _dot(left, right, added, like):
    if like.dtype.element_ty == tl.float32:
        added = tl.dot(left, right, added, input_precision="tf32x3")
    else:
        added = tl.dot(left, right, added)
    return added


@triton.jit
def _dot_exact(left, right, like):
    """left @ right of a float32 `right`."""
    if like.dtype.element_ty == tl.bfloat16:
        high = right.to(tl.bfloat16)
        made = tl.dot(left, high)
        made = tl.dot(left, (right - high.to(tl.float32)).to(tl.bfloat16), made)
    elif like.dtype.element_ty == tl.float32:
        made = tl.dot(left, right, input_precision="tf32x3")
    else:
        made = tl.dot(left, right)
    return made


@triton.jit
def _sum_of_head(values, HEAD: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr):
    """[T, heads, 1], or [T, 1] where the block is one head."""
    if HEAD * 2 > BLOCK_C:
        made = tl.sum(values, axis=1, keep_dims=True)
    else:
        made = tl.sum(tl.reshape(values, (BLOCK_T, BLOCK_C // HEAD, HEAD)), axis=2, keep_dims=True)
    return made


@triton.jit
def _to_channels(values, HEAD: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr):
    """[T, C] of what `_sum_of_head` gave."""
    if HEAD * 2 > BLOCK_C:
        made = tl.broadcast_to(values, (BLOCK_T, BLOCK_C))
    else:
        made = tl.reshape(tl.broadcast_to(values, (BLOCK_T, BLOCK_C // HEAD, HEAD)), (BLOCK_T, BLOCK_C))
    return made


@triton.jit
def _channels(width, HEAD: tl.constexpr, GROUP: tl.constexpr, BLOCK_C: tl.constexpr):
    """(channels of a program's group, which of them exist)."""
    at = tl.arange(0, BLOCK_C)
    channel = tl.program_id(0) * GROUP * HEAD + at
    return channel, (at < GROUP * HEAD) & (channel < width)


@triton.jit
def _state_places(channel, inside, HEAD: tl.constexpr, BLOCK_C: tl.constexpr):
    """[C, C]: where a state's entry lies, and whether its channels are of one head."""
    at = tl.arange(0, BLOCK_C)
    same = (at[:, None] // HEAD == at[None, :] // HEAD) & inside[:, None] & inside[None, :]
    return channel[:, None] * HEAD + at[None, :] % HEAD, same


@triton.jit
def _load_state(state, weight, channel, inside, width, HEAD: tl.constexpr, BLOCK_C: tl.constexpr):
    """([C, C], [C], signs [C]) of an image's state; with weights, their magnitudes are in both and signs apart."""
    place, same = _state_places(channel, inside, HEAD, BLOCK_C)
    products = tl.load(state + place, same, 0.0)
    total = tl.load(state + width * HEAD + channel, inside, 0.0)
    sign = tl.full((BLOCK_C,), 1.0, tl.float32)
    if weight is not None:
        w = tl.load(weight + channel, inside, 0.0).to(tl.float32)
        sign = tl.where(w > 0.0, 1.0, tl.where(w < 0.0, -1.0, 0.0))
        products *= tl.abs(w)[:, None]
        total *= tl.abs(w)
    return products, total, sign


@triton.jit
def _store_state(
    partial, products, total, channel, inside, width, split, splits, HEAD: tl.constexpr, BLOCK_C: tl.constexpr
):  # fmt: skip
    place, same = _state_places(channel, inside, HEAD, BLOCK_C)
    base = partial + (tl.program_id(2) * splits + split).to(tl.int64) * width * (HEAD + 1)
    tl.store(base + place, products, same)
    tl.store(base + width * HEAD + channel, total, inside)


@triton.jit
def key_scales_kernel(
    key, scale, batch_stride, row_stride, tokens, width, epsilon, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr
):  # fmt: skip
    """scale float32 [B, N]: 1 / root mean square of a token's key."""
    token, image = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T), tl.program_id(1).to(tl.int64)
    row = key + image * batch_stride + token.to(tl.int64)[:, None] * row_stride
    squares = tl.zeros((BLOCK_T, BLOCK_C), tl.float32)
    for begin in range(0, width, BLOCK_C):
        channel = begin + tl.arange(0, BLOCK_C)
        found = tl.load(row + channel[None, :], (token < tokens)[:, None] & (channel < width)[None, :], 0.0)
        squares += found.to(tl.float32) * found.to(tl.float32)
    made = 1.0 / tl.sqrt(tl.sum(squares, axis=1) / width + epsilon)
    tl.store(scale + image * tokens + token, made, token < tokens)


@triton.jit
def state_kernel(
    key, value, scale, weight, partial, key_batch, key_row, value_batch, value_row, tokens, width, chunk, splits,
    HEAD: tl.constexpr, GROUP: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """partial float32 [B, splits, D (d + 1)]: the states of each run of `chunk` tokens."""
    channel, inside = _channels(width, HEAD, GROUP, BLOCK_C)
    split = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    sign = tl.full((BLOCK_C,), 1.0, tl.float32)
    if weight is not None:
        w = tl.load(weight + channel, inside, 0.0).to(tl.float32)
        sign = tl.where(w < 0.0, -1.0, 1.0)
    products = tl.zeros((BLOCK_C, BLOCK_C), tl.float32)
    total = tl.zeros((BLOCK_C,), tl.float32)
    begin = split * chunk
    end = tl.minimum(begin + chunk, tokens)
    for base in range(begin, end, BLOCK_T):
        token = base + tl.arange(0, BLOCK_T)
        tile = (token < end)[:, None] & inside[None, :]
        at = token.to(tl.int64)[:, None]
        k = tl.load(key + image * key_batch + at * key_row + channel[None, :], tile, 0.0).to(tl.float32)
        v = tl.load(value + image * value_batch + at * value_row + channel[None, :], tile, 0.0)
        k = tl.maximum(k * sign[None, :], 0.0)
        if scale is not None:
            k *= tl.load(scale + image * tokens + token, token < end, 0.0)[:, None]
        k = _operand(k, key)
        products = _dot(tl.trans(k), _operand(v, key), products, key)
        total += tl.sum(k.to(tl.float32), axis=0)
    if weight is not None:
        w = tl.abs(w)
        products *= w[:, None]
        total *= w
    _store_state(partial, products, total, channel, inside, width, split, splits, HEAD, BLOCK_C)


@triton.jit
def reduce_kernel(partial, state, entries, splits, BLOCK: tl.constexpr):
    """state float32 [B, entries]: sums over the splits of partial [B, splits, entries], in their order."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < entries
    image = tl.program_id(1).to(tl.int64)
    place = partial + image * splits * entries + at
    total = tl.zeros((BLOCK,), tl.float32)
    for _ in range(0, splits):
        total += tl.load(place, inside, 0.0)
        place += entries
    tl.store(state + image * entries + at, total, inside)


@triton.jit
def out_kernel(
    query, weight, state, out, query_batch, query_row, tokens, width, epsilon, chunk,
    HEAD: tl.constexpr, GROUP: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out [B, N, D], contiguous, of `chunk` tokens a program."""
    channel, inside = _channels(width, HEAD, GROUP, BLOCK_C)
    image = tl.program_id(2).to(tl.int64)
    products, total, sign = _load_state(
        state + image * width * (HEAD + 1), weight, channel, inside, width, HEAD, BLOCK_C
    )
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, tokens)
    for base in range(begin, end, BLOCK_T):
        token = base + tl.arange(0, BLOCK_T)
        tile = (token < end)[:, None] & inside[None, :]
        at = token.to(tl.int64)[:, None]
        q = tl.load(query + image * query_batch + at * query_row + channel[None, :], tile, 0.0)
        active = tl.maximum(q * sign.to(q.dtype)[None, :], 0.0)  # a sign and a ReLU lose no bits
        q = active.to(tl.float32)
        below = 1.0 / (_sum_of_head(q * total[None, :], HEAD, BLOCK_T, BLOCK_C) + epsilon)
        made = _dot_exact(_operand(active, query), products, query) * _to_channels(below, HEAD, BLOCK_T, BLOCK_C)
        if out.dtype.element_ty == tl.float16:
            made = tl.minimum(tl.maximum(made, -65504.0), 65504.0)
        tl.store(out + (image * tokens + at) * width + channel[None, :], made.to(out.dtype.element_ty), tile)


@triton.jit
def query_gradient_kernel(
    gradient, query, weight, state, found, partial, query_batch, query_row, tokens, width, epsilon, chunk, splits,
    HEAD: tl.constexpr, GROUP: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """found [B, N, D], the query's gradient from that of the output [B, N, D], and partial float32 [B, splits,
    D (d + 1)], that of the state with the magnitudes of the query's weights in it."""
    channel, inside = _channels(width, HEAD, GROUP, BLOCK_C)
    split = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    products, total, sign = _load_state(
        state + image * width * (HEAD + 1), weight, channel, inside, width, HEAD, BLOCK_C
    )
    turned = tl.trans(products)
    to_products = tl.zeros((BLOCK_C, BLOCK_C), tl.float32)
    to_total = tl.zeros((BLOCK_C,), tl.float32)
    begin = split * chunk
    end = tl.minimum(begin + chunk, tokens)
    for base in range(begin, end, BLOCK_T):
        token = base + tl.arange(0, BLOCK_T)
        tile = (token < end)[:, None] & inside[None, :]
        at = token.to(tl.int64)[:, None]
        place = (image * tokens + at) * width + channel[None, :]
        q = tl.load(query + image * query_batch + at * query_row + channel[None, :], tile, 0.0)
        slope = tl.load(gradient + place, tile, 0.0).to(tl.float32)
        active = tl.maximum(q * sign.to(q.dtype)[None, :], 0.0)  # a sign and a ReLU lose no bits
        q = active.to(tl.float32)
        below = 1.0 / (_sum_of_head(q * total[None, :], HEAD, BLOCK_T, BLOCK_C) + epsilon)
        made = _dot_exact(_operand(active, query), products, query) * _to_channels(below, HEAD, BLOCK_T, BLOCK_C)
        to_below = _sum_of_head(slope * made, HEAD, BLOCK_T, BLOCK_C) * below
        to_below = -_to_channels(to_below, HEAD, BLOCK_T, BLOCK_C)
        slope *= _to_channels(below, HEAD, BLOCK_T, BLOCK_C)
        to_products = _dot(tl.trans(_operand(active, query)), _operand(slope, query), to_products, query)
        to_total += tl.sum(q * to_below, axis=0)
        slope = _dot_exact(_operand(slope, query), turned, query) + to_below * total[None, :]
        slope = tl.where(q > 0.0, slope * sign[None, :], 0.0)
        tl.store(found + place, slope.to(found.dtype.element_ty), tile)
    _store_state(partial, to_products, to_total, channel, inside, width, split, splits, HEAD, BLOCK_C)


@triton.jit
def key_gradient_kernel(
    key, value, scale, weight, slopes, to_key, to_value, along, key_batch, key_row, value_batch, value_row, tokens,
    width, groups, chunk,
    HEAD: tl.constexpr, GROUP: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """to_key and to_value [B, N, D] from `slopes` float32 [B, D (d + 1)], the state's gradient. With a norm (scale,
    weight), to_key lacks what flows through the root mean square, and along float32 [B, N, groups] gets the sums of it
    times the key that `norm_gradient_kernel` needs for that."""
    channel, inside = _channels(width, HEAD, GROUP, BLOCK_C)
    group = tl.program_id(0)
    image = tl.program_id(2).to(tl.int64)
    products, total, sign = _load_state(
        slopes + image * width * (HEAD + 1), weight, channel, inside, width, HEAD, BLOCK_C
    )
    turned = tl.trans(products)
    begin = tl.program_id(1) * chunk
    end = tl.minimum(begin + chunk, tokens)
    for base in range(begin, end, BLOCK_T):
        token = base + tl.arange(0, BLOCK_T)
        tile = (token < end)[:, None] & inside[None, :]
        at = token.to(tl.int64)[:, None]
        place = (image * tokens + at) * width + channel[None, :]
        k = tl.load(key + image * key_batch + at * key_row + channel[None, :], tile, 0.0).to(tl.float32)
        v = tl.load(value + image * value_batch + at * value_row + channel[None, :], tile, 0.0)
        active = tl.maximum(k * sign[None, :], 0.0)
        slope = _dot_exact(_operand(v, key), turned, key) + total[None, :]
        slope = tl.where(active > 0.0, slope * sign[None, :], 0.0)
        if scale is not None:
            normal = tl.load(scale + image * tokens + token, token < end, 0.0)[:, None]
            active *= normal
            slope *= normal
            tl.store(along + (image * tokens + token) * groups + group, tl.sum(slope * k, axis=1), token < end)
        tl.store(to_key + place, slope.to(to_key.dtype.element_ty), tile)
        slope = _dot_exact(_operand(active, key), products, key)
        tl.store(to_value + place, slope.to(to_value.dtype.element_ty), tile)


@triton.jit
def norm_gradient_kernel(
    key, scale, along, to_key, key_batch, key_row, tokens, width, groups,
    BLOCK_T: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """to_key less what flows through the root mean square of each token's key."""
    token, image = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T), tl.program_id(1).to(tl.int64)
    group = tl.arange(0, BLOCK_G)
    there = token < tokens
    normal = tl.load(scale + image * tokens + token, there, 0.0)
    place = (image * tokens + token)[:, None] * groups + group[None, :]
    shares = tl.load(along + place, there[:, None] & (group < groups)[None, :], 0.0)
    share = (tl.sum(shares, axis=1) * normal * normal / width)[:, None]
    row = key + image * key_batch + token.to(tl.int64)[:, None] * key_row
    to_row = to_key + (image * tokens + token)[:, None] * width
    for begin in range(0, width, BLOCK_C):
        channel = begin + tl.arange(0, BLOCK_C)
        inside = there[:, None] & (channel < width)[None, :]
        found = tl.load(row + channel[None, :], inside, 0.0).to(tl.float32)
        slope = tl.load(to_row + channel[None, :], inside, 0.0).to(tl.float32) - found * share
        tl.store(to_row + channel[None, :], slope.to(to_key.dtype.element_ty), inside)
