"""The certificate of one layer: the tightest of the bounds that are known for energy, cycles and their product."""

from __future__ import annotations

from coevo.cost_models.accelerator.bounds import Certificate, compulsory_bounds, curve_bounds
from coevo.kernels.mapping_cost import Tables
from coevo.spaces.naas.mapper.branch_and_bound import Tree


def certificate(tables: Tables, clock_mhz: float, tree: Tree, nodes: int) -> Certificate:
    """Bounds over the space that `tree` searched, which may have gone any distance.

    The trees of the other goals get `nodes` each; the product of their bounds holds for the energy-delay product too.
    A tree bounds more tightly than the cheap bounds do as soon as it has seen every order class; before that they stand
    in for it.
    """
    trees = {tree.goal: tree}
    for goal in ("energy", "cycles"):
        if goal not in trees:
            trees[goal] = Tree(tables, goal, tree.best, tree.constraints)
            trees[goal].run(nodes)
    found = {goal: each.result() for goal, each in trees.items()}
    floor = compulsory_bounds(tables, clock_mhz)
    if not all(each.closed or each.bound > 0.0 for each in found.values()):
        floor = curve_bounds(tables, clock_mhz)
    joule_seconds = 1e-12 / (clock_mhz * 1e6)
    known = {"energy": floor.energy_pj, "cycles": floor.cycles}
    how = dict(floor.how)
    for goal in ("energy", "cycles", "edp"):
        if goal == "edp":
            known[goal] = known["energy"] * known["cycles"]
            how[goal] = how["energy"] if how["energy"] == how["cycles"] != "exhaustive" else "relaxation"
        if goal in found and found[goal].closed:
            known[goal], how[goal] = found[goal].bound, "exhaustive"
        elif goal in found and found[goal].bound > known[goal]:
            known[goal], how[goal] = found[goal].bound, "relaxation"
    return Certificate(known["energy"], known["cycles"], known["edp"] * joule_seconds, how)
