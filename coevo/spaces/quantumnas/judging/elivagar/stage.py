"""Elivagar's score as the cheap stage of the ladder (option `ladder_score`)."""

from __future__ import annotations

from collections.abc import Sequence

from coevo.errors import InputError
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, Resources
from coevo.spaces.quantumnas.judging.elivagar.score import ElivagarScore, check_task
from coevo.spaces.quantumnas.judging.metrics import metrics_of, stand_ins
from coevo.spaces.quantumnas.setting import Setting
from coevo.spaces.quantumnas.training.threads import one_thread


class ElivagarEstimate(Evaluator):
    """The score stands for every noisy accuracy and, negated, for every noisy loss, the capacity for noise-free ones:
    as ranks, neither shares nor nat. Gates and depth are those of the mapped circuit. Nothing is trained.
    """

    id = "quantumnas.elivagar"
    version = "1"
    batch = 8
    resources = Resources(cpus=1, timeout_s=120.0)

    def __init__(self, setting: Setting):
        check_task(setting)
        self.setting = setting
        estimated = {
            name: unit
            for name, unit in metrics_of(setting.options, setting.task).items()
            if not name.endswith("_standard_error")
        }
        self._noise_free = [name for name in estimated if name.startswith("noise_free")]
        self._noisy = [name for name in estimated if name not in self._noise_free]
        self.metrics = {
            **estimated,
            "elivagar_score": "1",
            "clifford_noise_resilience": "1",
            "representational_capacity": "1",
        }

    def setup(self, context: Context) -> None:
        from coevo.spaces.quantumnas.mapping.couplings import open_device

        self._score = ElivagarScore(self.setting, open_device(self.setting.options.device))

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        with one_thread():
            return [self._outcome(candidate) for candidate in candidates]

    def _outcome(self, candidate: Candidate) -> Outcome:
        try:
            found = self._score(candidate.value)
        except InputError as error:
            return Outcome.failed(str(error))
        return Outcome(
            {
                **stand_ins(self._noisy, {"accuracy": found.score, "loss": -found.score}),
                **stand_ins(self._noise_free, {"accuracy": found.capacity, "loss": -found.capacity}),
                "elivagar_score": found.score,
                "clifford_noise_resilience": found.resilience,
                "representational_capacity": found.capacity,
                "two_qubit_gates": found.two_qubit_gates,
                "depth": found.depth,
                "parameters": self.setting.template.parameters(found.design.layers),
            }
        )
