"""The certificate of one layer: the tightest of the bounds that are known for energy, cycles and their product."""

from __future__ import annotations

from coevo.cost_models.accelerator.bounds import Certificate, compulsory_bounds
from coevo.kernels.mapping_cost import Tables
from coevo.spaces.naas.mapper.branch_and_bound import Tree

NODES = 60
"""For the goals that were not asked for: about what bounds every order class and opens the lowest of them."""


def certificate(tables: Tables, clock_mhz: float, tree: Tree) -> Certificate:
    """Bounds over the space that `tree` searched, which may have gone any distance. The trees of the other goals are
    opened a little; their bounds hold apart, and their product holds for the energy-delay product."""
    floor = compulsory_bounds(tables, clock_mhz)
    bounds = {"energy": floor.energy_pj, "cycles": floor.cycles}
    how = dict(floor.how)
    for goal in ("energy", "cycles"):
        own = tree if tree.goal == goal else Tree(tables, goal, tree.best, tree.constraints)
        if own is not tree:
            own.run(NODES)
        bounds[goal], how[goal] = _higher(bounds[goal], how[goal], own)
    joule_seconds = 1e-12 / (clock_mhz * 1e6)
    product = bounds["energy"] * bounds["cycles"]
    if product > floor.edp_js / joule_seconds:
        how["edp"] = "relaxation"
    product = max(product, floor.edp_js / joule_seconds)
    if tree.goal == "edp":
        product, how["edp"] = _higher(product, how["edp"], tree)
    return Certificate(bounds["energy"], bounds["cycles"], product * joule_seconds, how)


def _higher(known: float, how: str, tree: Tree) -> tuple[float, str]:
    found = tree.result()
    if found.closed:
        return found.value, "exhaustive"
    return (found.bound, "relaxation") if found.bound > known else (known, how)
