"""The outer design as a space function: every answer leaves room for the next, so that no design is over its budget."""

from __future__ import annotations

from typing import Any, Literal

from coevo.errors import InputError
from coevo.search.canonical import canonical
from coevo.search.pick import Pick
from coevo.search.questions import MISSING, Real
from coevo.spaces.naas.hardware.connectivity import LOOPS, answers_for, parallel_loops, with_groups
from coevo.spaces.naas.hardware.design import HardwareDesign
from coevo.spaces.naas.hardware.parts import SIZE_STEP_BYTES, Part
from coevo.spaces.naas.hardware.template import Template

AXIS_STEP = 2  # NAAS, section 3.1
LoopsPerAxis = int | Literal["baseline"]


def check_resources(template: Template) -> None:
    """InputError where not even the smallest design fits: which memories it needs, and how many bytes are short."""
    limits = template.resources
    children = min(AXIS_STEP, template.largest_array)
    needs = {part.key: template.instances(part.level, children) * least_bytes(part) for part in template.parts}
    short = sum(needs.values()) - limits.on_chip_bytes
    if short > 0:
        parts = ", ".join(f"{key} {size}" for key, size in needs.items())
        raise InputError(
            f"nothing fits into {limits.on_chip_bytes} bytes on the chip: an array of {children} with the smallest "
            f"memories needs {sum(needs.values())} ({parts}), {short} more"
        )


def build_hardware(
    pick: Pick, template: Template, encoding: str, connectivity: bool, loops_per_axis: LoopsPerAxis = 1
) -> HardwareDesign:
    """Axes of the array, then sizes from the innermost memory outwards, then the network's rate.

    Without `connectivity` the axes keep the baseline's loops and only their sizes are searched ("sizing only"). With
    it every axis has `loops_per_axis` loops; "baseline" is as many as the baseline has along one.
    """
    most = template.largest_array
    own = template.own_design()
    if connectivity:
        count = pick.integer("array_axes", 1, 3 if most >= 8 else 1)
        each = _loops_along(own, loops_per_axis)
        along = [with_groups(loops) for loops in parallel_loops(pick, encoding, count, each)]
    else:
        along = [loops for loops, _ in own.axes]
    axes = []
    for number, loops in enumerate(along):
        reserved = AXIS_STEP ** (len(along) - 1 - number)  # what the axes after it need at least
        highest = max(most // reserved // AXIS_STEP * AXIS_STEP, 1)
        size = pick.integer(f"axis{number}", AXIS_STEP, highest, AXIS_STEP) if highest > AXIS_STEP else highest
        axes.append((loops, size))
        most //= size
    sizes = _sizes(pick, template, HardwareDesign(tuple(axes), {}).children)
    rate: float | None = None
    if template.resources.network_bytes_per_cycle is not None:
        # Sixteenths of what there is at most: a baseline's own rate need not be whole.
        rate = pick.integer("network_sixteenths", 1, 16) * template.resources.network_bytes_per_cycle / 16
    return HardwareDesign(tuple(axes), sizes, rate)


def _sizes(pick: Pick, template: Template, children: int) -> dict[str, int]:
    """Bytes of every part. Parts are asked from the innermost out; each may take what the parts still to come leave."""
    left = template.resources.on_chip_bytes
    order = sorted(template.parts, key=lambda part: -part.level)
    least = [template.instances(part.level, children) * least_bytes(part) for part in order]
    if sum(least) > left:
        pick.reject(f"{children} children with the smallest memories are over {left} bytes", float(sum(least) - left))
    sizes = {}
    for place, part in enumerate(order):
        instances = template.instances(part.level, children)
        room = (left - sum(least[place + 1 :])) // instances
        sizes[part.key] = _size(pick, part, room)
        left -= instances * sizes[part.key]
    return {part.key: sizes[part.key] for part in template.parts}


def _size(pick: Pick, part: Part, room: int) -> int:
    """A size of at most `room` bytes."""
    low, high = part.sizes
    high = min(high, room // SIZE_STEP_BYTES * SIZE_STEP_BYTES)
    own = part.own_too and part.own_bytes <= room
    if high < low:
        return part.own_bytes
    if own and pick.one(f"{part.key}_own", (True, False)):
        return part.own_bytes
    if high == low:
        return low
    # Sizes span five orders of magnitude: on a linear scale nearly all that is drawn is near the largest.
    drawn = pick.real(f"{part.key}_bytes", float(low), float(high), log=True)
    return min(max(round(drawn / SIZE_STEP_BYTES) * SIZE_STEP_BYTES, low), high)


def least_bytes(part: Part) -> int:
    """The smallest size of a part."""
    return min(part.own_bytes, part.sizes[0]) if part.own_too else part.sizes[0]


def _loops_along(own: HardwareDesign, loops_per_axis: LoopsPerAxis) -> int:
    """The loops of each axis; "baseline": the most that the baseline has along one, without groups."""
    if loops_per_axis != "baseline":
        return loops_per_axis
    return max(1, *(sum(loop in LOOPS for loop in loops) for loops, _ in own.axes))


def answers_of(
    template: Template, encoding: str, connectivity: bool, loops_per_axis: LoopsPerAxis = 1
) -> dict[str, Any]:
    """The answers that come nearest to the baseline: its array with the first loops of each axis, its sizes where they
    are on offer, its rate. A search may begin with it."""
    own = template.own_design()
    each = _loops_along(own, loops_per_axis)
    along = tuple(tuple(loop for loop in loops if loop in LOOPS)[:each] for loops, _ in own.axes[:3])
    wanted: dict[str, Any] = {"array_axes": len(along), "network_sixteenths": 16}
    wanted |= {f"axis{number}": size for number, (_, size) in enumerate(own.axes)}
    wanted |= answers_for(encoding, along, each)
    for part in template.parts:
        wanted |= {f"{part.key}_own": True, f"{part.key}_bytes": float(part.own_bytes)}
    asked: dict[str, Any] = {}

    def choose(name: str, question: Any) -> Any:
        answer = question.fits(canonical(wanted[name]))
        if answer is MISSING:  # between the steps, or over what is left: the nearest that is offered
            answer = _nearest(question, wanted[name])
        asked[name] = answer
        return answer

    build_hardware(Pick(choose, {}), template, encoding, connectivity, loops_per_axis)
    return asked


def _nearest(question: Any, wanted: float) -> Any:
    low, high, step = question.raw
    if isinstance(question, Real):
        return canonical(min(max(float(wanted), low), high))
    return min(max(round((wanted - low) / step) * step + low, low), low + (question.size - 1) * step)
