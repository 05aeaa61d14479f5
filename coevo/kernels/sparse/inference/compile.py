"""A network compiled for inference: a recorded list of launches from coordinates to logits, and CUDA graphs of it.

On a CUDA device the launches are recorded once (`recorded.recording`), their buffers share one arena, and a call
replays them: by the host, or as a captured graph. Elsewhere, and by plans that wait for the host, each call is an
ordinary run.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from coevo.errors import ConfigError, InputError
from coevo.kernels.sparse.convolution.plan import Plan
from coevo.kernels.sparse.coordinates.status import OUT_OF_RANGE, TOO_MANY, check_status
from coevo.kernels.sparse.hierarchy import Hierarchy, build_levels
from coevo.kernels.sparse.inference.static_unet import LEVELS, StaticUNet
from coevo.kernels.sparse.modules.minkunet import MinkUNet
from coevo.kernels.sparse.modules.spvcnn import SPVCNN
from coevo.kernels.sparse.recorded import streams
from coevo.kernels.sparse.recorded.streams import NotRecordable, on, whole_device
from coevo.kernels.sparse.shape import DEFAULT_SPLITS
from coevo.kernels.sparse.tensors import SparseTensor

if TYPE_CHECKING:
    from coevo.kernels.sparse.recorded.program import Program

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LEVEL_SHARES = (1.0, 0.8, 0.55, 0.3, 0.15)
"""Of the capacity, for strides 1, 2, 4, 8 and 16: an HDL-64E scan at 5 cm has 1, 0.73, 0.45, 0.23 and 0.10."""


MAPS, NETWORK = 0, 1
"""The parts of a call: levels and their maps, which need the coordinates alone, and the layers."""


class CapacityWarning(UserWarning):
    """A scan had more voxels than a compiled network has room for: it was computed without the graph."""


def compile_for_inference(
    net: MinkUNet,
    capacity: int | Sequence[int],
    dtype: torch.dtype = torch.float16,
    *,
    splits: Sequence[int] | None = None,
    plans: dict[str, Plan] | None = None,
    extent: int | Sequence[int] | None = None,
    batches: int = 1,
    graph: bool | None = None,
    device: torch.device | str | None = None,
) -> StaticNetwork:
    """The network with its weights as they are now, in evaluation mode.

    Args:
        net: a MinkUNet or SPVCNN.
        capacity: most rows of a call (voxels, or raw points), of which the coarser strides get `LEVEL_SHARES`; or five
            numbers, the most voxels of strides 1, 2, 4, 8 and 16. Five times the same number cannot overflow.
        dtype: of features and weights: torch.float16, torch.bfloat16 or torch.float32 (torch.float64 on a CPU).
        splits: ranges of offsets by which each level's rows are sorted (`KernelMap.sorted`).
        plans: how to carry out convolutions, by name (`StaticUNet.convolutions`). Where neither splits nor plans are
            given, those that `tuning.tune` measured for such a network on this device, else the defaults.
        extent, batches: where known, coordinates are -extent .. extent - 1 (one number, or one each for x, y and z) and
            batch indices below `batches`: levels are then sorted faster (`hierarchy.build_levels`).
        graph: whether a call replays a captured CUDA graph; as the device allows where it is None. Without one, the
            host launches the recorded kernels one by one.
        device: where it computes; the network's own where it is None. A network on the CPU leaves a CUDA device's
            memory to its compiled half.

    Raises:
        ConfigError: no such dtype or number of capacities.
        InputError: the network is of another kind, a graph is asked for off a CUDA device or with plans that wait for
            the host, or folded weights are out of the dtype's range.
    """
    if not isinstance(net, MinkUNet):
        raise InputError(f"compile_for_inference takes a MinkUNet or an SPVCNN, got {type(net).__name__}")
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {', '.join(map(str, DTYPES))}, got {dtype}")
    room = rooms(capacity)
    if len(room) != LEVELS or min(room) < 1 or (splits is not None and len(splits) != LEVELS):
        raise ConfigError(
            f"capacity must be a number >= 1 or {LEVELS} of them, and splits {LEVELS} numbers, got {capacity} and "
            f"{splits}"
        )
    place = next(net.parameters()).device if device is None else whole_device(device)
    if graph and place.type != "cuda":
        raise InputError(f"a CUDA graph needs a network on a CUDA device, this one is on {place}; move it there")
    if splits is None and plans is None:
        from coevo.kernels.sparse.tuning.tuned import stored

        tuning = stored(net, room, dtype, device=place)
        if tuning is not None:
            splits, plans = tuning.splits, tuning.plans
    cut = DEFAULT_SPLITS if splits is None else tuple(splits)
    captured = place.type == "cuda" if graph is None else graph
    return StaticNetwork(net, room, dtype, cut, plans or {}, captured, extent, batches, place)


def rooms(capacity: int | Sequence[int]) -> tuple[int, ...]:
    """Rows of the five levels."""
    if isinstance(capacity, int):
        return tuple(max(min(capacity, 1), int(share * capacity)) for share in LEVEL_SHARES)
    return tuple(capacity)


class StaticNetwork:
    """What `compile_for_inference` returns; call it with features and coordinates."""

    def __init__(
        self,
        net: MinkUNet,
        capacity: tuple[int, ...],
        dtype: torch.dtype,
        splits: tuple[int, ...],
        plans: dict[str, Plan],
        graph: bool,
        extent: int | Sequence[int] | None = None,
        batches: int = 1,
        device: torch.device | None = None,
    ) -> None:
        self.extent, self.batches = extent, batches
        self.capacity, self.dtype, self.splits = capacity, dtype, splits
        self.device = device or next(net.parameters()).device
        self.is_raw = isinstance(net, SPVCNN) and net.points == "raw"
        self.unet = StaticUNet(net, dtype, self.device)
        self.unet.set_plans(plans)
        kind = torch.float32 if self.is_raw else torch.int32
        self._coords = torch.zeros((capacity[0], 4), dtype=kind, device=self.device)
        self._feats = torch.zeros((capacity[0], net.in_channels), dtype=dtype, device=self.device)
        self._count = torch.zeros(1, dtype=torch.int32, device=self.device)
        self._program: Program | None = None
        self._graphs: list[Any] = []
        self._stream: Any = None
        if self.device.type == "cuda":
            self._asked = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            self._told = torch.zeros(1, dtype=torch.int32, pin_memory=True)
        if self.device.type == "cuda":
            try:
                self._record()
            except NotRecordable:
                if graph:
                    raise
        if graph:
            self._capture()

    @property
    def size_bytes(self) -> int:
        """Memory of all buffers between the input and the logits; 0 where ordinary runs allocate it anew."""
        return 0 if self._program is None else self._program.size_bytes

    def __call__(self, feats: Tensor | SparseTensor, coords: Tensor | None = None, *, check: bool = True) -> Tensor:
        """Logits [N, num_classes], in the order of the rows given.

        A scan over the capacity is computed without the graph, at the same precision, with a `CapacityWarning`.

        Args:
            feats: [N, in_channels] on the compiled network's device; or a SparseTensor of stride 1, without `coords`.
            coords: whole numbers [N, 4] (batch, x, y, z) of distinct voxels, or for raw points float [N, 4] in units of
                voxels.
            check: read the status of the levels, which waits until the device has made them (the network may go on
                longer). Without it coordinates that repeat or
                cannot be packed, and levels that overflow, are not told of.

        Raises:
            InputError: lengths, channels, devices or kinds of numbers do not fit; with `check`, repeated coordinates or
                such as no key holds.
        """
        given: Tensor = feats.feats if isinstance(feats, SparseTensor) else feats
        where: Tensor | None = feats.coords if isinstance(feats, SparseTensor) else coords
        self._check_call(given, where)
        assert where is not None
        return self._compute(given, where, check)

    def _compute(self, feats: Tensor, coords: Tensor, check: bool) -> Tensor:
        with torch.no_grad():
            rows = len(feats)
            if rows > self.capacity[0]:
                return self._without_capacity(feats, coords, f"{rows} rows, the capacity is {self.capacity[0]}")
            self._wait_for_the_last_call()
            self._coords[:rows].copy_(coords)
            self._count.fill_(rows)
            if self._program is None:
                self._feats[:rows].copy_(feats)
                self._logits, made = self._run()
                self._status, self._counts = made.status, [level.count for level in made.levels]
            else:  # the device finds the maps while the host brings the rest on its way
                self._do(MAPS)
                if check:
                    self._ask_for_status()
                self._feats[:rows].copy_(feats)
                self._do(NETWORK)
            logits = self._logits[:rows].clone()
            if check:
                bits = self._told_status()
                if bits == TOO_MANY:
                    counts = [int(count) for count in self._counts]
                    told = f"more voxels than the capacities {self.capacity} of strides 1 to 16 (of which {counts} fit)"
                    return self._without_capacity(feats, coords, told)
                if bits == OUT_OF_RANGE and self.extent is not None:
                    told = f"coordinates beyond the extent {self.extent} or batch indices beyond {self.batches}"
                    return self._without_capacity(feats, coords, told)
                if bits:
                    check_status(self._status)
            return logits

    def _do(self, part: int) -> None:
        if self._graphs:
            self._graphs[part].replay()
        else:
            assert self._program is not None
            self._program(part)

    def _ask_for_status(self) -> None:
        """Begin to copy the status of the levels to the host, beside what the device does next."""
        if self.device.type == "cuda":
            self._asked.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(self._asked):
                self._told.copy_(self._status, non_blocking=True)

    def _told_status(self) -> int:
        """The status of the levels; on a CUDA device, once they are made, before the network is done."""
        if self._program is None or self.device.type != "cuda":
            return int(self._status)
        self._asked.synchronize()
        return int(self._told)

    def _wait_for_the_last_call(self) -> None:
        """Buffers are the same in every call: one in another stream begins when the last one is done."""
        if self.device.type != "cuda":
            return
        stream = torch.cuda.current_stream(self.device)
        if self._stream is not None and self._stream != stream:
            stream.wait_stream(self._stream)
        self._stream = stream

    def _check_call(self, feats: Tensor, coords: Tensor | None) -> None:
        if coords is None or feats.dim() != 2 or coords.dim() != 2 or len(feats) != len(coords):
            shape = None if coords is None else tuple(coords.shape)
            raise InputError(f"expected features [N, C] and coordinates [N, 4], got {tuple(feats.shape)} and {shape}")
        if feats.shape[1] != self.unet.in_channels or coords.shape[1] != 4:
            raise InputError(
                f"expected {self.unet.in_channels} channels and 4 coordinates, got {feats.shape[1]} and "
                f"{coords.shape[1]}"
            )
        if feats.device != self.device or coords.device != self.device:
            raise InputError(
                f"the network is on {self.device}, got features on {feats.device} and coordinates on {coords.device}"
            )
        if coords.is_floating_point() != self.is_raw:
            wanted = "real coordinates, of raw points" if self.is_raw else "whole coordinates, of voxels"
            raise InputError(f"this network takes {wanted}, got {coords.dtype}")

    def _without_capacity(self, feats: Tensor, coords: Tensor, told: str) -> Tensor:
        warnings.warn(
            f"a scan has {told}: it is computed without the captured graph; compile with larger ones",
            CapacityWarning,
            stacklevel=4,
        )
        whole = coords.floor() if self.is_raw else coords
        made = build_levels(whole.to(torch.int32), LEVELS, splits=self.splits, merge=self.is_raw)
        count = torch.full((1,), len(feats), dtype=torch.int32, device=self.device)
        return self.unet(feats, made, count, coords if self.is_raw else None)

    def _run(self) -> tuple[Tensor, Hierarchy]:
        whole = self._coords.floor().to(torch.int32) if self.is_raw else self._coords
        made = build_levels(
            whole, LEVELS, count=self._count, capacity=self.capacity, splits=self.splits, merge=self.is_raw,
            extent=self.extent, batches=self.batches,
        )  # fmt: skip
        streams.cut()
        return self.unet(self._feats, made, self._count, self._coords if self.is_raw else None), made

    def _record(self) -> None:
        """The launches of a run, compiled, and memory for all of them."""
        from coevo.kernels.sparse.recorded.program import Program
        from coevo.kernels.sparse.recorded.recording import Recording

        recording = Recording(self.device)
        with torch.no_grad(), on(self.device), recording:
            logits, made = self._run()
        counts = [level.count for level in made.levels]
        program = Program(recording, [logits, made.status, *counts])
        self._logits, self._status, *self._counts = (program.tensor(each) for each in (logits, made.status, *counts))
        self._program = program

    def _capture(self) -> None:
        """One call to load what is loaded at the first launch, on a stream of its own as capture wants it, and a graph
        a part. There are few rows in the buffers, so that it takes no time."""
        assert self._program is not None
        side = min(self.capacity[-1], 64)
        self._coords[:side, 1] = torch.arange(side, dtype=self._coords.dtype, device=self.device)
        self._count.fill_(side)
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.no_grad(), torch.cuda.stream(stream):
            self._program()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graphs = [torch.cuda.CUDAGraph() for _ in range(self._program.parts)]
        for part, graph in enumerate(graphs):
            with torch.no_grad(), torch.cuda.graph(graph):
                self._program(part)
        self._graphs = graphs
