"""Elivagar as a whole, a baseline: topology-aware candidates, early rejection by resilience, ranking by the score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from coevo.errors import InputError
from coevo.spaces.quantumnas.ansatz.space import make_space
from coevo.spaces.quantumnas.judging.elivagar.candidates import LAYOUTS, draw_candidates
from coevo.spaces.quantumnas.judging.elivagar.score import ElivagarScore, Ranked
from coevo.spaces.quantumnas.mapping.couplings import open_device
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.threads import one_thread


def elivagar_search(
    setting: Setting,
    candidates: int = 2500,
    seed: int = 0,
    keep: int = 25,
    resilient_share: float = 0.5,
    layouts: int = LAYOUTS,
    **scoring: Any,
) -> list[Ranked]:
    """The `keep` best of so many candidates, best first, to be trained (`export.settle.train_restarts`).

    The encoder is the task's: of Elivagar's search for data embeddings there is nothing here.

    Args:
        setting: of the gate set `native`, whose two-qubit gates are the device's couplings, so that no candidate is
            routed.
        candidates: distinct ones that are drawn; fewer where the space has no more.
        keep: how many are returned.
        resilient_share: of the candidates, the most resilient, whose capacity is computed at all.
        layouts: connected ones that are drawn before the candidates choose among them.
        scoring: `replicas`, `draws`, `samples_per_class` and `shots` of `ElivagarScore`.

    Raises InputError for another gate set, a fixed circuit, a task without classes, a device that cannot hold the
    circuits, and numbers that make no sense.
    """
    options = setting.options
    if not setting.template.gate_set.native:
        raise InputError(
            f'Elivagar draws circuits on the device\'s couplings: expected gates = "native", got '
            f"{setting.template.gate_set.name!r}"
        )
    if setting.layers is not None:
        raise InputError("Elivagar draws circuits, and option 'layers' gives one; leave it out")
    if candidates < 1 or keep < 1 or layouts < 1 or not 0 < resilient_share <= 1:
        raise InputError(
            f"expected 1 candidate, 1 to keep and 1 layout or more and a share in (0, 1], got {candidates}, {keep}, "
            f"{layouts} and {resilient_share}"
        )
    # The space's own checks of 'qubits' and 'layout'.
    make_space(setting.template, setting.coupling, qubits=options.qubits, fixed_layout=options.layout)
    device = open_device(options.device)
    with one_thread():
        scores = ElivagarScore(setting, device, seed=seed, **scoring)
        drawn = draw_candidates(setting, device, candidates, np.random.default_rng(seed), layouts)
        mapped = [scores.map(design) for design in drawn]
        resilience = [scores.resilience(one) for one in mapped]
        order = sorted(range(len(drawn)), key=lambda index: -resilience[index])
        ranked = [
            Ranked(
                drawn[index], resilience[index], scores.capacity(drawn[index]),
                mapped[index].two_qubit_gates, mapped[index].depth,
            )
            for index in order[: math.ceil(resilient_share * len(drawn))]
        ]  # fmt: skip
    return sorted(ranked, key=lambda found: -found.score)[:keep]
