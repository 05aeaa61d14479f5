"""Recordings: what is replayed is what was run, in memory that is shared and begins poisoned."""

from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

from coevo.errors import InputError  # noqa: E402
from coevo.kernels.sparse.coordinates.triton_keys import sort_keys  # noqa: E402
from coevo.kernels.sparse.coordinates.triton_levels import rank  # noqa: E402
from coevo.kernels.sparse.recorded import streams  # noqa: E402
from coevo.kernels.sparse.recorded.arena import ALIGNMENT_BYTES, Life, most_live_bytes, places  # noqa: E402
from coevo.kernels.sparse.recorded.program import Program  # noqa: E402
from coevo.kernels.sparse.recorded.recording import Planned, Recording  # noqa: E402
from coevo.kernels.sparse.recorded.streams import NotRecordable  # noqa: E402

DEVICE = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def run(program):
    """A call over memory in which nothing of use stands."""
    program.arena.fill_(0x7F)
    program()


@pytest.mark.parametrize("seed", range(20))
def test_buffers_that_live_at_one_step_do_not_overlap(seed):
    rng = random.Random(seed)
    lives = []
    for _ in range(rng.randint(1, 40)):
        first = rng.randint(0, 30)
        lives.append(Life(rng.choice([0, 1, 511, 512, 5000, 100_000]), first, first + rng.randint(0, 12)))
    begins, total = places(lives)
    for at, (life, begin) in enumerate(zip(lives, begins, strict=True)):
        assert begin % ALIGNMENT_BYTES == 0 and begin + life.size_bytes <= total
        for other, there in zip(lives[:at], begins[:at], strict=True):
            if life.first <= other.last and other.first <= life.last:
                assert begin + life.size_bytes <= there or there + other.size_bytes <= begin
    assert most_live_bytes(lives) <= total


def test_memory_is_that_of_the_step_that_needs_most():
    chain = [Life(1024 * (1 + at % 2), at, at + 1) for at in range(30)]
    assert places(chain)[1] == most_live_bytes(chain) == 1024 * 3
    assert most_live_bytes([]) == 0 and places([]) == ([], 0)


def test_operations_of_torch_are_replayed():
    given = torch.arange(12, dtype=torch.float32, device=DEVICE).reshape(4, 3)
    weight = torch.randn(3, 5, device=DEVICE)

    def work():
        x = torch.addmm(torch.ones(5, device=DEVICE), given, weight)
        x.relu_()
        left, right = torch.empty((2, 4, 5), device=DEVICE).unbind(0)
        left.copy_(x)
        torch.mul(x, 2.0, out=right)
        values, places_of = torch.sort(torch.nn.functional.pad(left + right, (0, 1), value=7.0), dim=1, stable=True)
        kept = torch.where(values > 3.0, values, -1.0)[:, 1:]
        return kept.index_select(0, torch.arange(4, device=DEVICE).flip(0)), places_of.to(torch.int32), x.view(-1)[3:8]

    recording = Recording(DEVICE)
    with torch.no_grad(), recording:
        planned = work()
    assert all(isinstance(each, Planned) for each in planned)
    program = Program(recording, planned)
    assert program.least_bytes <= program.size_bytes < sum(recording.sizes_bytes) + 512 * len(recording.sizes_bytes)
    for scale in (1.0, -2.0):
        given.mul_(scale)
        run(program)
        for mine, wanted in zip(planned, work(), strict=True):
            real = program.tensor(mine)
            assert torch.equal(real, wanted) and real.stride() == mine.stride()


def test_kernels_are_replayed():
    coords = torch.randint(-5, 5, (60, 4), dtype=torch.int32, device=DEVICE)
    coords[:, 0] = 0
    count = torch.tensor([0], dtype=torch.int32, device=DEVICE)
    limits = torch.tensor([60, 40, 30], dtype=torch.int32, device=DEVICE)

    def work():
        return rank(*sort_keys(coords, count), 3, limits, merge=True)

    recording = Recording(DEVICE)
    with recording:
        planned = work()
    program = Program(recording, [planned.counts, planned.places, planned.status])
    for rows in (60, 17, 0):
        coords.copy_(coords[torch.randperm(60, device=DEVICE)])
        count.fill_(rows)
        run(program)
        wanted = work()
        for name in ("counts", "places", "status"):
            assert torch.equal(program.tensor(getattr(planned, name)), getattr(wanted, name)), name


def test_a_side_streams_buffers_are_its_own_until_it_is_joined():
    given = torch.arange(1024, dtype=torch.float32, device=DEVICE)

    def lives_with(branched):
        recording = Recording(DEVICE)
        with recording:
            first = given + 1.0
            if branched:
                with streams.beside(0, DEVICE):
                    second = first * 2.0
            else:
                second = first * 2.0
            others = given
            for _ in range(3):
                others = others * 3.0
            streams.join(0, DEVICE)
            result = second + others
        return recording, result, recording.lives([result])

    recording, result, lives = lives_with(True)
    assert [life.last for life in lives][:2] == [5, 6]  # the join is step 5
    assert lives_with(False)[2][0].last == 1
    program = Program(recording, [result])
    run(program)
    assert torch.equal(program.tensor(result), (given + 1.0) * 2.0 + given * 27.0)


def test_a_side_stream_must_be_joined():
    recording = Recording(DEVICE)
    with recording, streams.beside(3, DEVICE):
        made = torch.zeros(3, device=DEVICE) + 1.0
    with pytest.raises(InputError, match="side stream 3 is never joined"):
        Program(recording, [made])


def test_parts_are_replayed_one_by_one_in_one_memory():
    given = torch.arange(6, dtype=torch.float32, device=DEVICE)
    second_input = torch.zeros(6, device=DEVICE)
    recording = Recording(DEVICE)
    with recording:
        first = given * 2.0
        streams.cut()
        result = first + second_input
    program = Program(recording, [result])
    assert program.parts == 2
    program.arena.fill_(0x7F)
    program(0)
    second_input.fill_(5.0)  # between the parts
    program(1)
    assert torch.equal(program.tensor(result), given * 2.0 + 5.0)
    second_input.fill_(7.0)
    run(program)
    assert torch.equal(program.tensor(result), given * 2.0 + 7.0)


def test_a_part_ends_without_side_streams():
    with Recording(DEVICE):
        with streams.beside(1, DEVICE):
            torch.zeros(3, device=DEVICE)
        with pytest.raises(InputError, match="side stream 1 is not joined"):
            streams.cut()
    streams.cut()  # nothing, where nothing is recorded


def test_constants_are_made_once():
    made = []

    def limits():
        made.append(1)
        return torch.tensor([3, 4], device=DEVICE)

    recording = Recording(DEVICE)
    with recording:
        constant = streams.constant(limits)
        result = constant + 1
    assert not isinstance(constant, Planned) and torch.equal(streams.constant(limits), constant)
    program = Program(recording, [result])
    run(program)
    run(program)
    assert program.tensor(result).tolist() == [4, 5] and len(made) == 2


@pytest.mark.parametrize(
    "work",
    [
        lambda x: int(x[0]),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        torch.unique,
        lambda x: x.tolist(),
    ],
)
def test_what_waits_for_the_device_is_not_recorded(work):
    given = torch.ones(3, device=DEVICE)
    with pytest.raises(NotRecordable, match="waits for the device"), Recording(DEVICE):
        work(given + 1.0)
    assert streams.here.recording is None and float(given.sum()) == 3.0


def test_a_tensor_of_a_recording_is_of_no_use_outside():
    with Recording(DEVICE):
        made = torch.zeros(3, device=DEVICE)
        with pytest.raises(InputError, match="recording already"):
            Recording(DEVICE).__enter__()
    with pytest.raises(InputError, match="take it from the program"):
        made + 1.0
