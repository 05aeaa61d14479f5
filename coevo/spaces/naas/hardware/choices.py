"""The outer design as a space function: every answer leaves room for the next, so that no design is over its budget."""

from __future__ import annotations

from coevo.errors import InputError
from coevo.search.pick import Pick
from coevo.spaces.naas.hardware.connectivity import loops_along, parallel_loops
from coevo.spaces.naas.hardware.design import HardwareDesign
from coevo.spaces.naas.hardware.template import Template

SIZE_STEP_BYTES = 16  # NAAS, section 3.1
AXIS_STEP = 2


def check_resources(template: Template) -> None:
    """InputError where not even the smallest design fits: which memories it needs, and how many bytes are short."""
    limits = template.resources
    children = min(AXIS_STEP, template.largest_array)
    needs = {key: template.instances(level, children) * SIZE_STEP_BYTES for key, level, _ in template.parts}
    short = sum(needs.values()) - limits.on_chip_bytes
    if short > 0:
        parts = ", ".join(f"{key} {size}" for key, size in needs.items())
        raise InputError(
            f"nothing fits into {limits.on_chip_bytes} bytes on the chip: an array of {children} with "
            f"{SIZE_STEP_BYTES} bytes of each memory needs {sum(needs.values())} ({parts}), {short} more"
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
    rate = None
    if template.resources.network_bytes_per_cycle is not None:
        rate = pick.integer("network_bytes_per_cycle", 1, template.resources.network_bytes_per_cycle)
    return HardwareDesign(tuple(axes), sizes, rate)


def _sizes(pick: Pick, template: Template, children: int) -> dict[str, int]:
    """Bytes of every part. Parts are asked from the innermost out; each may take what is left but one step for each
    part still to come."""
    left = template.resources.on_chip_bytes
    order = sorted(template.parts, key=lambda part: -part[1])
    need = [template.instances(level, children) * SIZE_STEP_BYTES for _, level, _ in order]
    if sum(need) > left:
        pick.reject(
            f"{children} children with {SIZE_STEP_BYTES} bytes of each memory are over {left} bytes",
            float(sum(need) - left),
        )
    sizes = {}
    for place, (key, level, _) in enumerate(order):
        instances = template.instances(level, children)
        room = (left - sum(need[place + 1 :])) // instances // SIZE_STEP_BYTES * SIZE_STEP_BYTES
        sizes[key] = pick.integer(f"{key}_bytes", SIZE_STEP_BYTES, room, SIZE_STEP_BYTES)
        left -= instances * sizes[key]
    return {key: sizes[key] for key, _, _ in template.parts}
