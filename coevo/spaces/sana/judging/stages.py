"""The ladder's evaluators. All give quality, latency, parameters and MACs, each as well as it knows them.

costs      closed forms and the latency table. Quality is what the whole supernet scores when it is sampled as the
           design is, times the design's share of the whole network's MACs: a stand-in
inherited  the same score times the whole supernet's flow loss over that of the design's inherited weights
recovered  the same with the loss after a short recovery
sampled    the share of prompts that recovered images satisfy, by the exact oracle, of those that a verifier picked
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from coevo.cost_models.diffusion_latency import LatencyTable, read_table
from coevo.errors import EvaluatorError
from coevo.search.canonical import canonical, text
from coevo.search.evaluator import Candidate, Context, Evaluator, Outcome, Resources
from coevo.spaces.sana.design import SanaDesign
from coevo.spaces.sana.judging.workload import workload_of
from coevo.spaces.sana.model.macs import macs_of, parameters_of
from coevo.spaces.sana.setting import MOST_TOKENS, Setting

if TYPE_CHECKING:
    from coevo.spaces.sana.model.transformer import SanaTransformer

COSTS = {"quality": "share", "latency_ms": "ms", "mparams": "million", "gmacs": "GMACs"}
LOSSES = {**COSTS, "flow_loss": "squared error of the velocity"}
SUPERNET, VERIFIER, TABLE, RESPONSES = "supernet", "verifier", "latency_table", "responses"
RECOVERED = "recovered"


class _Stage(Evaluator):
    metrics = COSTS
    version = "1"

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        on_gpu = setting.options.device.startswith("cuda")
        self.resources = Resources(gpus=1.0 if on_gpu else 0.0)
        self._table: LatencyTable | None = None

    def setup(self, context: Context) -> None:
        from coevo.spaces.sana.judging.scoring import Responses

        self._table = read_table(context.artifact(TABLE))
        self._responses = Responses.read(context.artifact(RESPONSES))

    def cache_key(self, value: SanaDesign) -> str:
        frozen = {name: tuple(each) if isinstance(each, list) else each for name, each in value.to_json().items()}
        return text(canonical(frozen))

    def evaluate(self, candidates: Sequence[Candidate], context: Context) -> list[Outcome]:
        return [self.judge(candidate, context) for candidate in candidates]

    def judge(self, candidate: Candidate, context: Context) -> Outcome:
        raise NotImplementedError

    @property
    def table(self) -> LatencyTable:
        """The one that was measured. EvaluatorError before `setup`."""
        if self._table is None:
            raise EvaluatorError("the latency table was not read; a study calls setup before it evaluates")
        return self._table

    def costs(self, design: SanaDesign) -> dict[str, float]:
        """Closed forms and the table; GMACs are those of all evaluations for a prompt."""
        source = self.setting.source
        config = design.network(source)
        macs = macs_of(config, text_tokens=MOST_TOKENS)
        whole = macs_of(self.setting.bounds.largest.network(source), text_tokens=MOST_TOKENS)
        return {
            "quality": self._responses.at(design) * macs / whole,
            "latency_ms": self.table.predict(workload_of(design, source)).total_ms,
            "mparams": parameters_of(config) / 1e6,
            "gmacs": macs * design.passes * design.steps / 1e9,
        }

    def by_loss(self, design: SanaDesign, loss: float) -> dict[str, float]:
        """Costs, with the quality that a flow loss stands for."""
        quality = self._responses.at(design) * self._responses.flow_loss / loss
        return self.costs(design) | {"quality": quality, "flow_loss": loss}


class CostsStage(_Stage):
    """Closed forms and the latency table."""

    id = "sana-costs"

    def judge(self, candidate: Candidate, context: Context) -> Outcome:
        return Outcome(self.costs(candidate.value))


class InheritedStage(_Stage):
    """The flow loss of inherited weights on scenes that judge."""

    id = "sana-inherited"
    metrics = LOSSES

    def setup(self, context: Context) -> None:
        super().setup(context)
        from coevo.spaces.sana.judging.opening import open_studio

        self.studio = open_studio(self.setting, context.artifact(SUPERNET), context.artifact(VERIFIER), context.seed)

    def judge(self, candidate: Candidate, context: Context) -> Outcome:
        return Outcome(self.by_loss(candidate.value, self.studio.losses.inherited(candidate.value)))


class RecoveredStage(InheritedStage):
    """The flow loss after a short recovery, whose weights are kept."""

    id = "sana-recovered"

    def judge(self, candidate: Candidate, context: Context) -> Outcome:
        from coevo.spaces.sana.training.loop import NonFiniteLoss
        from coevo.supernets.checkpoints import write_tensors

        try:
            model = self.studio.recovered(candidate.value)
        except NonFiniteLoss as error:
            return Outcome.failed(f"the recovery did not survive: {error}")
        path = candidate.scratch / f"{RECOVERED}.safetensors"
        write_tensors(path, model.state_dict())
        return Outcome(self.by_loss(candidate.value, self.studio.losses.of(model)), artifacts={RECOVERED: path})


class SampledStage(InheritedStage):
    """Images drawn with recovered weights, before the exact oracle."""

    id = "sana-sampled"

    def judge(self, candidate: Candidate, context: Context) -> Outcome:
        from coevo.spaces.sana.training.loop import NonFiniteLoss

        design: SanaDesign = candidate.value
        try:
            model = self._recovered(candidate)
        except NonFiniteLoss as error:
            return Outcome.failed(f"the recovery did not survive: {error}")
        found = self.by_loss(design, self.studio.losses.of(model))
        return Outcome(found | {"quality": self.studio.judging.score(model, design).oracle})

    def _recovered(self, candidate: Candidate) -> SanaTransformer:
        from coevo.supernets.checkpoints import check_weights, read_tensors

        path = candidate.artifacts.get(RECOVERED)
        if path is None:  # a ladder without the stage before
            return self.studio.recovered(candidate.value)
        model = self.studio.net.extract(candidate.value)
        weights = read_tensors(path)
        check_weights(model, weights, str(path))
        model.load_state_dict(weights)
        return model


LADDER: dict[str, type[_Stage]] = {
    "costs": CostsStage,
    "inherited": InheritedStage,
    "recovered": RecoveredStage,
    "sampled": SampledStage,
}


def stage_of(name: str, setting: Setting) -> Any:
    """The evaluator of a stage."""
    return LADDER[name](setting)
