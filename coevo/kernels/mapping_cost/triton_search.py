"""The best of very many mappings: drawn, checked, costed and compared on a CUDA device in one launch, which writes
nothing but the numbers of the best. Several problems of one structure are searched side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coevo.errors import CoevoError, InputError, missing_extra
from coevo.kernels.mapping_cost import reference
from coevo.kernels.mapping_cost import triton_structure as st
from coevo.kernels.mapping_cost.tables import LOOPS, MappingArrays, Tables
from coevo.kernels.mapping_cost.triton_batch import REGISTERS, check_device, upload_figures
from coevo.kernels.mapping_cost.triton_cost import cost, covers, fits, is_exact
from coevo.kernels.mapping_cost.triton_count import count
from coevo.kernels.mapping_cost.triton_sample import draw, rooms_of

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = Any
OBJECTIVES = ("energy_pj", "cycles", "edp")
BLOCK = 128
PROGRAMS = 4096
"""Instances of the kernel for all problems together: several waves on the largest devices."""
_AGREEMENT = 1e-12


@dataclass(frozen=True, eq=False)
class Found:
    """The best mappings of one problem by energy, cycles and their product, in this order; none where nothing valid was
    drawn. `numbers` int64 [3] tell which draws they are; `energy_pj`, `cycles` float64 [3] are the reference's.
    `drawn`, `valid`: how many mappings were drawn, and how many of them were valid."""

    drawn: int
    valid: int
    numbers: np.ndarray
    mappings: MappingArrays
    energy_pj: np.ndarray
    cycles: np.ndarray


def search(problems: Sequence[Tables], draws: int, seed: int, device: str, first: int = 0) -> list[Found]:
    """Draws number `first` and the following, at least `draws` of them for each problem (rounded up to whole rounds).

    The same problem, seed and numbers give the same mappings whatever else is searched beside it. Ties go to the lowest
    number. The best are drawn again and costed by the reference on the host.

    Raises:
        InputError: problems that do not share a structure, loops beyond what the sampler takes, no CUDA device.
        CoevoError: the reference does not confirm a result.
    """
    launched = Launch(problems, draws, seed, device, first)
    launched.run()
    return launched.found()


class Launch:
    """A search that is uploaded, launched (`run`, as often as wanted) and read (`found`)."""

    def __init__(self, problems: Sequence[Tables], draws: int, seed: int, device: str, first: int = 0):
        check_device(device)
        if draws < 1 or first < 0 or not 0 <= seed < 2**63:
            raise InputError(
                f"a search needs at least one draw, a first number and a seed from 0 below 2^63; got {draws} draws "
                f"from number {first} with seed {seed}"
            )
        self.problems, self.device, self.first = list(problems), device, first
        self.structure = st.structure_of(problems)
        self.figures = upload_figures(problems, device)
        self.rooms = torch.from_numpy(rooms_of(problems)).to(device)
        self.start = torch.tensor([first, seed], dtype=torch.int64, device=device)
        blocks = -(-draws // BLOCK)
        self.programs = min(max(1, PROGRAMS // len(self.problems)), blocks)
        self.rounds = -(-blocks // self.programs)
        shape = (len(self.problems), self.programs, len(OBJECTIVES))
        self.values = torch.empty(shape, dtype=torch.float64, device=device)
        self.numbers = torch.empty(shape, dtype=torch.int64, device=device)
        self.valid = torch.empty(shape[:2], dtype=torch.int64, device=device)

    @property
    def drawn(self) -> int:
        """Mappings that are drawn for each problem."""
        return self.programs * self.rounds * BLOCK

    def run(self) -> None:
        """One launch; it may still be under way on return.

        Nothing is fused: a draw has the same bits in every kernel that draws it.
        """
        search_kernel[(self.programs, len(self.problems))](
            self.rooms, self.figures, self.start, self.values, self.numbers, self.valid, self.rounds,
            s=self.structure, BLOCK=BLOCK, num_warps=BLOCK // 32, maxnreg=REGISTERS, enable_fp_fusion=False,
        )  # fmt: skip

    def found(self) -> list[Found]:
        """What the launch found, confirmed by the reference."""
        values, numbers, valid = (part.cpu().numpy() for part in (self.values, self.numbers, self.valid))
        results = []
        for place, tables in enumerate(self.problems):
            best = values[place].min(axis=0)
            first = np.where(values[place] == best, numbers[place], np.iinfo(np.int64).max).min(axis=0)
            first = first[np.isfinite(best)]
            mappings = self._drawn_again(place, first)
            energy_pj, cycles = confirmed(tables, mappings, best[np.isfinite(best)])
            results.append(Found(self.drawn, int(valid[place].sum()), first, mappings, energy_pj, cycles))
        return results

    def _drawn_again(self, place: int, numbers: np.ndarray) -> MappingArrays:
        return drawn_mappings(self.structure, self.rooms[place], numbers, int(self.start[1]), self.device)


def confirmed(tables: Tables, mappings: MappingArrays, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(energy_pj, cycles) of the best mappings by the reference; CoevoError where they are not valid there or not worth
    what the device said."""
    if not len(mappings):
        return np.empty(0), np.empty(0)
    counts = reference.count(tables, mappings)
    costs = reference.cost(tables, counts)
    own = np.array([costs.energy_pj[0], costs.cycles[1], costs.energy_pj[2] * costs.cycles[2]])
    wrong = (
        np.any(reference.excess_bits(tables, counts))
        or np.any(reference.axis_excess(tables, mappings))
        or np.any(reference.uncovered(tables, mappings))
    )
    if wrong or not np.allclose(own, values, rtol=_AGREEMENT, atol=0.0):
        raise CoevoError(
            f"the device's best mappings have {dict(zip(OBJECTIVES, values.tolist(), strict=True))}, the reference "
            f"gives {own.tolist()}{' and calls one of them invalid' if wrong else ''}; please report this with the "
            "layer and the accelerator"
        )
    return costs.energy_pj, costs.cycles


def drawn_mappings(
    structure: st.Structure, rooms: Tensor, numbers: np.ndarray, seed: int, device: str
) -> MappingArrays:
    """The mappings of these numbers; `rooms`: one row of what `rooms_of` gives, on the device."""
    levels, axes, count = len(structure.keeps), len(structure.axis_level), len(numbers)
    bounds = torch.ones((levels + axes, LOOPS, count), dtype=torch.int64, device=device)
    rank = torch.empty((levels, LOOPS, count), dtype=torch.int64, device=device)
    if count:
        wanted = torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.int64)).to(device)
        start = torch.tensor([0, seed], dtype=torch.int64, device=device)
        draw_kernel[(triton.cdiv(count, BLOCK),)](
            rooms, start, wanted, bounds, rank, count,
            s=structure, BLOCK=BLOCK, num_warps=BLOCK // 32, enable_fp_fusion=False,
        )  # fmt: skip
    temporal, ranks, spatial = (
        np.ascontiguousarray(np.moveaxis(part.cpu().numpy(), -1, 0))
        for part in (bounds[:levels], rank, bounds[levels:])
    )
    return MappingArrays(temporal, ranks, spatial)


@triton.jit
def as_doubles(values):
    doubles = ()
    for i in tl.static_range(len(values)):
        doubles = doubles + (values[i].to(tl.float64),)
    return doubles


@triton.jit
def judged(temporal, order, spatial, figures, s: tl.constexpr):
    """(valid, energy in pJ, cycles) of drawn mappings."""
    bounds, along = as_doubles(temporal), as_doubles(spatial)
    counts, tile_words, instances, steps = count(bounds, order, along, s)
    energy, cycles = cost(counts, tile_words, instances, steps, figures, s)
    valid = fits(tile_words, figures, s) & covers(bounds, along, figures, s) & is_exact(instances, steps, s)
    return valid, energy, cycles


@triton.jit(do_not_specialize=["rounds"])
def search_kernel(rooms, figures, start, values, numbers, valid, rounds, s: tl.constexpr, BLOCK: tl.constexpr):
    """values, numbers [P, programs, 3], valid [P, programs]: the best of the draws of each instance by each objective,
    and how many were valid. `start` holds the first number and the seed."""
    program, problem = tl.program_id(0), tl.program_id(1)
    rooms += problem * st.num_rooms(s)
    figures += problem * st.num_figures(s)
    seed = tl.load(start + 1)
    first = tl.load(start) + program.to(tl.int64) * rounds * BLOCK + tl.arange(0, BLOCK)
    none = tl.full((BLOCK,), float("inf"), tl.float64)
    least_energy, least_cycles, least_edp = none, none, none
    zero = tl.full((BLOCK,), 0, tl.int32)
    at_energy, at_cycles, at_edp, fitting = zero, zero, zero, zero
    turn = zero
    for _ in range(rounds):
        temporal, order, spatial = draw(first + turn.to(tl.int64) * BLOCK, seed, rooms, s)
        fine, energy, cycles = judged(temporal, order, spatial, figures, s)
        energy = tl.where(fine, energy, none)
        cycles = tl.where(fine, cycles, none)
        at_energy = tl.where(energy < least_energy, turn, at_energy)
        least_energy = tl.minimum(energy, least_energy)
        at_cycles = tl.where(cycles < least_cycles, turn, at_cycles)
        least_cycles = tl.minimum(cycles, least_cycles)
        edp = energy * cycles
        at_edp = tl.where(edp < least_edp, turn, at_edp)
        least_edp = tl.minimum(edp, least_edp)
        fitting += fine.to(tl.int32)
        turn += 1
    place = problem * tl.num_programs(0) + program
    _store_best(values + 3 * place, numbers + 3 * place, least_energy, first + at_energy.to(tl.int64) * BLOCK)
    _store_best(values + 3 * place + 1, numbers + 3 * place + 1, least_cycles, first + at_cycles.to(tl.int64) * BLOCK)
    _store_best(values + 3 * place + 2, numbers + 3 * place + 2, least_edp, first + at_edp.to(tl.int64) * BLOCK)
    tl.store(valid + place, tl.sum(fitting.to(tl.int64), 0))


@triton.jit
def _store_best(value, number, values, numbers):
    """The least of the values, and the lowest of the numbers that have it."""
    least = tl.min(values, 0)
    tl.store(value, least)
    tl.store(number, tl.min(tl.where(values == least, numbers, 0x7FFFFFFFFFFFFFFF), 0))


@triton.jit(do_not_specialize=["count"])
def draw_kernel(rooms, start, numbers, bounds, rank, count, s: tl.constexpr, BLOCK: tl.constexpr):
    """bounds [L + A, 8, B] of the temporal and then the spatial loops, rank [L, 8, B]."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    temporal, order, spatial = draw(tl.load(numbers + at, inside, 0), tl.load(start + 1), rooms, s)
    for level in tl.static_range(st.num_levels(s)):
        for loop in tl.static_range(8):
            tl.store(bounds + (8 * level + loop) * count + at, temporal[8 * level + loop].to(tl.int64), inside)
            below = tl.full((BLOCK,), 0, tl.int64)
            for other in tl.static_range(8):
                below += (order[8 * level + other] < order[8 * level + loop]).to(tl.int64)
            tl.store(rank + (8 * level + loop) * count + at, below, inside)
    for entry in tl.static_range(8 * st.num_axes(s)):
        tl.store(bounds + (8 * st.num_levels(s) + entry) * count + at, spatial[entry].to(tl.int64), inside)
