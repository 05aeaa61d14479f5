"""Device functions of layer norm with modulation and gate with residual: whole tokens a program.

Sums over tokens, which the gradients of the modulation need, go over runs of tokens first and then over runs.
"""

from __future__ import annotations

from coevo.errors import missing_extra

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error


@triton.jit
def _row_of_batch(pointer, image, stride, channel, inside):
    return tl.load(pointer + image * stride + channel, inside, 0.0).to(tl.float32)[None, :]


@triton.jit
def norm_kernel(
    values, update, gate, scale, shift, added, normed, moments, gate_stride, scale_stride, shift_stride, tokens, width,
    epsilon, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """added = values + gate * update (with `update`; a gate of None is 1); normed = its norm, modulated (with `scale`);
    moments float32 [B, N, 2] (where given): its mean and 1 / standard deviation. Tensors are [B, N, D], contiguous."""
    token, image = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T), tl.program_id(1).to(tl.int64)
    channel = tl.arange(0, BLOCK_C)
    inside = channel < width
    tile = (token < tokens)[:, None] & inside[None, :]
    place = (image * tokens + token)[:, None] * width + channel[None, :]
    found = tl.load(values + place, tile, 0.0).to(tl.float32)
    if update is not None:
        more = tl.load(update + place, tile, 0.0).to(tl.float32)
        if gate is not None:
            more *= _row_of_batch(gate, image, gate_stride, channel, inside)
        rounded = (found + more).to(added.dtype.element_ty)
        tl.store(added + place, rounded, tile)
        found = rounded.to(tl.float32)
    if scale is not None:
        mean = tl.sum(found, axis=1) / width
        away = tl.where(tile, found - mean[:, None], 0.0)
        normal = 1.0 / tl.sqrt(tl.sum(away * away, axis=1) / width + epsilon)
        if moments is not None:
            at = moments + (image * tokens + token) * 2
            tl.store(at, mean, token < tokens)
            tl.store(at + 1, normal, token < tokens)
        made = away * normal[:, None] * (1.0 + _row_of_batch(scale, image, scale_stride, channel, inside))
        made += _row_of_batch(shift, image, shift_stride, channel, inside)
        tl.store(normed + place, made.to(normed.dtype.element_ty), tile)


@triton.jit
def gradient_kernel(
    to_added, to_normed, added, moments, gate, scale, to_values, to_update, gate_stride, scale_stride, tokens, width,
    BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """to_values [B, N, D] from `to_added` and `to_normed` (either may be None), and to_update (where given), that times
    the gate."""
    token, image = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T), tl.program_id(1).to(tl.int64)
    channel = tl.arange(0, BLOCK_C)
    inside = channel < width
    tile = (token < tokens)[:, None] & inside[None, :]
    place = (image * tokens + token)[:, None] * width + channel[None, :]
    total = tl.zeros((BLOCK_T, BLOCK_C), tl.float32)
    if to_normed is not None:
        at = moments + (image * tokens + token) * 2
        mean = tl.load(at, token < tokens, 0.0)[:, None]
        normal = tl.load(at + 1, token < tokens, 0.0)[:, None]
        slope = tl.load(to_normed + place, tile, 0.0).to(tl.float32)
        slope *= 1.0 + _row_of_batch(scale, image, scale_stride, channel, inside)
        away = tl.where(tile, (tl.load(added + place, tile, 0.0).to(tl.float32) - mean) * normal, 0.0)
        plain = tl.sum(slope, axis=1) / width
        along = tl.sum(slope * away, axis=1) / width
        total = (slope - plain[:, None] - away * along[:, None]) * normal
    if to_added is not None:
        total += tl.load(to_added + place, tile, 0.0).to(tl.float32)
    tl.store(to_values + place, total.to(to_values.dtype.element_ty), tile)
    if to_update is not None:
        if gate is not None:
            total *= _row_of_batch(gate, image, gate_stride, channel, inside)
        tl.store(to_update + place, total.to(to_update.dtype.element_ty), tile)


@triton.jit
def sums_kernel(
    to_values, to_normed, update, added, moments, partial, tokens, width, chunk, chunks,
    BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """partial float32 [B, chunks, 3, D]: over each run of `chunk` tokens, sums of to_normed (the shift's gradient), of
    it times the normed values (the scale's), and of to_values times update (the gate's); zeros for what is None."""
    channel = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < width
    run, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    plain = tl.zeros((BLOCK_T, BLOCK_C), tl.float32)
    along = tl.zeros((BLOCK_T, BLOCK_C), tl.float32)
    gated = tl.zeros((BLOCK_T, BLOCK_C), tl.float32)
    begin = run * chunk
    end = tl.minimum(begin + chunk, tokens)
    for base in range(begin, end, BLOCK_T):
        token = base + tl.arange(0, BLOCK_T)
        there = token < end
        tile = there[:, None] & inside[None, :]
        place = (image * tokens + token)[:, None] * width + channel[None, :]
        if to_normed is not None:
            at = moments + (image * tokens + token) * 2
            slope = tl.load(to_normed + place, tile, 0.0).to(tl.float32)
            away = tl.load(added + place, tile, 0.0).to(tl.float32) - tl.load(at, there, 0.0)[:, None]
            plain += slope
            along += slope * away * tl.load(at + 1, there, 0.0)[:, None]
        if update is not None:
            slope = tl.load(to_values + place, tile, 0.0).to(tl.float32)
            gated += slope * tl.load(update + place, tile, 0.0).to(tl.float32)
    at = partial + (image * chunks + run) * 3 * width + channel
    tl.store(at, tl.sum(plain, axis=0), inside)
    tl.store(at + width, tl.sum(along, axis=0), inside)
    tl.store(at + 2 * width, tl.sum(gated, axis=0), inside)


@triton.jit
def rms_kernel(values, weight, out, row_stride, tokens, width, epsilon, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr):
    """out [N, D], contiguous, = values / root mean square * weight; rows of values at any stride."""
    token = (tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)).to(tl.int64)
    channel = tl.arange(0, BLOCK_C)
    tile = (token < tokens)[:, None] & (channel < width)[None, :]
    found = tl.load(values + token[:, None] * row_stride + channel[None, :], tile, 0.0).to(tl.float32)
    normal = 1.0 / tl.sqrt(tl.sum(found * found, axis=1) / width + epsilon)
    w = tl.load(weight + channel, channel < width, 0.0).to(tl.float32)
    found *= normal[:, None] * w[None, :]
    tl.store(out + token[:, None] * width + channel[None, :], found.to(out.dtype.element_ty), tile)


@triton.jit
def rms_gradient_kernel(
    gradient, values, weight, to_values, partial, row_stride, tokens, width, epsilon, chunk,
    BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """to_values [N, D], and partial float32 [programs, D]: the weight's gradient, over runs of `chunk` tokens."""
    channel = tl.arange(0, BLOCK_C)
    inside = channel < width
    w = tl.load(weight + channel, inside, 0.0).to(tl.float32)[None, :]
    total = tl.zeros((BLOCK_T, BLOCK_C), tl.float32)
    begin = tl.program_id(0) * chunk
    end = tl.minimum(begin + chunk, tokens)
    for base in range(begin, end, BLOCK_T):
        token = (base + tl.arange(0, BLOCK_T)).to(tl.int64)
        tile = (token < end)[:, None] & inside[None, :]
        place = token[:, None] * width + channel[None, :]
        found = tl.load(values + token[:, None] * row_stride + channel[None, :], tile, 0.0).to(tl.float32)
        slope = tl.load(gradient + place, tile, 0.0).to(tl.float32)
        normal = (1.0 / tl.sqrt(tl.sum(found * found, axis=1) / width + epsilon))[:, None]
        found *= normal
        total += slope * found
        slope *= w
        along = tl.sum(slope * found, axis=1)[:, None] / width
        tl.store(to_values + place, ((slope - found * along) * normal).to(to_values.dtype.element_ty), tile)
    tl.store(partial + tl.program_id(0) * width + channel, tl.sum(total, axis=0), inside)
