"""Device functions of the implicit GEMM: one tile of output rows and channels a program.

A program reads the masks of its rows, and walks the offsets that any of them has: one flat loop over (offset, chunk of
input channels), so that the loads of the next offset are under way while the tensor cores work on this one. Features
are gathered row by row; rows that miss an offset read zeros. Every output element is summed by one program in one
order, so results do not depend on how programs are scheduled.
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
def _either(a, b):
    return a | b


@triton.jit
def _set_bits(mask):
    """How many bits of an int32 >= 0 are set."""
    mask = mask - ((mask >> 1) & 0x55555555)
    mask = (mask & 0x33333333) + ((mask >> 2) & 0x33333333)
    mask = (mask + (mask >> 4)) & 0x0F0F0F0F
    mask = mask + (mask >> 8)
    return (mask + (mask >> 16)) & 0x3F


@triton.jit
def _lowest_bit(mask):
    """The index of the lowest set bit of an int32 > 0: the exponent of that bit as a float32."""
    return ((mask & -mask).to(tl.float32).to(tl.int32, bitcast=True) >> 23) - 127


@triton.jit
def _mask_of_rows(neighbours, rows, in_use, capacity_out, first, width: tl.constexpr):
    """Which of the offsets first .. first + width - 1 any row of the tile has."""
    mask = 0
    for bit in tl.static_range(width):
        row = tl.load(neighbours + (first + bit).to(tl.int64) * capacity_out + rows, mask=in_use, other=-1)
        mask |= (tl.max(row, 0) >= 0).to(tl.int32) << bit
    return mask


@triton.jit
def _epilogue(total, rows, columns, stored, scale, shift, residual, residual_stride, relu: tl.constexpr):
    """relu(total * scale + shift + residual), each part where it is given; float32 [rows, columns]."""
    if scale is not None:
        total *= tl.load(scale + columns, mask=stored[1], other=0.0).to(tl.float32)[None, :]
    if shift is not None:
        total += tl.load(shift + columns, mask=stored[1], other=0.0).to(tl.float32)[None, :]
    if residual is not None:
        places = rows.to(tl.int64)[:, None] * residual_stride + columns[None, :]
        total += tl.load(residual + places, mask=stored[0][:, None] & stored[1][None, :], other=0.0).to(tl.float32)
    if relu:
        total = tl.maximum(total, 0.0)
    return total


@triton.jit
def _advance(chunk, remaining, num_chunks):
    """(chunk, remaining) of the next step: the next chunk of channels, or the first one of the next offset."""
    is_last = chunk + 1 == num_chunks
    return tl.where(is_last, 0, chunk + 1), tl.where(is_last, remaining & (remaining - 1), remaining)


@triton.jit
def _rows_at(neighbours, capacity_out, places, in_use, first, remaining):
    """The input rows at the lowest offset that remains; -1 where none does."""
    offset = first + _lowest_bit(remaining | (1 << 30))
    place = neighbours + offset.to(tl.int64) * capacity_out + places
    return tl.load(place, mask=in_use & (remaining > 0), other=-1)


@triton.jit
def _weight_tile(
    weight,
    channels,
    offset,
    begin,
    column_tile,
    columns,
    column_used,
    offset_stride,
    input_stride,
    output_stride,
    num_inputs,
    tile_columns: tl.constexpr,
    depth: tl.constexpr,
    even_depth: tl.constexpr,
    described: tl.constexpr,
):
    """The weights [depth, tile_columns] of one offset, of the input channels from `begin` on and of one tile of output
    channels.

    `described`: "" where `weight` is a pointer; where it is a tensor descriptor of [K * rows, columns], "rows" if its
    columns are the tile's, "columns" if its rows are; `offset_stride` is then the number of rows of an offset.
    """
    if described == "rows":
        tile = weight.load([(offset * offset_stride).to(tl.int32) + begin, column_tile * tile_columns])
    elif described == "columns":
        tile = weight.load([(offset * offset_stride).to(tl.int32) + column_tile * tile_columns, begin]).T
    else:
        inner = begin + tl.arange(0, depth)
        wanted = column_used[None, :]
        if not even_depth:
            wanted = wanted & (inner < num_inputs)[:, None]
        if channels is not None:
            inner = tl.load(channels + inner, mask=inner < num_inputs, other=0)
        place = inner.to(tl.int64)[:, None] * input_stride + columns.to(tl.int64)[None, :] * output_stride
        tile = tl.load(weight + offset.to(tl.int64) * offset_stride + place, mask=wanted, other=0.0)
    return tile


@triton.jit
def _feature_tile(
    features,
    feature_stride,
    second,
    second_stride,
    row,
    begin,
    num_inputs,
    num_first,
    depth: tl.constexpr,
    even_depth: tl.constexpr,
):
    """The features [rows, depth] of some input rows, zeros for row -1, from channel `begin` on; those from `num_first`
    on are `second`'s."""
    inner = begin + tl.arange(0, depth)
    present = (row >= 0)[:, None]
    if not even_depth:
        present = present & (inner < num_inputs)[None, :]
    place = features + row.to(tl.int64)[:, None] * feature_stride + inner[None, :]
    if second is not None:
        other = second + row.to(tl.int64)[:, None] * second_stride + (inner - num_first)[None, :]
        place = tl.where((inner < num_first)[None, :], place, other)
    return tl.load(place, mask=present, other=0.0)


@triton.jit
def _product(
    total,
    features,
    feature_stride,
    second,
    second_stride,
    weight,
    weight_extra,
    channels,
    offset_stride,
    input_stride,
    output_stride,
    neighbours,
    capacity_out,
    places,
    in_use,
    column_tile,
    columns,
    column_used,
    first,
    mask,
    num_inputs,
    num_first,
    volume: tl.constexpr,
    tile_columns: tl.constexpr,
    depth: tl.constexpr,
    extra: tl.constexpr,
    even_depth: tl.constexpr,
    described: tl.constexpr,
    mirrored: tl.constexpr,
    precision: tl.constexpr,
    stages: tl.constexpr,
):
    """total + the sum over the set bits b of `mask` of features[neighbours[first + b]] @ weight[first + b]; with
    `mirrored` it is weight[K - 1 - first - b]. A step takes depth + extra input channels of one offset."""
    num_chunks = tl.cdiv(num_inputs, depth + extra)
    # The rows of a step are read two steps before it, into registers: as a load of the same step they would join the
    # queue of asynchronous copies behind the features and weights, and waiting for them would drain it.
    chunk, remaining = 0, mask
    offset = first + _lowest_bit(remaining | (1 << 30))
    row = _rows_at(neighbours, capacity_out, places, in_use, first, remaining)
    chunk_ahead, remaining_ahead = _advance(chunk, remaining, num_chunks)
    row_ahead = _rows_at(neighbours, capacity_out, places, in_use, first, remaining_ahead)
    for _ in tl.range(0, _set_bits(mask) * num_chunks, num_stages=stages):
        begin = chunk * (depth + extra)
        weight_offset = volume - 1 - offset if mirrored else offset
        a = _feature_tile(
            features, feature_stride, second, second_stride, row, begin, num_inputs, num_first, depth, even_depth
        )
        b = _weight_tile(
            weight,
            channels,
            weight_offset,
            begin,
            column_tile,
            columns,
            column_used,
            offset_stride,
            input_stride,
            output_stride,
            num_inputs,
            tile_columns,
            depth,
            even_depth,
            described,
        )
        total = tl.dot(a, b, total, input_precision=precision)
        if extra:
            more_a = _feature_tile(
                features, feature_stride, second, second_stride, row, begin + depth, num_inputs, num_first, extra, True
            )
            more_b = _weight_tile(
                weight_extra,
                channels,
                weight_offset,
                begin + depth,
                column_tile,
                columns,
                column_used,
                offset_stride,
                input_stride,
                output_stride,
                num_inputs,
                tile_columns,
                extra,
                True,
                described,
            )
            total = tl.dot(more_a, more_b, total, input_precision=precision)
        # Triton pipelines no loop that hands a value of one step on to the next as it is: hence the maxima.
        chunk, remaining = tl.maximum(chunk_ahead, 0), tl.maximum(remaining_ahead, 0)
        offset = first + _lowest_bit(remaining | (1 << 30))
        row = tl.maximum(row_ahead, -1)
        chunk_ahead, remaining_ahead = _advance(chunk, remaining, num_chunks)
        row_ahead = _rows_at(neighbours, capacity_out, places, in_use, first, remaining_ahead)
    return total


@triton.jit
def _pointwise(
    total,
    features,
    feature_stride,
    weight,
    input_stride,
    output_stride,
    rows,
    in_use,
    columns,
    column_used,
    num_inputs,
    depth: tl.constexpr,
    precision: tl.constexpr,
    stages: tl.constexpr,
):
    """total + features[rows] @ weight."""
    for start in tl.range(0, num_inputs, depth, num_stages=stages):
        inner = start + tl.arange(0, depth)
        kept = inner < num_inputs
        a = tl.load(
            features + rows.to(tl.int64)[:, None] * feature_stride + inner[None, :],
            mask=in_use[:, None] & kept[None, :],
            other=0.0,
        )
        b = tl.load(
            weight + inner.to(tl.int64)[:, None] * input_stride + columns[None, :] * output_stride,
            mask=kept[:, None] & column_used[None, :],
            other=0.0,
        )
        total = tl.dot(a, b, total, input_precision=precision)
    return total


@triton.jit
def _store(
    total,
    rows,
    in_use,
    columns,
    split,
    num_splits,
    num_outputs,
    scale,
    shift,
    residual,
    residual_stride,
    output,
    row_stride,
    even_columns: tl.constexpr,
    relu: tl.constexpr,
    in_turns: tl.constexpr,
):
    """Some columns to their place in the output: the sum of the ranges before is added, after the last the epilogue."""
    column_used = columns >= 0 if even_columns else columns < num_outputs
    target = output + rows.to(tl.int64)[:, None] * row_stride + columns[None, :]
    stored = in_use[:, None] & column_used[None, :]
    if in_turns:  # past the cache of the multiprocessor, which may hold what stood here before
        total += tl.load(target, mask=stored & (split > 0), other=0.0, cache_modifier=".cg").to(tl.float32)
        if split + 1 == num_splits:
            total = _epilogue(
                total, rows, columns, (in_use, column_used), scale, shift, residual, residual_stride, relu
            )
    else:
        total = _epilogue(total, rows, columns, (in_use, column_used), scale, shift, residual, residual_stride, relu)
    tl.store(target, total.to(output.dtype.element_ty), mask=stored)


@triton.jit
def _wait(turns, split, tiles):
    """Until all tiles of the ranges before have stored their sums. Programs begin in the order of their numbers, and
    those of earlier ranges wait for earlier ones at most: none waits for a program that has not begun."""
    if split > 0:
        while tl.atomic_add(turns + split - 1, 0, sem="acquire") < tiles:
            pass


@triton.jit
def _pass_on(turns, split, num_splits, tiles):
    """This tile's sums are stored. The last tile of the last range leaves all counts at 0, as it found them: everyone
    has read them by then."""
    tl.debug_barrier()
    before = tl.atomic_add(turns + split, 1, sem="acq_rel")
    if (split + 1 == num_splits) & (before + 1 == tiles):
        for each in range(num_splits):
            tl.store(turns + each, 0)


@triton.jit(do_not_specialize_on_alignment=["count_out"])  # counts of levels lie side by side
def implicit_gemm(
    features,
    second,
    weight,
    weight_extra,
    channels,
    neighbours,
    order,
    masks,
    count_out,
    shortcut,
    shortcut_weight,
    scale,
    shift,
    residual,
    turns,
    copied,
    copied_to,
    output,
    feature_stride,
    second_stride,
    offset_stride,
    input_stride,
    output_stride,
    shortcut_stride,
    shortcut_input_stride,
    shortcut_output_stride,
    residual_stride,
    row_stride,
    copied_stride,
    copied_to_stride,
    num_inputs,
    num_first,
    num_shortcut,
    num_outputs,
    capacity_out,
    num_splits,
    volume: tl.constexpr,
    width: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    depth: tl.constexpr,
    extra: tl.constexpr,
    num_copied: tl.constexpr,
    copied_columns: tl.constexpr,
    even_depth: tl.constexpr,
    even_columns: tl.constexpr,
    described: tl.constexpr,
    mirrored: tl.constexpr,
    relu: tl.constexpr,
    is_permuted: tl.constexpr,
    precision: tl.constexpr,
    stages: tl.constexpr,
):
    """One tile of one range of offsets.

    `order`, `masks` [splits, capacity_out] and `width` are those of `SortedRows`; without them rows stay in their own
    order and their masks are read off `neighbours`. With `is_permuted`, column p of the neighbours of a range is that
    of the p-th row of its order. With several ranges the output holds the sum of those that are done: `turns`
    [num_splits] counts their tiles, from 0, and is 0 afterwards. The rows of `copied`
    [capacity_out, num_copied] are written to `copied_to`, by the programs of the first columns and range.
    """
    num_columns = tl.cdiv(num_outputs, tile_columns)
    num_rows = tl.cdiv(capacity_out, tile_rows)
    program = tl.program_id(0)
    column_tile = program % num_columns
    row_tile = (program // num_columns) % num_rows  # the first rows have the fullest masks: their tiles start first
    split = program // (num_columns * num_rows)
    count = tl.load(count_out)
    places = row_tile * tile_rows + tl.arange(0, tile_rows)
    if order is None:
        rows = places
    else:  # rows that are not in use have places and empty masks too, so that these loads need not wait for the count
        place = split.to(tl.int64) * capacity_out + places
        rows = tl.load(order + place, mask=places < capacity_out, other=0)
        held = tl.load(masks + place, mask=places < capacity_out, other=0)
    if row_tile * tile_rows >= count:
        return
    in_use = places < count
    columns = column_tile * tile_columns + tl.arange(0, tile_columns)
    column_used = columns < num_outputs
    if even_columns:
        column_used = columns >= 0
    total = tl.zeros((tile_rows, tile_columns), tl.float32)
    for part in tl.static_range((volume + 30) // 31 if order is None else 1):
        if order is None:
            first = 31 * part
            mask = _mask_of_rows(neighbours, rows, in_use, capacity_out, first, min(31, volume - 31 * part))
        else:
            first = split * width
            mask = tl.reduce(held, 0, _either)
        total = _product(
            total,
            features,
            feature_stride,
            second,
            second_stride,
            weight,
            weight_extra,
            channels,
            offset_stride,
            input_stride,
            output_stride,
            neighbours,
            capacity_out,
            places if is_permuted else rows,
            in_use,
            column_tile,
            columns,
            column_used,
            first,
            mask,
            num_inputs,
            num_first,
            volume,
            tile_columns,
            depth,
            extra,
            even_depth,
            described,
            mirrored,
            precision,
            stages,
        )
    if copied is not None:
        beside = tl.arange(0, copied_columns)[None, :]
        wanted = (in_use[:, None] & (beside < num_copied)) & ((column_tile == 0) & (split == 0))
        kept = tl.load(copied + rows.to(tl.int64)[:, None] * copied_stride + beside, mask=wanted, other=0.0)
        tl.store(copied_to + rows.to(tl.int64)[:, None] * copied_to_stride + beside, kept, mask=wanted)
    if shortcut is not None:
        total = _pointwise(
            total,
            shortcut,
            shortcut_stride,
            shortcut_weight,
            shortcut_input_stride,
            shortcut_output_stride,
            rows,
            in_use,
            columns,
            column_used,
            tl.where(split == 0, num_shortcut, 0),
            depth,
            precision,
            stages,
        )
    tiles = tl.cdiv(count, tile_rows) * num_columns
    if turns is not None:
        _wait(turns, split, tiles)
    # Two halves of the columns, one after the other, need fewer registers, so that more programs fit a multiprocessor.
    if tile_columns >= 128:
        half: tl.constexpr = tile_columns // 2
        left, right = tl.split(tl.permute(tl.reshape(total, (tile_rows, 2, half)), (0, 2, 1)))
        begin = column_tile * tile_columns + tl.arange(0, half)
        _store(
            left,
            rows,
            in_use,
            begin,
            split,
            num_splits,
            num_outputs,
            scale,
            shift,
            residual,
            residual_stride,
            output,
            row_stride,
            even_columns,
            relu,
            turns is not None,
        )
        _store(
            right,
            rows,
            in_use,
            begin + half,
            split,
            num_splits,
            num_outputs,
            scale,
            shift,
            residual,
            residual_stride,
            output,
            row_stride,
            even_columns,
            relu,
            turns is not None,
        )
    else:
        _store(
            total,
            rows,
            in_use,
            columns,
            split,
            num_splits,
            num_outputs,
            scale,
            shift,
            residual,
            residual_stride,
            output,
            row_stride,
            even_columns,
            relu,
            turns is not None,
        )
    if turns is not None:
        _pass_on(turns, split, num_splits, tiles)
