"""Forward and backward of a training step in CUDA graphs.

A step launches hundreds of kernels, more than a host can launch in the time that they take; replayed graphs leave the
host with a handful of copies. There are two, the levels and maps and then the network: the host reads the status of
the levels while the device is at the network. What follows a step (unscaling, clipping, the optimizer) is the user's,
and is queued while the device still computes.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from coevo.errors import ConfigError, InputError
from coevo.kernels.sparse.convolution.casts import WeightCopies
from coevo.kernels.sparse.coordinates.status import check_status
from coevo.kernels.sparse.hierarchy import Hierarchy
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.modules.spvcnn import SPVCNN
from coevo.kernels.sparse.shape import DEFAULT_SPLITS
from coevo.kernels.sparse.training.batch import PaddedBatch

Loss = Callable[[Tensor, Tensor], Tensor]
_WARM_UPS = 3


class TrainingStep:
    """Call it with a batch: the loss comes back, and the gradients lie in the parameters' `grad`, replaced.

    The first call warms up and captures; running statistics are put back, so that it counts as one step. Keep the
    parameters where they are: optimizers and `load_state_dict` write in place, `net.to(...)` does not.

    Args:
        net: a MinkUNet, or an SPVCNN of voxels, in training mode on its device.
        loss: of logits float32 [N, num_classes] and labels int64 [N] to a number; rows with the label `ignored` must
            not count (`training.cross_entropy`, or torch's with `ignore_index`).
        capacity, splits, extent, batches: as `compile_for_inference`.
        dtype: of autocast: torch.float16, torch.bfloat16, or None for float32.
        scaler: a GradScaler whose scale multiplies the loss before it is differentiated.
        ignored: the label of rows that are not in use.
        graph: whether to capture; where the device allows it if None.

    Raises:
        ConfigError: capacity or dtype is none of these.
        InputError: the network is of another kind, or a graph is asked for off a CUDA device.
    """

    def __init__(
        self,
        net: MinkUNet,
        loss: Loss,
        capacity: int | Sequence[int],
        *,
        dtype: torch.dtype | None = torch.float16,
        scaler: Any = None,
        ignored: int = 255,
        splits: Sequence[int] = DEFAULT_SPLITS,
        extent: int | Sequence[int] | None = None,
        batches: int = 1,
        graph: bool | None = None,
    ) -> None:
        if not isinstance(net, MinkUNet) or (isinstance(net, SPVCNN) and net.points != "voxels"):
            raise InputError(f"a TrainingStep takes a MinkUNet or an SPVCNN of voxels, got {type(net).__name__}")
        if dtype not in (None, torch.float16, torch.bfloat16):
            raise ConfigError(f"dtype must be torch.float16, torch.bfloat16 or None, got {dtype}")
        self.device = next(net.parameters()).device
        self.uses_graph = self.device.type == "cuda" if graph is None else graph
        if self.uses_graph and self.device.type != "cuda":
            raise InputError(f"a CUDA graph needs a network on a CUDA device, this one is on {self.device}; move it")
        self.net, self.loss, self.dtype = net, loss, dtype
        self.scaler, self.ignored = scaler, ignored
        self.batch = PaddedBatch(
            net.in_channels, capacity, self.device, splits=splits, extent=extent, batches=batches
        )  # fmt: skip
        self._weights = None if dtype is None else WeightCopies(net.parameters(), dtype)
        self._graphs: tuple[Any, Any] | None = None

    def __call__(self, feats: Tensor, coords: Tensor, labels: Tensor, *, check: bool = True) -> Tensor:
        """The loss (not scaled) of a batch.

        Args:
            feats: [N, in_channels], coords whole numbers [N, 4] of distinct voxels, labels [N]; on the network's
                device, N at most the capacity.
            check: read the status of the levels, which waits for them, not for the network.

        Raises:
            InputError: shapes or devices do not fit, the batch exceeds the capacity, or, with `check`, the coordinates
                repeat or no key holds them.
        """
        self.batch.put(feats, coords, labels, ignored=self.ignored)
        if self.uses_graph:
            self._replay(check)
        else:
            self._made = self.batch.build()
            self._found = self._learn(self._made)
            if check:
                self._made.check()
        return self._found.clone()

    def _learn(self, made: Hierarchy) -> Tensor:
        self.net.zero_grad(set_to_none=True)
        x, labels = self.batch.features(made), self.batch.labels(made, self.ignored)
        if self._weights is not None:
            self._weights.refresh()
        with (
            torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None),
            nullcontext() if self._weights is None else self._weights.used(),
        ):
            logits = self.net(x)
        found = self.loss(logits.float(), labels)
        scaled = found if self.scaler is None else self.scaler.scale(found)
        scaled.backward()
        return found.detach()

    def _replay(self, check: bool) -> None:
        levels, network = self._graphs or self._capture()
        levels.replay()
        if check:
            self._status.copy_(self._made.status, non_blocking=True)
            self._told.record()
        network.replay()
        if check:
            self._told.synchronize()
            check_status(self._status)

    def _capture(self) -> tuple[Any, Any]:
        kept = {name: each.clone() for name, each in self.net.named_buffers()}
        generator = torch.cuda.get_rng_state(self.device)
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        held, peak = torch.cuda.memory_allocated(self.device), torch.cuda.max_memory_allocated(self.device)
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                self._learn(self.batch.build())
                gc.collect()  # a map and its inverse refer to each other: 190 MiB that the next would add to
        torch.cuda.current_stream(self.device).wait_stream(stream)
        with torch.no_grad():
            for name, each in self.net.named_buffers():
                each.copy_(kept[name])
        torch.cuda.set_rng_state(generator, self.device)
        self.net.zero_grad(set_to_none=True)
        self._status = torch.zeros(1, dtype=torch.int32, pin_memory=True)
        self._told = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._graphs = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        needed = torch.cuda.max_memory_allocated(self.device)
        with torch.cuda.graph(self._graphs[0], stream=stream):  # where cuBLAS has its workspace already
            if needed > peak:  # else others held more before, and what the warm-ups took is not known
                self._reserve(needed - held)
            self._made = self.batch.build()
        with torch.cuda.graph(self._graphs[1], pool=self._graphs[0].pool(), stream=stream):
            self._found = self._learn(self._made)
        return self._graphs

    def _reserve(self, size: int) -> None:
        """Makes the graphs' pool one segment of `size` bytes: tensors that are cut from many segments of their own
        sizes leave a fifth of them idle."""
        torch.empty(size, dtype=torch.uint8, device=self.device)
