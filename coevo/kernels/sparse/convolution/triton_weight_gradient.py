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
def _chunks(starts, programs, least, volume: tl.constexpr, padded_volume: tl.constexpr, depth: tl.constexpr):
    """The number of pairs of a chunk, and of every offset: where its pairs begin and end, its number of chunks, and the
    chunks of the offsets before it with its own. A chunk is as long as it takes for about `programs` of them."""
    k = tl.arange(0, padded_volume)
    is_offset = k < volume
    begin = tl.load(starts + k, mask=is_offset, other=0)
    end = tl.load(starts + k + 1, mask=is_offset, other=0)
    length = tl.maximum(tl.cdiv(tl.cdiv(tl.load(starts + volume), programs), depth) * depth, least)
    chunks = (end - begin + length - 1) // length
    return length, k, begin, end, chunks, tl.cumsum(chunks, 0)


@triton.jit
def _pairs_at(inputs, outputs, first, last, depth: tl.constexpr):
    """The rows of `depth` pairs from `first` on; -1 from `last` on."""
    pairs = first + tl.arange(0, depth)
    row = tl.load(inputs + pairs, mask=pairs < last, other=-1)
    return row, tl.load(outputs + pairs, mask=pairs < last, other=-1)


@triton.jit(do_not_specialize=["programs", "least"])
def multiply_chunks(
    features,
    second,
    gradient,
    inputs,
    outputs,
    starts,
    sums,
    feature_stride,
    second_stride,
    gradient_stride,
    num_inputs,
    num_first,
    num_outputs,
    programs,
    least,
    volume: tl.constexpr,
    padded_volume: tl.constexpr,
    tile_inputs: tl.constexpr,
    tile_outputs: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
    stages: tl.constexpr,
):
    """sums[p] = features[inputs]^T @ gradient[outputs] over the pairs of chunk p, float32 [chunks, C_in, C_out]. Chunks
    are numbered offset after offset; input channels from `num_first` on are `second`'s."""
    chunk = tl.program_id(0)
    length, k, begin, end, chunks, upto = _chunks(starts, programs, least, volume, padded_volume, depth)
    if chunk >= tl.max(upto, 0):
        return
    mine = k == tl.sum((upto <= chunk).to(tl.int32), 0)
    before = tl.sum(tl.where(mine, upto - chunks, 0), 0)
    first = tl.sum(tl.where(mine, begin, 0), 0) + (chunk - before) * length
    last = tl.minimum(first + length, tl.sum(tl.where(mine, end, 0), 0))
    from_channel = tl.program_id(1) * tile_inputs + tl.arange(0, tile_inputs)
    to_channel = tl.program_id(2) * tile_outputs + tl.arange(0, tile_outputs)
    from_used, to_used = from_channel < num_inputs, to_channel < num_outputs
    total = tl.zeros((tile_inputs, tile_outputs), tl.float32)
    row, place = _pairs_at(inputs, outputs, first, last, depth)
    for step in tl.range(first, last, depth, num_stages=stages):
        source = features + row.to(tl.int64)[:, None] * feature_stride + from_channel[None, :]
        if second is not None:
            other = second + row.to(tl.int64)[:, None] * second_stride + (from_channel - num_first)[None, :]
            source = tl.where((from_channel < num_first)[None, :], source, other)
        a = tl.load(source, mask=(row >= 0)[:, None] & from_used[None, :], other=0.0)
        b = tl.load(
            gradient + place.to(tl.int64)[:, None] * gradient_stride + to_channel[None, :],
            mask=(place >= 0)[:, None] & to_used[None, :],
            other=0.0,
        )
        total = tl.dot(tl.trans(a), b, total, input_precision=precision)
        row, place = _pairs_at(inputs, outputs, step + depth, last, depth)
    target = (chunk.to(tl.int64) * num_inputs + from_channel)[:, None] * num_outputs + to_channel[None, :]
    tl.store(sums + target, total, mask=from_used[:, None] & to_used[None, :])


@triton.jit(do_not_specialize=["programs", "least", "size"])
def add_chunks(
    sums,
    starts,
    result,
    size,
    programs,
    least,
    volume: tl.constexpr,
    padded_volume: tl.constexpr,
    depth: tl.constexpr,
    together: tl.constexpr,
    tile: tl.constexpr,
):
    """result[k] = the sum of the chunks of offset k; `size` is C_in * C_out. Chunks are read `together` at a time: of
    these, each is added to the sum of every `together`th before it, and those sums are added last."""
    offset = tl.program_id(0)
    _, k, _, _, chunks, upto = _chunks(starts, programs, least, volume, padded_volume, depth)
    end = tl.sum(tl.where(k == offset, upto, 0), 0)
    begin = end - tl.sum(tl.where(k == offset, chunks, 0), 0)
    places = tl.program_id(1) * tile + tl.arange(0, tile)
    used = (places < size)[None, :]
    total = tl.zeros((together, tile), tl.float32)
    for first in tl.range(begin, end, together):
        chunk = first + tl.arange(0, together)
        at = sums + chunk.to(tl.int64)[:, None] * size + places[None, :]
        total += tl.load(at, mask=(chunk < end)[:, None] & used, other=0.0)
    found = tl.sum(total, 0).to(result.dtype.element_ty)
    tl.store(result + offset.to(tl.int64) * size + places, found, mask=places < size)
