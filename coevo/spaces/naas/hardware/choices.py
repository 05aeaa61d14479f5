"""The outer design as a space function: every answer leaves room for the next, so that no design is over its budget."""

from __future__ import annotations

from coevo.errors import InputError
from coevo.search.pick import Pick
from coevo.spaces.naas.hardware.connectivity import loops_along, parallel_loops
from coevo.spaces.naas.hardware.design import HardwareDesign
from coevo.spaces.naas.hardware.parts import SIZE_STEP_BYTES, Part
from coevo.spaces.naas.hardware.template import Template

AXIS_STEP = 2  # NAAS, section 3.1


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


def build_hardware(pick: Pick, template: Template, encoding: str, connectivity: bool) -> HardwareDesign:
    """Axes of the array, then sizes from the innermost memory outwards, then the network's rate.

    Without `connectivity` the axes keep the baseline's loops and only their sizes are searched ("sizing only").
    """
    most = template.largest_array
    own = template.own_design()
    if connectivity:
        count = pick.integer("array_axes", 1, 3 if most >= 8 else 1)
        along = [loops_along(loop) for loop in parallel_loops(pick, encoding, count)]
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
    return pick.integer(f"{part.key}_bytes", low, high, SIZE_STEP_BYTES)


def least_bytes(part: Part) -> int:
    """The smallest size of a part."""
    return min(part.own_bytes, part.sizes[0]) if part.own_too else part.sizes[0]
