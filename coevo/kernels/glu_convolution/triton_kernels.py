"""Device functions of SiLU, depthwise 3x3 convolution and gate.

A program walks along the columns of a strip of four image rows, for a block of channels. Each column's six pixels
(four and one above and below) are read and put through SiLU once, and added at once to the sums of the three columns
that they touch; sums stay in registers, and only the halo is read twice (out of a cache).
"""

from __future__ import annotations

from coevo.errors import missing_extra

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

ROWS = 4
"""Image rows of a strip: what the device functions below write out."""


@triton.jit
def _tanh(x):
    """One instruction, within 2^-11 of the result."""
    return tl.inline_asm_elementwise("tanh.approx.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def _sigmoids(one, two, FAST: tl.constexpr):
    """Sigmoids of two values: by one reciprocal for both, since these are rarer than multiplications; or FAST, within
    2^-12 of them, which times a value is an eighth of what rounding that value to bfloat16 may have moved."""
    if FAST:
        p, q = 0.5 * _tanh(0.5 * one) + 0.5, 0.5 * _tanh(0.5 * two) + 0.5
    else:
        first = 1.0 + tl.exp2(tl.minimum(one * -1.4426950408889634, 60.0))
        second = 1.0 + tl.exp2(tl.minimum(two * -1.4426950408889634, 60.0))
        root = tl.rsqrt(first * second)
        both = root * root
        p, q = both * second, both * first
    return p, q


@triton.jit
def _silus(one, two, FAST: tl.constexpr):
    """SiLU of two values."""
    if FAST:
        one, two = 0.5 * one, 0.5 * two
        p, q = one * _tanh(one) + one, two * _tanh(two) + two
    else:
        p, q = _sigmoids(one, two, FAST)
        p, q = one * p, two * q
    return p, q


@triton.jit
def _pixel(pointer, offset, there):
    return tl.load(pointer + offset, there, 0.0).to(tl.float32)


@triton.jit
def _silu_column(
    straight, gate, y, x, height, width, inside, row_stride, pixel_stride, FAST: tl.constexpr
):  # fmt: skip
    """SiLU of six pixels of a column, rows y - 1 to y + 4, in both halves of the channels; 0 outside the image."""
    along = (x >= 0) & (x < width)
    at = x * pixel_stride + y.to(tl.int64) * row_stride
    t0 = inside & along & (y >= 1) & (y - 1 < height)
    t1 = inside & along & (y < height)
    t2 = inside & along & (y + 1 < height)
    t3 = inside & along & (y + 2 < height)
    t4 = inside & along & (y + 3 < height)
    t5 = inside & along & (y + 4 < height)
    a0, g0 = _pixel(straight, at - row_stride, t0), _pixel(gate, at - row_stride, t0)
    a1, g1 = _pixel(straight, at, t1), _pixel(gate, at, t1)
    a2, g2 = _pixel(straight, at + row_stride, t2), _pixel(gate, at + row_stride, t2)
    a3, g3 = _pixel(straight, at + 2 * row_stride, t3), _pixel(gate, at + 2 * row_stride, t3)
    a4, g4 = _pixel(straight, at + 3 * row_stride, t4), _pixel(gate, at + 3 * row_stride, t4)
    a5, g5 = _pixel(straight, at + 4 * row_stride, t5), _pixel(gate, at + 4 * row_stride, t5)
    a0, g0 = _silus(a0, g0, FAST)
    a1, g1 = _silus(a1, g1, FAST)
    a2, g2 = _silus(a2, g2, FAST)
    a3, g3 = _silus(a3, g3, FAST)
    a4, g4 = _silus(a4, g4, FAST)
    a5, g5 = _silus(a5, g5, FAST)
    return (a0, a1, a2, a3, a4, a5), (g0, g1, g2, g3, g4, g5)


@triton.jit
def _add(sums, s, low, middle, high):
    """Four rows' sums plus one column of taps over six pixels."""
    return (
        sums[0] + low * s[0] + middle * s[1] + high * s[2],
        sums[1] + low * s[1] + middle * s[2] + high * s[3],
        sums[2] + low * s[2] + middle * s[3] + high * s[4],
        sums[3] + low * s[3] + middle * s[4] + high * s[5],
    )


@triton.jit
def _weights(weight, channel, inside):
    """Nine taps of each channel, [row of the kernel][column of the kernel]."""
    at = weight + channel * 9
    return (
        (_pixel(at, 0, inside), _pixel(at, 1, inside), _pixel(at, 2, inside)),
        (_pixel(at, 3, inside), _pixel(at, 4, inside), _pixel(at, 5, inside)),
        (_pixel(at, 6, inside), _pixel(at, 7, inside), _pixel(at, 8, inside)),
    )


@triton.jit
def _place(strips, segments, COLUMNS: tl.constexpr, ROWS: tl.constexpr):
    """(image, first row, first column) of a program."""
    at = tl.program_id(0)
    segment = at % segments
    strip = (at // segments) % strips
    return (at // (segments * strips)).to(tl.int64), strip * ROWS, segment * COLUMNS


@triton.jit
def _gate_gradient(gradient, a, g, sigmoid):
    """Gradients of a and g from that of a * SiLU(g)."""
    return gradient * g * sigmoid, gradient * a * sigmoid * (1.0 + g * (1.0 - sigmoid))


@triton.jit
def convolve_kernel(
    values, weight, bias, gradient, out, height, width, channels, strips, segments,
    COLUMNS: tl.constexpr, BLOCK_C: tl.constexpr, FAST: tl.constexpr,
):  # fmt: skip
    """out [B, H, W, h] = a * SiLU(g); or, with `gradient` [B, H, W, h] of that, out [B, H, W, 2 h]: those of a and g.

    values [B, H, W, 2 h], weight [2 h, 9], bias [2 h]; h is `channels`.
    """
    image, y, begin = _place(strips, segments, COLUMNS, 4)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    pixel_stride = 2 * channels
    row_stride = tl.cast(pixel_stride, tl.int64) * width
    straight = values + image * height * row_stride + channel
    gate = straight + channels
    wa = _weights(weight, channel, inside)
    wg = _weights(weight, channel + channels, inside)
    ba = _pixel(bias, channel, inside)
    bg = _pixel(bias, channel + channels, inside)
    last_a, last_g = (ba, ba, ba, ba), (bg, bg, bg, bg)
    this_a, this_g = (ba, ba, ba, ba), (bg, bg, bg, bg)
    out_row = row_stride if gradient is not None else row_stride // 2
    out_pixel = pixel_stride if gradient is not None else channels
    for step in range(0, COLUMNS + 2):
        x = begin - 1 + step
        sa, sg = _silu_column(straight, gate, y, x, height, width, inside, row_stride, pixel_stride, FAST)
        last_a = _add(last_a, sa, wa[0][2], wa[1][2], wa[2][2])
        last_g = _add(last_g, sg, wg[0][2], wg[1][2], wg[2][2])
        this_a = _add(this_a, sa, wa[0][1], wa[1][1], wa[2][1])
        this_g = _add(this_g, sg, wg[0][1], wg[1][1], wg[2][1])
        next_a = _add((ba, ba, ba, ba), sa, wa[0][0], wa[1][0], wa[2][0])
        next_g = _add((bg, bg, bg, bg), sg, wg[0][0], wg[1][0], wg[2][0])
        done = inside & (step >= 2) & (x - 1 < width)
        at = out + (image * height + y) * out_row + (x - 1) * out_pixel + channel
        t0, t1, t2, t3 = done & (y < height), done & (y + 1 < height), done & (y + 2 < height), done & (y + 3 < height)
        if gradient is not None:
            p0, p1 = _sigmoids(last_g[0], last_g[1], FAST)
            p2, p3 = _sigmoids(last_g[2], last_g[3], FAST)
            slope = gradient + (image * height + y) * (row_stride // 2) + (x - 1) * channels + channel
            half = row_stride // 2
            da0, dg0 = _gate_gradient(_pixel(slope, 0, t0), last_a[0], last_g[0], p0)
            da1, dg1 = _gate_gradient(_pixel(slope, half, t1), last_a[1], last_g[1], p1)
            da2, dg2 = _gate_gradient(_pixel(slope, 2 * half, t2), last_a[2], last_g[2], p2)
            da3, dg3 = _gate_gradient(_pixel(slope, 3 * half, t3), last_a[3], last_g[3], p3)
            tl.store(at, da0.to(out.dtype.element_ty), t0)
            tl.store(at + out_row, da1.to(out.dtype.element_ty), t1)
            tl.store(at + 2 * out_row, da2.to(out.dtype.element_ty), t2)
            tl.store(at + 3 * out_row, da3.to(out.dtype.element_ty), t3)
            tl.store(at + channels, dg0.to(out.dtype.element_ty), t0)
            tl.store(at + out_row + channels, dg1.to(out.dtype.element_ty), t1)
            tl.store(at + 2 * out_row + channels, dg2.to(out.dtype.element_ty), t2)
            tl.store(at + 3 * out_row + channels, dg3.to(out.dtype.element_ty), t3)
        else:
            s0, s1 = _silus(last_g[0], last_g[1], FAST)
            s2, s3 = _silus(last_g[2], last_g[3], FAST)
            tl.store(at, (last_a[0] * s0).to(out.dtype.element_ty), t0)
            tl.store(at + out_row, (last_a[1] * s1).to(out.dtype.element_ty), t1)
            tl.store(at + 2 * out_row, (last_a[2] * s2).to(out.dtype.element_ty), t2)
            tl.store(at + 3 * out_row, (last_a[3] * s3).to(out.dtype.element_ty), t3)
        last_a, last_g, this_a, this_g = this_a, this_g, next_a, next_g


@triton.jit
def _activity(one, two, FAST: tl.constexpr):
    """SiLU of two values, and its slopes there."""
    p, q = _sigmoids(one, two, FAST)
    return one * p, two * q, p * (1.0 + one * (1.0 - p)), q * (1.0 + two * (1.0 - q))


@triton.jit
def _along(s, d, low, middle, high):
    """Sums of the gradient of three taps of one column of the kernel, over four rows."""
    return (
        low + s[0] * d[2] + s[1] * d[3] + s[2] * d[4] + s[3] * d[5],
        middle + s[0] * d[1] + s[1] * d[2] + s[2] * d[3] + s[3] * d[4],
        high + s[0] * d[0] + s[1] * d[1] + s[2] * d[2] + s[3] * d[3],
    )


@triton.jit
def gradient_kernel(
    values, slopes, weight, out, partial, height, width, channels, strips, segments,
    COLUMNS: tl.constexpr, BLOCK_C: tl.constexpr, FAST: tl.constexpr,
):  # fmt: skip
    """out [B, H, W, C], the gradient of `values` [B, H, W, C], from `slopes` [B, H, W, C], that of the convolution's
    output; partial float32 [programs, 10, C]: sums for the nine taps and the bias. C is `channels`, weight [C, 9]."""
    image, y, begin = _place(strips, segments, COLUMNS, 4)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    row_stride = tl.cast(channels, tl.int64) * width
    base = image * height * row_stride + y * row_stride
    w = _weights(weight, channel, inside)
    nothing = tl.zeros((BLOCK_C,), tl.float32)
    zeros = (nothing, nothing, nothing, nothing)
    # A value of its own: Triton (3.6) carries no name through a loop that ends it with the very value it began with,
    # which for last_s is what this_s began with.
    empty = tl.zeros((BLOCK_C,), tl.float32)
    empties = (empty, empty, empty, empty)
    total = nothing
    left, centre, right = (nothing, nothing, nothing), (nothing, nothing, nothing), (nothing, nothing, nothing)
    last, last_s, last_k = zeros, zeros, zeros
    this, this_s, this_k = zeros, empties, empties
    r0, r1, r2, r3 = (
        inside & (y < height),
        inside & (y + 1 < height),
        inside & (y + 2 < height),
        inside & (y + 3 < height),
    )
    for step in range(0, COLUMNS + 2):
        x = begin - 1 + step
        along = (x >= 0) & (x < width)
        at = slopes + base + x * channels + channel
        d0 = _pixel(at, -row_stride, inside & along & (y >= 1))
        d1 = _pixel(at, 0, r0 & along)
        d2 = _pixel(at, row_stride, r1 & along)
        d3 = _pixel(at, 2 * row_stride, r2 & along)
        d4 = _pixel(at, 3 * row_stride, r3 & along)
        d5 = _pixel(at, 4 * row_stride, inside & along & (y + 4 < height))
        d = (d0, d1, d2, d3, d4, d5)
        own = (x + 1 < width) & (step < COLUMNS)  # column x + 1 is one whose gradient this program gives
        at = values + base + (x + 1) * channels + channel
        v0, v1 = _pixel(at, 0, r0 & own), _pixel(at, row_stride, r1 & own)
        v2, v3 = _pixel(at, 2 * row_stride, r2 & own), _pixel(at, 3 * row_stride, r3 & own)
        s0, s1, k0, k1 = _activity(v0, v1, FAST)
        s2, s3, k2, k3 = _activity(v2, v3, FAST)
        next_s, next_k = (s0, s1, s2, s3), (k0, k1, k2, k3)
        left = _along(last_s, d, left[0], left[1], left[2])
        centre = _along(this_s, d, centre[0], centre[1], centre[2])
        right = _along(next_s, d, right[0], right[1], right[2])
        total += tl.where((step >= 1) & (step <= COLUMNS), d1 + d2 + d3 + d4, 0.0)
        last = _add(last, d, w[2][0], w[1][0], w[0][0])
        this = _add(this, d, w[2][1], w[1][1], w[0][1])
        following = _add(zeros, d, w[2][2], w[1][2], w[0][2])
        done = (step >= 2) & (x - 1 < width)
        at = out + base + (x - 1) * channels + channel
        tl.store(at, (last[0] * last_k[0]).to(out.dtype.element_ty), r0 & done)
        tl.store(at + row_stride, (last[1] * last_k[1]).to(out.dtype.element_ty), r1 & done)
        tl.store(at + 2 * row_stride, (last[2] * last_k[2]).to(out.dtype.element_ty), r2 & done)
        tl.store(at + 3 * row_stride, (last[3] * last_k[3]).to(out.dtype.element_ty), r3 & done)
        last, last_s, last_k = this, this_s, this_k
        this, this_s, this_k = following, next_s, next_k
    at = partial + tl.program_id(0).to(tl.int64) * 10 * channels + channel
    tl.store(at, left[0], inside)
    tl.store(at + channels, centre[0], inside)
    tl.store(at + 2 * channels, right[0], inside)
    tl.store(at + 3 * channels, left[1], inside)
    tl.store(at + 4 * channels, centre[1], inside)
    tl.store(at + 5 * channels, right[1], inside)
    tl.store(at + 6 * channels, left[2], inside)
    tl.store(at + 7 * channels, centre[2], inside)
    tl.store(at + 8 * channels, right[2], inside)
    tl.store(at + 9 * channels, total, inside)
