"""The libraries that `gpu_sparse.py` measures: those of coevo, spconv, spconv-triton and torchsparse that import.

An engine makes a network with given parameters, and says how one enters it, how maps are kept, and under which names
its ways of inference go. Inference is in half precision throughout; training has float32 parameters and torch's
autocast with a gradient scaler, for every library alike.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from _sparse_case import minkunet_layers
from _sparse_inputs import Scan
from torch import nn

State = dict[str, torch.Tensor]
Run = Callable[[Scan], torch.Tensor]
NAMES = ("coevo", "spconv", "spconv-triton", "torchsparse")


class Engine:
    """A peer by its modules; `CoevoEngine` adds what only coevo has."""

    name = ""
    package = ""
    ways: tuple[str, ...] = ("as installed",)
    """The names of its ways of inference."""

    def network(self, state: State, ratio: float, grid: tuple[int, int, int], training: bool) -> nn.Module:
        raise NotImplementedError

    def enter(self, net: Any, scan: Scan, training: bool = False) -> Any:
        """The network's input, without maps."""
        return net.enter(scan.coords, scan.feats if training else scan.half, scan.batch)

    def inference(
        self,
        state: State,
        ratio: float,
        grid: tuple[int, int, int],
        capacity: int,
        batch: int,
        only: str | None = None,
    ) -> dict[str, Run]:
        """Each way of inference, or one: a function of a scan, from voxel coordinates on the device to logits.

        `capacity` is voxels a scan, for what is captured once.
        """
        net = self.network(state, ratio, grid, training=False)
        return {"as installed": lambda scan: net(self.enter(net, scan))}

    def training_step(
        self, state: State, ratio: float, grid: tuple[int, int, int], capacity: int, batch: int
    ) -> Callable[[Scan], torch.Tensor]:
        """One step of SGD under autocast: maps, forward, cross-entropy, backward, update. It returns the loss."""
        net = self.network(state, ratio, grid, training=True)
        optimizer = optimizer_of(net)
        scaler = torch.amp.GradScaler("cuda")

        def step(scan: Scan) -> torch.Tensor:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cuda", dtype=torch.float16):
                logits = net(self.enter(net, scan, training=True))
                loss = nn.functional.cross_entropy(logits.float(), scan.labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss.detach()

        return step

    def centerpoint(self, grid: tuple[int, int, int], inputs: int) -> Any:
        """CenterPoint's sparse encoder with random parameters, in half precision."""
        raise NotImplementedError(f"{self.name} has no CenterPoint encoder here")

    def stages(
        self, state: State, ratio: float, grid: tuple[int, int, int], scan: Scan, capacity: int
    ) -> dict[str, Any]:
        """What more is known of an engine's stages."""
        return {}

    @contextlib.contextmanager
    def maps_kept(self) -> Iterator[None]:
        """Inside, a second run over one input builds no maps."""
        yield


class SpconvEngine(Engine):
    """spconv 2, or spconv-triton, which has the same API."""

    def __init__(self, name: str, library: Any, package: str) -> None:
        self.name, self.library, self.package = name, library, package

    def network(self, state: State, ratio: float, grid: tuple[int, int, int], training: bool) -> nn.Module:
        import _sparse_spconv

        net = _sparse_spconv.load(_sparse_spconv.minkunet(self.library, ratio, grid), state, ratio).cuda()
        return net.train() if training else net.eval().half()

    def centerpoint(self, grid: tuple[int, int, int], inputs: int) -> Any:
        import _sparse_spconv

        return _sparse_spconv.centerpoint(self.library, grid, inputs).cuda().eval().half()

    @contextlib.contextmanager
    def maps_kept(self) -> Iterator[None]:
        import _sparse_spconv

        with _sparse_spconv.maps_kept(self.library):
            yield


class TorchSparseEngine(Engine):
    """TorchSparse 2.1 where it was built."""

    name, package = "torchsparse", "torchsparse"

    def __init__(self, library: Any) -> None:
        self.library = library

    def network(self, state: State, ratio: float, grid: tuple[int, int, int], training: bool) -> nn.Module:
        import _sparse_torchsparse

        net = _sparse_torchsparse.minkunet(self.library, ratio)
        net.load_state_dict(state)
        net = net.cuda()
        return net.train() if training else net.eval().half()


def engines(names: list[str], triton_configurations: int) -> tuple[list[Engine], dict[str, str]]:
    """The engines that import, and why each of the others is absent."""
    found: list[Engine] = []
    absent: dict[str, str] = {}
    for name in names:
        try:
            found.append(_engine(name, triton_configurations))
        except (ImportError, OSError, RuntimeError) as error:
            absent[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
    return found, absent


def _engine(name: str, triton_configurations: int) -> Engine:
    if name == "coevo":
        from _sparse_coevo import CoevoEngine

        return CoevoEngine()
    if name == "spconv":
        return SpconvEngine(name, importlib.import_module("spconv.pytorch"), "spconv-cu126")
    if name == "spconv-triton":
        library = importlib.import_module("spconv_triton.pytorch")
        bounded_autotuning(importlib.import_module("spconv_triton.pytorch._impl.gemm"), triton_configurations)
        return SpconvEngine(name, library, "spconv-triton")
    if name == "torchsparse":
        library = importlib.import_module("torchsparse")
        importlib.import_module("torchsparse.nn")
        if not hasattr(library, "SparseTensor"):
            raise ImportError("the module `torchsparse` is not TorchSparse (names on PyPI like it are other projects)")
        return TorchSparseEngine(library)
    raise ValueError(f"expected some of {', '.join(NAMES)}, got {name!r}")


def bounded_autotuning(kernels: Any, configurations: int) -> None:
    """Leave spconv-triton's autotuner the first configurations of each kernel: all of them take over six minutes."""
    for value in vars(kernels).values():
        tried = getattr(value, "configs", None)
        if isinstance(tried, list) and len(tried) > configurations:
            del tried[configurations:]


def layers_of(engine: Engine, net: nn.Module, ratio: float, scan: Scan) -> list[tuple[str, Callable[[], Any]]]:
    """Each convolution with the input that it has in a run over the scan, to be called under `maps_kept`."""
    inputs: dict[str, Any] = {}
    hooks = []
    for layer in minkunet_layers(ratio):
        module = net.get_submodule(layer.name)

        def seen(_: Any, given: tuple[Any, ...], name: str = layer.name) -> None:
            inputs[name] = given

        hooks.append(module.register_forward_pre_hook(seen))
    net(engine.enter(net, scan))
    for hook in hooks:
        hook.remove()

    def called(name: str) -> Callable[[], Any]:
        module, given = net.get_submodule(name), inputs[name]
        return lambda: module(*given)

    return [(layer.name, called(layer.name)) for layer in minkunet_layers(ratio)]


def optimizer_of(net: nn.Module) -> torch.optim.Optimizer:
    """SGD as SPVNAS trains with, in torch's fused form, for every library."""
    return torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True)
