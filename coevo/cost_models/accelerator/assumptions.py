"""What the cost model assumes beside the layer, the accelerator and the mapping. Bounds and costs that are compared
must share it."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Each switch is a rule that independent engines settle differently.

    `halo_merge`: input rows that neighbouring children share are read once from the memory above (where its network
    multicasts); Timeloop's published reference reads them for each child. `sliding_window`: of an input tile that moves
    along a window only what is new is fetched. `charge_drain`: outputs that leave a memory for the one above cost a
    read there; Timeloop charges none, AccelForge one. `fetch_holes`: input rows that a stride skips are fetched too.
    `count_ramp`: the first tiles are loaded before work begins; otherwise transfers hide behind the work.
    """

    halo_merge: bool = False
    sliding_window: bool = False
    charge_drain: bool = False
    fetch_holes: bool = False
    count_ramp: bool = False

    def as_dict(self) -> dict[str, bool]:
        return asdict(self)
