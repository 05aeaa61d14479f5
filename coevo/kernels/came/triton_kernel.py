"""A step of CAME for one matrix as one kernel: six phases with barriers between them.

All programs must be on the device at once for a barrier to be passed, so that the launch is a cooperative one. Sums go
through partial sums in an order that depends on the shape alone. A phase may also be launched by itself (PHASE), which
needs no barrier.
"""

from __future__ import annotations

from coevo.errors import missing_extra

try:
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error


@triton.jit
def _wait_for_all(counter, programs, round):
    """Until every program has come here. What any of them stored before is seen by all after."""
    tl.debug_barrier()
    tl.atomic_add(counter, 1, sem="acq_rel", scope="gpu")
    while tl.atomic_add(counter, 0, sem="acquire", scope="gpu") < programs * round:
        pass
    tl.debug_barrier()


@triton.jit
def _mean(values, count, BLOCK: tl.constexpr):
    total = tl.zeros((BLOCK,), tl.float32)
    for base in range(0, count, BLOCK):
        at = base + tl.arange(0, BLOCK)
        total += tl.load(values + at, at < count, 0.0)
    return tl.sum(total, axis=0) / count


@triton.jit
def _settle_columns(partial, column, rows, columns, chunks, beta, program, programs, BLOCK: tl.constexpr):
    """Running column means from the chunks' sums."""
    for base in range(program * BLOCK, columns, programs * BLOCK):
        at = base + tl.arange(0, BLOCK)
        inside = at < columns
        total = tl.zeros((BLOCK,), tl.float32)
        place = partial + at
        for _ in range(0, chunks):
            total += tl.load(place, inside, 0.0)
            place += columns
        held = tl.load(column + at, inside, 0.0)
        tl.store(column + at, held + (1.0 - beta) * (total / rows - held), inside)


@triton.jit
def _update(gradient, square_row, square_column, row_mean, clip_by, at, row, column, inside):
    """The clipped update of some entries."""
    g = tl.load(gradient + at, inside, 0.0).to(tl.float32)
    scale = tl.rsqrt(tl.load(square_row + row, inside, 1.0) / row_mean)
    scale *= tl.rsqrt(tl.load(square_column + column, inside, 1.0))
    return g * scale * clip_by


@triton.jit
def _first_moment(moment, scale, at, inside, EIGHT: tl.constexpr, QUANTUM: tl.constexpr):
    held = tl.load(moment + at, inside, 0.0).to(tl.float32)
    if EIGHT:
        held *= tl.load(scale + at // QUANTUM, inside, 0.0) / 127.0
    return held


@triton.jit
def _clip_by(sums, chunks, elements, clip, BLOCK: tl.constexpr):
    """What an update is multiplied by, given the chunks' sums of its squares."""
    square = _mean(sums, chunks, BLOCK) * chunks / elements
    return 1.0 / tl.maximum(tl.sqrt(square) / clip, 1.0)


@triton.jit
def came_kernel(
    weight, gradient, moment, scale, square_row, square_column, residual_row, residual_column, partial, sums, counter,
    rows, columns, chunks, lr, beta1, beta2, beta3, epsilon1, epsilon2, clip, decay,
    PHASE: tl.constexpr, EIGHT: tl.constexpr, QUANTUM: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One step for weight [R, C], of at most 2^31 - 2 QUANTUM entries (64-bit division costs more than memory).

    moment int8 [R, C] with scale float32 [blocks] (EIGHT), or float32 [R, C]; the running means float32 [R] and [C].
    Scratch: partial float32 [chunks, C] (a chunk is BLOCK_R rows), sums float32 [chunks], counter int32 [1], 0. PHASE
    -1 does all phases.
    """
    program, programs = tl.program_id(0), tl.num_programs(0)
    elements = rows * columns
    if PHASE < 0 or PHASE == 0:  # squared gradients: rows' running means, columns' sums
        for chunk in range(program, chunks, programs):
            row = chunk * BLOCK_R + tl.arange(0, BLOCK_R)
            there = row < rows
            total = tl.zeros((BLOCK_R,), tl.float32)
            for base in range(0, columns, BLOCK_C):
                column = base + tl.arange(0, BLOCK_C)
                tile = there[:, None] & (column < columns)[None, :]
                at = row.to(tl.int64)[:, None] * columns + column[None, :]
                g = tl.load(gradient + at, tile, 0.0).to(tl.float32)
                squares = tl.where(tile, g * g + epsilon1, 0.0)
                total += tl.sum(squares, axis=1)
                tl.store(partial + chunk * columns + column, tl.sum(squares, axis=0), column < columns)
            held = tl.load(square_row + row, there, 0.0)
            tl.store(square_row + row, held + (1.0 - beta2) * (total / columns - held), there)
    if PHASE < 0:
        _wait_for_all(counter, programs, 1)
    if PHASE < 0 or PHASE == 1:
        _settle_columns(partial, square_column, rows, columns, chunks, beta2, program, programs, BLOCK)
    if PHASE < 0:
        _wait_for_all(counter, programs, 2)
    if PHASE < 0 or PHASE == 2:  # how large the update is before it is clipped
        row_mean = _mean(square_row, rows, BLOCK)
        for chunk in range(program, chunks, programs):
            row = (chunk * BLOCK_R + tl.arange(0, BLOCK_R))[:, None]
            total = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
            for base in range(0, columns, BLOCK_C):
                column = (base + tl.arange(0, BLOCK_C))[None, :]
                tile = (row < rows) & (column < columns)
                at = row.to(tl.int64) * columns + column
                update = _update(gradient, square_row, square_column, row_mean, 1.0, at, row, column, tile)
                total += update * update
            tl.store(sums + chunk, tl.sum(tl.sum(total, axis=1), axis=0))
    if PHASE < 0:
        _wait_for_all(counter, programs, 3)
    if PHASE < 0 or PHASE == 3:  # squared residuals: rows' running means, columns' sums
        row_mean = _mean(square_row, rows, BLOCK)
        clip_by = _clip_by(sums, chunks, elements, clip, BLOCK)
        for chunk in range(program, chunks, programs):
            row = (chunk * BLOCK_R + tl.arange(0, BLOCK_R))[:, None]
            total = tl.zeros((BLOCK_R,), tl.float32)
            for base in range(0, columns, BLOCK_C):
                column = base + tl.arange(0, BLOCK_C)
                tile = (row < rows) & (column < columns)[None, :]
                at = row.to(tl.int64) * columns + column[None, :]
                update = _update(gradient, square_row, square_column, row_mean, clip_by, at, row, column[None, :], tile)
                held = _first_moment(moment, scale, at, tile, EIGHT, QUANTUM)
                away = update - (held + (1.0 - beta1) * (update - held))
                squares = tl.where(tile, away * away + epsilon2, 0.0)
                total += tl.sum(squares, axis=1)
                tl.store(partial + chunk * columns + column, tl.sum(squares, axis=0), column < columns)
            line = chunk * BLOCK_R + tl.arange(0, BLOCK_R)
            held_row = tl.load(residual_row + line, line < rows, 0.0)
            tl.store(residual_row + line, held_row + (1.0 - beta3) * (total / columns - held_row), line < rows)
    if PHASE < 0:
        _wait_for_all(counter, programs, 4)
    if PHASE < 0 or PHASE == 4:
        _settle_columns(partial, residual_column, rows, columns, chunks, beta3, program, programs, BLOCK)
    if PHASE < 0:
        _wait_for_all(counter, programs, 5)
    if PHASE < 0 or PHASE == 5:  # the first moment, block by block, and the weight
        row_mean = _mean(square_row, rows, BLOCK)
        residual_mean = _mean(residual_row, rows, BLOCK)
        clip_by = _clip_by(sums, chunks, elements, clip, BLOCK)
        quanta = tl.cdiv(elements, QUANTUM)
        for quantum in range(program, quanta, programs):
            at = quantum * QUANTUM + tl.arange(0, QUANTUM)
            inside = at < elements
            row, column = at // columns, at % columns
            update = _update(gradient, square_row, square_column, row_mean, clip_by, at, row, column, inside)
            held = _first_moment(moment, scale, at, inside, EIGHT, QUANTUM)
            held += (1.0 - beta1) * (update - held)
            change = tl.rsqrt(tl.load(residual_row + row, inside, 1.0) / residual_mean)
            change *= held * tl.rsqrt(tl.load(residual_column + column, inside, 1.0))
            old = tl.load(weight + at, inside, 0.0).to(tl.float32)
            made = old * (1.0 - lr * decay) - lr * change
            tl.store(weight + at, made.to(weight.dtype.element_ty), inside)
            if EIGHT:
                largest = tl.max(tl.where(inside, tl.abs(held), 0.0), axis=0)
                code = held * tl.where(largest > 0.0, 127.0 / largest, 0.0)
                # To the nearest, halves to even: adding 1.5 * 2^23 leaves no bits below 1.
                code = (code + 12582912.0) - 12582912.0
                tl.store(moment + at, code.to(tl.int8), inside)
                tl.store(scale + quantum, largest)
            else:
                tl.store(moment + at, held, inside)
