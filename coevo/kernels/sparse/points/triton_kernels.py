"""Device functions of the point operators. Every sum has a fixed order; there is no atomic operation."""

from __future__ import annotations

from coevo.errors import missing_extra

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error


@triton.jit
def weighted_gather_kernel(
    features, rows, weights, added, out, count, num_rows, channels,
    J: tl.constexpr, HAS_COUNT: tl.constexpr, HAS_ADDED: tl.constexpr, WIDE: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out [P, C] = added + the sum over j of weights [P, J] * features [N, C] at rows [P, J]; zeros from row count on,
    because what is 0 times something that was never written may be NaN in a gradient."""
    limit = num_rows
    if HAS_COUNT:
        limit = tl.load(count)
    at = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = at < limit
    tile = inside[:, None] & (channel < channels)[None, :]
    total = tl.zeros((BLOCK_P, BLOCK_C), tl.float64 if WIDE else tl.float32)
    for j in tl.static_range(J):
        row = tl.load(rows + at * J + j, inside, -1)
        weight = tl.load(weights + at * J + j, inside & (row >= 0), 0.0)
        place = features + row.to(tl.int64)[:, None] * channels + channel[None, :]
        found = tl.load(place, tile & (row >= 0)[:, None], 0.0)
        total += weight[:, None].to(total.dtype) * found.to(total.dtype)
    place = at.to(tl.int64)[:, None] * channels + channel[None, :]
    if HAS_ADDED:
        total += tl.load(added + place, tile, 0.0).to(total.dtype)
    written = (at < num_rows)[:, None] & (channel < channels)[None, :]
    tl.store(out + place, total.to(out.dtype.element_ty), written)


@triton.jit
def segment_sum_kernel(
    source, order, starts, weights, out, channels,
    EACH: tl.constexpr, HAS_WEIGHTS: tl.constexpr, MEAN: tl.constexpr, WIDE: tl.constexpr,
    BLOCK_E: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out [S, C]: the sum (or mean) over the entries e of a segment of weights [E] * source [E / EACH, C]."""
    segment = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    begin, end = tl.load(starts + segment), tl.load(starts + segment + 1)
    lanes = tl.arange(0, BLOCK_E)
    total = tl.zeros((BLOCK_E, BLOCK_C), tl.float64 if WIDE else tl.float32)
    for base in range(begin, end, BLOCK_E):
        inside = base + lanes < end
        entry = tl.load(order + base + lanes, inside, 0)
        place = source + (entry // EACH).to(tl.int64)[:, None] * channels + channel[None, :]
        found = tl.load(place, inside[:, None] & (channel < channels)[None, :], 0.0).to(total.dtype)
        if HAS_WEIGHTS:
            found *= tl.load(weights + entry, inside, 0.0)[:, None].to(total.dtype)
        total += found
    summed = tl.sum(total, axis=0)
    if MEAN:
        summed /= tl.maximum(end - begin, 1).to(summed.dtype)
    tl.store(out + segment.to(tl.int64) * channels + channel, summed.to(out.dtype.element_ty), channel < channels)


@triton.jit
def gather_mean_gradient_kernel(
    gradient, index, starts, out, count_rows, channels, WIDE: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out [P, C]: gradient [S, C] of the segment index [P] over its length; 0 for an index of -1."""
    at = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = at < count_rows
    segment = tl.load(index + at, inside, -1)
    present = segment >= 0
    length = tl.load(starts + segment + 1, present, 1) - tl.load(starts + segment, present, 0)
    tile = present[:, None] & (channel < channels)[None, :]
    found = tl.load(gradient + segment.to(tl.int64)[:, None] * channels + channel[None, :], tile, 0.0)
    share = found.to(tl.float64 if WIDE else tl.float32) / tl.maximum(length, 1)[:, None]
    place = at.to(tl.int64)[:, None] * channels + channel[None, :]
    tl.store(out + place, share.to(out.dtype.element_ty), inside[:, None] & (channel < channels)[None, :])


@triton.jit
def pool_kernel(
    features, neighbours, count, out, chosen, capacity, channels,
    K: tl.constexpr, LARGEST: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out [M, C]: the largest (with the offset chosen int8 [M, C]) or the mean of the rows neighbours [K, M] names.

    For the mean, chosen is int32 [M]: how many rows there were.
    """
    limit = tl.load(count)
    first = tl.program_id(0) * BLOCK_M
    if first >= limit:
        return
    at = first + tl.arange(0, BLOCK_M)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = at < limit
    tile = inside[:, None] & (channel < channels)[None, :]
    if LARGEST:
        best = tl.full((BLOCK_M, BLOCK_C), float("-inf"), features.dtype.element_ty)
        offset = tl.full((BLOCK_M, BLOCK_C), -1, tl.int32)
        for k in range(K):
            row = tl.load(neighbours + k * capacity + at, inside, -1)
            there = tile & (row >= 0)[:, None]
            place = features + row.to(tl.int64)[:, None] * channels + channel[None, :]
            found = tl.load(place, there, float("-inf"))
            better = there & ((found > best) | (found != found) | (offset < 0))  # noqa: PLR0124 (NaN wins, as in torch.max)
            best = tl.where(better, found, best)
            offset = tl.where(better, k, offset)
        place = at.to(tl.int64)[:, None] * channels + channel[None, :]
        tl.store(out + place, tl.where(offset < 0, 0.0, best).to(out.dtype.element_ty), tile)
        tl.store(chosen + place, offset.to(tl.int8), tile)
    else:
        total = tl.zeros((BLOCK_M, BLOCK_C), tl.float64 if features.dtype.element_ty == tl.float64 else tl.float32)
        present = tl.zeros((BLOCK_M,), tl.int32)
        for k in range(K):
            row = tl.load(neighbours + k * capacity + at, inside, -1)
            place = features + row.to(tl.int64)[:, None] * channels + channel[None, :]
            total += tl.load(place, tile & (row >= 0)[:, None], 0.0).to(total.dtype)
            present += (row >= 0).to(tl.int32)
        mean = total / tl.maximum(present, 1)[:, None].to(total.dtype)
        place = at.to(tl.int64)[:, None] * channels + channel[None, :]
        tl.store(out + place, mean.to(out.dtype.element_ty), tile)
        tl.store(chosen + at, present, inside & (tl.program_id(1) == 0))


@triton.jit
def pool_gradient_kernel(
    gradient, outputs, count, chosen, out, capacity, channels,
    K: tl.constexpr, LARGEST: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out [N, C]: what the output rows that outputs [K, N] names hand back to their input rows, offset by offset."""
    limit = tl.load(count)
    at = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = at < limit
    tile = inside[:, None] & (channel < channels)[None, :]
    total = tl.zeros((BLOCK_M, BLOCK_C), tl.float64 if gradient.dtype.element_ty == tl.float64 else tl.float32)
    for k in range(K):
        row = tl.load(outputs + k * capacity + at, inside, -1)
        there = tile & (row >= 0)[:, None]
        place = row.to(tl.int64)[:, None] * channels + channel[None, :]
        found = tl.load(gradient + place, there, 0.0).to(total.dtype)
        if LARGEST:
            total += tl.where(tl.load(chosen + place, there, -1) == k, found, 0.0)
        else:
            shared = tl.load(chosen + row, inside & (row >= 0), 1)
            total += found / tl.maximum(shared, 1)[:, None].to(total.dtype)
    written = (at < capacity)[:, None] & (channel < channels)[None, :]
    tl.store(out + at.to(tl.int64)[:, None] * channels + channel[None, :], total.to(out.dtype.element_ty), written)
