"""Lower bounds on what a layer costs, and what each of them rests on."""

from __future__ import annotations

from dataclasses import dataclass

METHODS = ("compulsory", "curve", "relaxation", "exhaustive")


@dataclass(frozen=True, slots=True)
class Certificate:
    """No mapping in the declared space has less energy, fewer cycles, or a lower energy-delay product than these.

    The declared space: at every memory any whole number of steps of every loop, any order of the loops; along every
    axis any whole factors of the loops that it takes, up to its size; what every memory keeps is the accelerator's.
    `how` names for "energy", "cycles" and "edp" what the bound rests on: "compulsory" (every word moves once), "curve"
    (the least traffic at the size of the buffer), "relaxation" (the dual of the whole problem, or the open nodes of a
    tree over it), "exhaustive" (the tree was searched to its end: the bound is reached).
    """

    energy_pj: float
    cycles: float
    edp_js: float
    how: dict[str, str]
