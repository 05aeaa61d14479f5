"""Device functions of batch normalisation with its residual and ReLU: sums over chunks of rows, then over chunks.

The rows in use are counted on the device; the order of every sum depends on the shapes and that count alone.
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


@triton.jit
def moments_kernel(
    values, count, partial, channels, chunk_rows, chunks,
    BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """partial float32 [2, chunks, C]: mean and sum of squared deviations of each chunk of rows.

    Both are summed about the mean of the chunk's first rows, so that neither is a small difference of large sums; tiles
    add up lane by lane and are reduced once.
    """
    limit = tl.load(count)
    chunk = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    begin = chunk * chunk_rows
    end = tl.minimum(begin + chunk_rows, limit)
    at = begin + tl.arange(0, BLOCK_R)
    tile = (at < end)[:, None] & inside[None, :]
    found = tl.load(values + at.to(tl.int64)[:, None] * channels + channel[None, :], tile, 0.0).to(tl.float32)
    about = tl.sum(found, axis=0) / tl.minimum(tl.maximum(end - begin, 1), BLOCK_R).to(tl.float32)
    away = tl.where(tile, found - about[None, :], 0.0)
    plain, squares = away, away * away
    for base in range(begin + BLOCK_R, end, BLOCK_R):
        at = base + tl.arange(0, BLOCK_R)
        tile = (at < end)[:, None] & inside[None, :]
        found = tl.load(values + at.to(tl.int64)[:, None] * channels + channel[None, :], tile, 0.0).to(tl.float32)
        away = tl.where(tile, found - about[None, :], 0.0)
        plain += away
        squares += away * away
    seen = tl.maximum(end - begin, 1).to(tl.float32)
    shift = tl.sum(plain, axis=0) / seen
    tl.store(partial + chunk * channels + channel, about + shift, inside)
    spread = tl.maximum(tl.sum(squares, axis=0) - seen * shift * shift, 0.0)
    tl.store(partial + (chunks + chunk) * channels + channel, spread, inside)


@triton.jit
def settle_moments_kernel(
    partial, count, moments, running_mean, running_variance, batches, momentum, epsilon, channels, chunk_rows, chunks,
    TRACKS: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """moments float32 [2, C]: mean and 1 / standard deviation (Chan et al., 1983); the running statistics move towards
    them, and `batches`, where it is given, counts one more."""
    limit = tl.load(count)
    if batches is not None:  # noqa: SIM102 - decided when compiled, and the other when run
        if tl.program_id(0) == 0:
            tl.store(batches, tl.load(batches) + 1)
    channel = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    chunk = tl.arange(0, BLOCK_G)
    tile = (chunk < chunks)[:, None] & inside[None, :]
    place = partial + chunk[:, None] * channels + channel[None, :]
    rows = tl.minimum(tl.maximum(limit - chunk * chunk_rows, 0), chunk_rows).to(tl.float32)
    total = tl.maximum(limit, 1).to(tl.float32)
    means = tl.load(place, tile, 0.0)
    mean = tl.sum(means * rows[:, None], axis=0) / total
    away = means - mean[None, :]
    squares = tl.load(place + chunks * channels, tile, 0.0) + rows[:, None] * away * away
    variance = tl.sum(squares, axis=0) / total
    tl.store(moments + channel, mean, inside)
    tl.store(moments + channels + channel, 1.0 / tl.sqrt(variance + epsilon), inside)
    if TRACKS:
        unbiased = variance * (total / tl.maximum(total - 1.0, 1.0))
        held = tl.load(running_mean + channel, inside, 0.0).to(tl.float32)
        spread = tl.load(running_variance + channel, inside, 0.0).to(tl.float32)
        there = inside & (limit > 0)
        tl.store(running_mean + channel, held + momentum * (mean - held), there)
        tl.store(running_variance + channel, spread + momentum * (unbiased - spread), there)


@triton.jit
def _line(moments, weight, bias, channel, inside, channels):
    """(scale, shift) by which a value is normalised."""
    scale = tl.load(moments + channels + channel, inside, 0.0) * tl.load(weight + channel, inside, 0.0)
    return scale, tl.load(bias + channel, inside, 0.0) - tl.load(moments + channel, inside, 0.0) * scale


@triton.jit
def normalize_kernel(
    values, count, moments, weight, bias, residual, other, other_moments, other_weight, other_bias, out, rows, channels,
    RELU: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out = (values - mean) / deviation * weight + bias, plus the residual, plus the other values normalised likewise
    (either where it is given), not below 0; zeros from row count on."""
    limit = tl.load(count)
    at = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    tile = (at < limit)[:, None] & inside[None, :]
    scale, shift = _line(moments, weight, bias, channel, inside, channels)
    place = at.to(tl.int64)[:, None] * channels + channel[None, :]
    found = tl.load(values + place, tile, 0.0).to(tl.float32) * scale[None, :] + shift[None, :]
    if residual is not None:
        found += tl.load(residual + place, tile, 0.0).to(tl.float32)
    if other is not None:
        scale, shift = _line(other_moments, other_weight, other_bias, channel, inside, channels)
        found += tl.load(other + place, tile, 0.0).to(tl.float32) * scale[None, :] + shift[None, :]
    if RELU:
        found = tl.where(found < 0.0, 0.0, found)  # NaN stays
    found = tl.where(tile, found, 0.0)
    tl.store(out + place, found.to(out.dtype.element_ty), (at < rows)[:, None] & inside[None, :])


@triton.jit
def _result(
    found, place, tile, line, added, other, other_moments, other_weight, other_bias, channel, inside, channels
):  # fmt: skip
    """float32 [rows, C], what `normalize_kernel` gave with a ReLU, computed again of the values `found`."""
    made = found * line[0][None, :] + line[1][None, :]
    if added is not None:
        made += tl.load(added + place, tile, 0.0).to(tl.float32)
    if other is not None:
        scale, shift = _line(other_moments, other_weight, other_bias, channel, inside, channels)
        made += tl.load(other + place, tile, 0.0).to(tl.float32) * scale[None, :] + shift[None, :]
    return tl.where(made < 0.0, 0.0, made)


@triton.jit
def gradient_sums_kernel(
    gradient, values, out, again, added, other, count, moments, weight, bias, other_moments, other_weight, other_bias,
    partial, gradient_stride, channels, chunk_rows, chunks, RELU: tl.constexpr, BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
):  # fmt: skip
    """partial float32 [2, chunks, C]: sums over each chunk of the gradient, and of it times the normalised values; and
    [3, chunks, C] with `other`, whose values are normalised and added. Where the ReLU let nothing pass is read off
    `out`; where that was not kept, it is computed again (`added` is the residual) and left in `again`, if given."""
    limit = tl.load(count)
    chunk = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    mean = tl.load(moments + channel, inside, 0.0)
    scale = tl.load(moments + channels + channel, inside, 0.0)
    plain = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
    along = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
    if out is None:
        line = _line(moments, weight, bias, channel, inside, channels)
    if other is not None:
        beside = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
        other_mean = tl.load(other_moments + channel, inside, 0.0)
        other_scale = tl.load(other_moments + channels + channel, inside, 0.0)
    begin = chunk * chunk_rows
    end = tl.minimum(begin + chunk_rows, limit)
    for base in range(begin, end, BLOCK_R):
        at = base + tl.arange(0, BLOCK_R)
        tile = (at < end)[:, None] & inside[None, :]
        place = at.to(tl.int64)[:, None] * channels + channel[None, :]
        slope = tl.load(gradient + at.to(tl.int64)[:, None] * gradient_stride + channel[None, :], tile, 0.0)
        slope = slope.to(tl.float32)
        found = tl.load(values + place, tile, 0.0).to(tl.float32)
        if RELU:
            if out is None:
                made = _result(
                    found, place, tile, line, added, other, other_moments, other_weight, other_bias, channel, inside,
                    channels,
                ).to(values.dtype.element_ty)  # fmt: skip
                if again is not None:
                    tl.store(again + place, made, tile)
                slope = tl.where(made > 0.0, slope, 0.0)
            else:
                slope = tl.where(tl.load(out + place, tile, 0.0) > 0.0, slope, 0.0)
        plain += slope
        along += slope * (found - mean[None, :]) * scale[None, :]
        if other is not None:
            found = tl.load(other + place, tile, 0.0).to(tl.float32)
            beside += slope * (found - other_mean[None, :]) * other_scale[None, :]
    tl.store(partial + chunk * channels + channel, tl.sum(plain, axis=0), inside)
    tl.store(partial + (chunks + chunk) * channels + channel, tl.sum(along, axis=0), inside)
    if other is not None:
        tl.store(partial + (2 * chunks + chunk) * channels + channel, tl.sum(beside, axis=0), inside)


@triton.jit
def settle_sums_kernel(
    partial, sums, channels, chunks, BLOCK_G: tl.constexpr, BLOCK_C: tl.constexpr
):  # fmt: skip
    """sums float32 [S, C], of partial [S, chunks, C], one of S by every row of programs."""
    channel = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    chunk = tl.arange(0, BLOCK_G)
    tile = (chunk < chunks)[:, None] & inside[None, :]
    place = partial + (tl.program_id(1) * chunks + chunk)[:, None] * channels + channel[None, :]
    tl.store(sums + tl.program_id(1) * channels + channel, tl.sum(tl.load(place, tile, 0.0), axis=0), inside)


@triton.jit
def _slope_of_values(slope, values, place, tile, moments, weight, plain, along, channel, inside, channels):
    """The gradient of values from that of what they were normalised to, and the means of the latter by itself and
    times the normalised values."""
    mean = tl.load(moments + channel, inside, 0.0)
    scale = tl.load(moments + channels + channel, inside, 0.0)
    normal = (tl.load(values + place, tile, 0.0).to(tl.float32) - mean[None, :]) * scale[None, :]
    slope = slope - plain[None, :] - normal * along[None, :]
    return slope * (scale * tl.load(weight + channel, inside, 0.0))[None, :]


@triton.jit
def gradient_kernel(
    gradient, values, out, added, other, count, moments, weight, bias, other_moments, other_weight, other_bias, sums,
    found, residual, other_found, gradient_stride, rows, channels, BATCH: tl.constexpr, RELU: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """found, the gradient of the values, and, where they are given, residual, that of the residual, and other_found,
    that of the other values; zeros from row count on. BATCH: the moments are the batch's own. `out` as above; found may
    be gradient or values, and other_found other."""
    limit = tl.load(count)
    at = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    tile = (at < limit)[:, None] & inside[None, :]
    place = at.to(tl.int64)[:, None] * channels + channel[None, :]
    slope = tl.load(gradient + at.to(tl.int64)[:, None] * gradient_stride + channel[None, :], tile, 0.0).to(tl.float32)
    if RELU:
        if out is None:
            made = _result(
                tl.load(values + place, tile, 0.0).to(tl.float32), place, tile,
                _line(moments, weight, bias, channel, inside, channels), added, other, other_moments, other_weight,
                other_bias, channel, inside, channels,
            )  # fmt: skip
            slope = tl.where(made.to(values.dtype.element_ty) > 0.0, slope, 0.0)
        else:
            slope = tl.where(tl.load(out + place, tile, 0.0) > 0.0, slope, 0.0)
    written = (at < rows)[:, None] & inside[None, :]
    if residual is not None:
        tl.store(residual + place, slope.to(residual.dtype.element_ty), written)
    if BATCH:
        total = tl.maximum(limit, 1).to(tl.float32)
        plain = tl.load(sums + channel, inside, 0.0) / total
        if other is not None:
            beside = tl.load(sums + 2 * channels + channel, inside, 0.0) / total
            turned = _slope_of_values(
                slope, other, place, tile, other_moments, other_weight, plain, beside, channel, inside, channels
            )
            tl.store(other_found + place, tl.where(tile, turned, 0.0).to(other_found.dtype.element_ty), written)
        along = tl.load(sums + channels + channel, inside, 0.0) / total
        slope = _slope_of_values(slope, values, place, tile, moments, weight, plain, along, channel, inside, channels)
    else:
        scale = tl.load(moments + channels + channel, inside, 0.0)
        slope *= (scale * tl.load(weight + channel, inside, 0.0))[None, :]
    tl.store(found + place, tl.where(tile, slope, 0.0).to(found.dtype.element_ty), written)


@triton.jit
def add_kernel(one, two, out, one_stride, two_stride, count, channels, BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr):
    """out [rows, C] = one + two, of any strides of rows; nothing from row count on."""
    at = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    tile = (at < tl.load(count))[:, None] & (channel < channels)[None, :]
    row = at.to(tl.int64)[:, None]
    total = tl.load(one + row * one_stride + channel[None, :], tile, 0.0).to(tl.float32)
    total += tl.load(two + row * two_stride + channel[None, :], tile, 0.0).to(tl.float32)
    tl.store(out + row * channels + channel[None, :], total.to(out.dtype.element_ty), tile)
