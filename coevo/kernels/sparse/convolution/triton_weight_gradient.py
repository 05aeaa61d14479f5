"""Device functions of the weight gradient: products over chunks of each offset's pairs, then their sums in order."""

from __future__ import annotations

from coevo.errors import missing_extra

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

INTERPRETED = bool(triton.knobs.runtime.interpret)


@triton.jit
def _chunks(starts, volume: tl.constexpr, padded_volume: tl.constexpr, chunk_pairs):
    """Of every offset: its number of chunks, and the chunks of the offsets before it with its own."""
    k = tl.arange(0, padded_volume)
    is_offset = k < volume
    begin = tl.load(starts + k, mask=is_offset, other=0)
    end = tl.load(starts + k + 1, mask=is_offset, other=0)
    chunks = (end - begin + chunk_pairs - 1) // chunk_pairs
    return k, begin, end, chunks, tl.cumsum(chunks, 0)


@triton.jit
def multiply_chunks(
    features,
    gradient,
    inputs,
    outputs,
    starts,
    sums,
    feature_stride,
    gradient_stride,
    num_inputs,
    num_outputs,
    chunk_pairs,
    volume: tl.constexpr,
    padded_volume: tl.constexpr,
    tile_inputs: tl.constexpr,
    tile_outputs: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
    stages: tl.constexpr,
):
    """sums[p] = features[inputs]^T @ gradient[outputs] over the pairs of chunk p, float32 [chunks, C_in, C_out]. Chunks
    are numbered offset after offset."""
    chunk = tl.program_id(0)
    k, begin, end, chunks, upto = _chunks(starts, volume, padded_volume, chunk_pairs)
    if chunk >= tl.max(upto, 0):
        return
    mine = k == tl.sum((upto <= chunk).to(tl.int32), 0)
    before = tl.sum(tl.where(mine, upto - chunks, 0), 0)
    first = tl.sum(tl.where(mine, begin, 0), 0) + (chunk - before) * chunk_pairs
    last = tl.minimum(first + chunk_pairs, tl.sum(tl.where(mine, end, 0), 0))
    from_channel = tl.program_id(1) * tile_inputs + tl.arange(0, tile_inputs)
    to_channel = tl.program_id(2) * tile_outputs + tl.arange(0, tile_outputs)
    from_used, to_used = from_channel < num_inputs, to_channel < num_outputs
    total = tl.zeros((tile_inputs, tile_outputs), tl.float32)
    pairs = first + tl.arange(0, depth)
    row = tl.load(inputs + pairs, mask=pairs < last, other=-1)
    place = tl.load(outputs + pairs, mask=pairs < last, other=-1)
    for step in tl.range(first, last, depth, num_stages=stages):
        a = tl.load(
            features + row.to(tl.int64)[:, None] * feature_stride + from_channel[None, :],
            mask=(row >= 0)[:, None] & from_used[None, :],
            other=0.0,
        )
        b = tl.load(
            gradient + place.to(tl.int64)[:, None] * gradient_stride + to_channel[None, :],
            mask=(place >= 0)[:, None] & to_used[None, :],
            other=0.0,
        )
        total = tl.dot(tl.trans(a), b, total, input_precision=precision)
        pairs = step + depth + tl.arange(0, depth)
        row = tl.load(inputs + pairs, mask=pairs < last, other=-1)
        place = tl.load(outputs + pairs, mask=pairs < last, other=-1)
    target = (chunk.to(tl.int64) * num_inputs + from_channel)[:, None] * num_outputs + to_channel[None, :]
    tl.store(sums + target, total, mask=from_used[:, None] & to_used[None, :])


@triton.jit
def add_chunks(
    sums,
    starts,
    result,
    size,
    chunk_pairs,
    volume: tl.constexpr,
    padded_volume: tl.constexpr,
    tile: tl.constexpr,
):
    """result[k] = the sum of the chunks of offset k, in their order; `size` is C_in * C_out."""
    offset = tl.program_id(0)
    k, _, _, chunks, upto = _chunks(starts, volume, padded_volume, chunk_pairs)
    end = tl.sum(tl.where(k == offset, upto, 0), 0)
    begin = end - tl.sum(tl.where(k == offset, chunks, 0), 0)
    places = tl.program_id(1) * tile + tl.arange(0, tile)
    used = places < size
    total = tl.zeros((tile,), tl.float32)
    chunk = sums + begin.to(tl.int64) * size + places
    for _ in tl.range(begin, end):
        total += tl.load(chunk, mask=used, other=0.0)
        chunk += size
    tl.store(result + offset.to(tl.int64) * size + places, total.to(result.dtype.element_ty), mask=used)
