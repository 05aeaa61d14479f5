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
    partial, count, moments, running_mean, running_variance, momentum, epsilon, channels, chunk_rows, chunks,
    TRACKS: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """moments float32 [2, C]: mean and 1 / standard deviation (Chan et al., 1983); the running statistics move towards
    them."""
    limit = tl.load(count)
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
def normalize_kernel(
    values, count, moments, weight, bias, residual, out, rows, channels,
    HAS_RESIDUAL: tl.constexpr, RELU: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """out = (values - mean) / deviation * weight + bias, plus the residual, not below 0; zeros from row count on."""
    limit = tl.load(count)
    at = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    tile = (at < limit)[:, None] & inside[None, :]
    scale = tl.load(moments + channels + channel, inside, 0.0) * tl.load(weight + channel, inside, 0.0)
    shift = tl.load(bias + channel, inside, 0.0) - tl.load(moments + channel, inside, 0.0) * scale
    place = at.to(tl.int64)[:, None] * channels + channel[None, :]
    found = tl.load(values + place, tile, 0.0).to(tl.float32) * scale[None, :] + shift[None, :]
    if HAS_RESIDUAL:
        found += tl.load(residual + place, tile, 0.0).to(tl.float32)
    if RELU:
        found = tl.where(found < 0.0, 0.0, found)  # NaN stays
    found = tl.where(tile, found, 0.0)
    tl.store(out + place, found.to(out.dtype.element_ty), (at < rows)[:, None] & inside[None, :])


@triton.jit
def gradient_sums_kernel(
    gradient, values, out, count, moments, partial, gradient_stride, channels, chunk_rows, chunks,
    RELU: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """partial float32 [2, chunks, C]: sums over each chunk of the gradient, and of it times the normalised values."""
    limit = tl.load(count)
    chunk = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    mean = tl.load(moments + channel, inside, 0.0)
    scale = tl.load(moments + channels + channel, inside, 0.0)
    plain = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
    along = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
    begin = chunk * chunk_rows
    end = tl.minimum(begin + chunk_rows, limit)
    for base in range(begin, end, BLOCK_R):
        at = base + tl.arange(0, BLOCK_R)
        tile = (at < end)[:, None] & inside[None, :]
        place = at.to(tl.int64)[:, None] * channels + channel[None, :]
        slope = tl.load(gradient + at.to(tl.int64)[:, None] * gradient_stride + channel[None, :], tile, 0.0)
        slope = slope.to(tl.float32)
        if RELU:
            slope = tl.where(tl.load(out + place, tile, 0.0) > 0.0, slope, 0.0)
        found = tl.load(values + place, tile, 0.0).to(tl.float32)
        plain += slope
        along += slope * (found - mean[None, :]) * scale[None, :]
    tl.store(partial + chunk * channels + channel, tl.sum(plain, axis=0), inside)
    tl.store(partial + (chunks + chunk) * channels + channel, tl.sum(along, axis=0), inside)


@triton.jit
def settle_sums_kernel(
    partial, sums, channels, chunks, BLOCK_G: tl.constexpr, BLOCK_C: tl.constexpr
):  # fmt: skip
    """sums float32 [2, C], of partial [2, chunks, C]."""
    channel = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    chunk = tl.arange(0, BLOCK_G)
    tile = (chunk < chunks)[:, None] & inside[None, :]
    place = partial + chunk[:, None] * channels + channel[None, :]
    tl.store(sums + channel, tl.sum(tl.load(place, tile, 0.0), axis=0), inside)
    tl.store(sums + channels + channel, tl.sum(tl.load(place + chunks * channels, tile, 0.0), axis=0), inside)


@triton.jit
def gradient_kernel(
    gradient, values, out, count, moments, sums, weight, found, residual, gradient_stride, rows, channels,
    BATCH: tl.constexpr, RELU: tl.constexpr, HAS_RESIDUAL: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """found, the gradient of the values, and residual, that of the residual; zeros from row count on. BATCH: the
    moments are the batch's own."""
    limit = tl.load(count)
    at = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    tile = (at < limit)[:, None] & inside[None, :]
    place = at.to(tl.int64)[:, None] * channels + channel[None, :]
    slope = tl.load(gradient + at.to(tl.int64)[:, None] * gradient_stride + channel[None, :], tile, 0.0).to(tl.float32)
    if RELU:
        slope = tl.where(tl.load(out + place, tile, 0.0) > 0.0, slope, 0.0)
    written = (at < rows)[:, None] & inside[None, :]
    if HAS_RESIDUAL:
        tl.store(residual + place, slope.to(residual.dtype.element_ty), written)
    scale = tl.load(moments + channels + channel, inside, 0.0)
    if BATCH:
        mean = tl.load(moments + channel, inside, 0.0)
        total = tl.maximum(limit, 1).to(tl.float32)
        plain = tl.load(sums + channel, inside, 0.0) / total
        along = tl.load(sums + channels + channel, inside, 0.0) / total
        normal = (tl.load(values + place, tile, 0.0).to(tl.float32) - mean[None, :]) * scale[None, :]
        slope -= plain[None, :] + normal * along[None, :]
    slope *= (scale * tl.load(weight + channel, inside, 0.0))[None, :]
    tl.store(found + place, tl.where(tile, slope, 0.0).to(found.dtype.element_ty), written)
