"""Training of the supernet: the largest network, then sandwiches of full depth, then of every depth.

SPVNAS trains one random subnet an update, first at full depth (elastic channels), then at every depth (arXiv
2007.16100, section 4.2; the code was never released). Here an update trains the largest, the smallest and some between,
the others by the largest's answers; and before the first sandwich the channels are sorted by importance.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coevo.errors import ConfigError, InputError
from coevo.kernels.sparse.training import PaddedBatch
from coevo.search.canonical import stream
from coevo.search.space import Space
from coevo.spaces.spvnas.data.labels import IGNORED
from coevo.spaces.spvnas.data.scan import ScanSource
from coevo.spaces.spvnas.data.voxels import VoxelSample
from coevo.spaces.spvnas.design import MOST_DEPTH, Backbone, Bounds
from coevo.spaces.spvnas.network.channel_groups import channel_groups
from coevo.spaces.spvnas.network.supernet import Supernet
from coevo.spaces.spvnas.training.batches import Batches
from coevo.spaces.spvnas.training.learners import ROOM_SHARES, cross_entropy, make_scaler, scaled
from coevo.spaces.spvnas.training.loop import Curve, train
from coevo.spaces.spvnas.training.parallel import Group
from coevo.spaces.spvnas.training.recipe import Recipe
from coevo.spaces.spvnas.training.validation import network_input, precise, target
from coevo.supernets.checkpoints import Checkpoints, check_weights, read_tensors, write_tensors, write_text
from coevo.supernets.elastic import ProgressiveDepth, learn_together, sandwich, sort_channels
from coevo.supernets.reproducibility import seed_of

WEIGHTS, NOTE = "supernet.safetensors", "supernet.json"
VERSION = "1"
KEY = "coevo.spvnas.supernet"
Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Shares of a supernet's training.

    Attributes:
        whole: trains the largest network alone, after which channels are sorted.
        full_depth: is done when shallower networks join.
        between: designs of an update beside the largest and the smallest.
    """

    whole: float = 0.25
    full_depth: float = 0.5
    between: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.whole <= self.full_depth <= 1 or self.between < 0:
            raise ConfigError(f"a plan has 0 <= whole <= full_depth <= 1 and between >= 0, got {self}")


class SandwichLearner:
    """The gradients of an update, of all its designs; which they are follows from (seed, step).

    Args:
        padded: whether batches lie in buffers of one capacity; on CUDA devices if None, where every update has other
            designs and would compile kernels for other numbers of rows as well. Not for points "raw".
    """

    def __init__(
        self, net: Supernet, recipe: Recipe, plan: Plan, device: torch.device, padded: bool | None = None
    ) -> None:
        self.net: nn.Module = net
        self._supernet = net
        self.recipe, self.plan, self.device = recipe, plan, device
        self.scaler: Any = make_scaler(recipe.precision, device)
        self.padded = device.type == "cuda" and net.bounds.points != "raw" if padded is None else padded
        self._batch: PaddedBatch | None = None
        self._first_sandwich = int(plan.whole * recipe.steps)
        self._depths = ProgressiveDepth(MOST_DEPTH, 1, plan.full_depth)

    def begin(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Sorts the channels before the first sandwich."""
        if step == self._first_sandwich and step:
            sort_channels(channel_groups(self._supernet), optimizer=optimizer)

    def designs(self, step: int) -> list[Backbone]:
        """Of an update: the largest first."""
        bounds = self._supernet.bounds
        if step < self._first_sandwich:
            return [bounds.largest]
        least = self._depths.lowest(step / self.recipe.steps)
        space = Space(bounds.id, lambda pick: bounds.build(pick, least))
        drawn = iter(range(self.plan.between))

        def draw() -> Backbone:
            found: Backbone = space.build(space.sample(stream(self.recipe.seed, "between", step, next(drawn))))
            return found

        return sandwich(bounds.largest, deepened(bounds.smallest, least), self.plan.between, draw)

    def __call__(self, sample: VoxelSample, step: int) -> Tensor:
        net = self._supernet
        net.zero_grad(set_to_none=True)
        x, labels = self._input(sample)

        def run(design: Backbone) -> Tensor:
            net.set_design(design)
            with precise(self.recipe.precision, self.device):
                logits: Tensor = net(x)
            return logits

        return learn_together(
            self.designs(step), run, lambda logits: cross_entropy(logits, labels), used=labels != IGNORED,
            scale=lambda loss: scaled(loss, self.scaler),
        )  # fmt: skip

    def _input(self, sample: VoxelSample) -> tuple[Any, Tensor]:
        """What the network takes, and the labels of its rows."""
        if not self.padded:
            x = network_input(sample, self._supernet.bounds.points)
            return x, target(sample, x)
        if self._batch is None:
            rows = self.recipe.batch * self.recipe.most_voxels
            room = [int(share * rows) for share in ROOM_SHARES]
            self._batch = PaddedBatch(sample.feats.shape[1], room, self.device, splits=(1,) * len(room))
        self._batch.put(sample.feats, sample.coords, sample.labels, ignored=IGNORED)
        made = self._batch.build()
        made.check()
        return self._batch.features(made), self._batch.labels(made, IGNORED)


def deepened(design: Backbone, least: int) -> Backbone:
    """With at least so many blocks a stage; those added are as the stage's last."""
    middles = tuple(each + (each[-1],) * (least - len(each)) for each in design.middles)
    return replace(design, depths=tuple(len(each) for each in middles), middles=middles)


def train_supernet(
    bounds: Bounds,
    source: ScanSource,
    recipe: Recipe,
    plan: Plan,
    folder: Path,
    group: Group | None = None,
    *,
    numbers: list[int] | None = None,
    num_classes: int = 19,
    threads: int = 0,
    checkpoint_every: int = 100,
    progress: Progress = lambda *_: None,
    stop_after: int | None = None,
) -> tuple[Path, Curve]:
    """The trained weights' file in `folder` and the curve. An interrupted training goes on from its last checkpoint
    there, to the same weights; a finished one is not repeated. `numbers`: which scans train.

    Raises:
        InputError: the folder holds a training of another space, recipe, plan or data.
    """
    own = Group() if group is None else group
    torch.manual_seed(seed_of(recipe.seed, "supernet", bounds.id))
    net = Supernet(bounds, num_classes).to(own.device).train()
    batches = Batches(source, recipe, numbers, rank=own.rank, world=own.world, threads=threads)
    identity = {
        "space": bounds.id, "recipe": recipe.digest, "plan": asdict(plan), "data": source.source,
        "scans": len(batches.numbers), "processes": own.world,
    }  # fmt: skip
    curve = train(
        SandwichLearner(net, recipe, plan, own.device), batches, recipe, own,
        Checkpoints(folder / "checkpoint", identity), checkpoint_every=checkpoint_every, progress=progress,
        stop_after=stop_after,
    )  # fmt: skip
    path = folder / WEIGHTS
    if own.leads and (stop_after is None or stop_after >= recipe.steps):
        said = {"space": bounds.id, "version": VERSION, "data": source.source, "classes": str(num_classes)}
        write_tensors(path, net.state_dict(), {KEY: json.dumps(said, sort_keys=True)})
        write_text(folder / NOTE, _note(identity, curve))
    own.wait()
    return path, curve


def load_supernet(path: Path, bounds: Bounds, device: torch.device | str = "cpu", num_classes: int = 19) -> Supernet:
    """A trained supernet in evaluation mode. InputError where the file is of another space, version or shape."""
    said = read_metadata(path)
    expected = {"space": bounds.id, "version": VERSION, "classes": str(num_classes)}
    for key, wanted in expected.items():
        if said.get(key) != wanted:
            raise InputError(
                f"{path} is a supernet with {key} {said.get(key)!r}, expected {wanted!r}; train one for this space, or "
                "search the space that it is of"
            )
    net = Supernet(bounds, num_classes)
    weights = read_tensors(path)
    check_weights(net, weights, str(path))
    net.load_state_dict(weights)
    return net.to(device).eval()


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself. InputError where it is absent or damaged."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > 1 << 26:
                raise ValueError("no safetensors file")
            header = json.loads(file.read(length))
        return dict(json.loads(header["__metadata__"][KEY]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no supernet ({type(error).__name__}: {error})") from None


def _note(identity: dict[str, Any], curve: Curve) -> str:
    return json.dumps({"version": VERSION, **identity, "curve": curve.to_json()}, indent=1) + "\n"
