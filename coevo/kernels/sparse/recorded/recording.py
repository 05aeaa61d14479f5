"""The launches of a piece of work, written down without doing any.

Inside a `Recording`, tensors that are made have shapes and no memory (`Planned`), operations of torch are carried out
on shapes alone, and launches of Triton's kernels compile what they need; each becomes a `Step`. So a recording says,
before anything ran, which buffer is needed from which step to which, and `program.Program` finds memory for all of them
and does the steps, as often as wanted.

Work can be recorded if its launches do not depend on what tensors hold: what can be captured in a CUDA graph can be
recorded. Triton's and torch's own calls are intercepted, so a launch cannot be forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from coevo.errors import InputError, missing_extra
from coevo.kernels.sparse.recorded.arena import Life
from coevo.kernels.sparse.recorded.streams import NotRecordable, here

try:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves, tree_map
    from triton.runtime.interpreter import InterpretedFunction
    from triton.runtime.jit import JITFunction
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = torch.Tensor
_ALLOCATIONS = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
_HOST_TAGS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
_FIRST_ADDRESS = 1 << 20  # what a buffer pretends to begin at: as aligned as the arena's places are
_watching = threading.Lock()


class Planned(torch.Tensor):
    """A tensor of a recording: shape, strides, dtype and device, without memory.

    Attributes:
        meta: the same on torch's meta device.
        number: of its buffer in the recording; views share their tensor's.
    """

    meta: Tensor
    number: int

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, meta: Tensor, device: torch.device, number: int) -> Planned:
        made: Planned = torch.Tensor._make_wrapper_subclass(
            cls,
            meta.shape,
            strides=meta.stride(),
            storage_offset=meta.storage_offset(),
            dtype=meta.dtype,
            device=device,
        )
        made.meta, made.number = meta, number
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Planned({tuple(self.shape)}, {self.dtype}, buffer {self.number})"

    def data_ptr(self) -> int:
        """An address as aligned as that which it will have."""
        return _FIRST_ADDRESS + self.offset_bytes

    @property
    def offset_bytes(self) -> int:
        """Where it begins in its buffer."""
        return int(self.meta.storage_offset()) * self.meta.element_size()

    def tolist(self) -> Any:
        raise NotRecordable("tolist waits for the device: work with it cannot be recorded")

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise InputError(f"{func} was called with a tensor of a recording outside of it: take it from the program")


@dataclass(eq=False)
class Step:
    """A launch of a kernel, an operation of torch, or a wait for a side stream.

    Attributes:
        call: Triton's function, torch's operation, or the number of the stream that is waited for.
        args, options: as it was called, with `Planned` tensors and such as were there before.
        outputs: what a functional operation makes.
        grid, kernel: of a launch, and what it compiled to; None in Triton's interpreter.
        branch: the side stream that it runs in, or None.
    """

    call: Any
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[Tensor, ...] = ()
    grid: tuple[int, ...] | None = None
    kernel: Any = None
    branch: int | None = None

    def tensors(self) -> list[Tensor]:
        """Every tensor that it reads or writes."""
        found: list[Tensor] = list(self.outputs)
        for leaf in tree_leaves((self.args, self.options)):
            tensor = getattr(leaf, "base", None) if type(leaf).__name__ == "TensorDescriptor" else leaf
            if isinstance(tensor, Tensor):
                found.append(tensor)
        return found


class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """`with Recording(device) as recording:` writes down what this thread does within; on one device."""

    def __init__(self, device: torch.device):
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.steps: list[Step] = []
        self.sizes_bytes: list[int] = []
        self.cuts: list[int] = []
        """The steps before which the second part begins, the third, ..."""
        self._branch: int | None = None
        self._open: set[int] = set()
        self._is_paused = False

    def __enter__(self) -> Recording:
        if here.recording is not None:
            raise InputError("this thread is recording already: one recording at a time")
        self._watch = _watched()
        self._watch.__enter__()
        here.recording = self
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        here.recording = None
        self._watch.__exit__(*raised)

    @contextmanager
    def branch(self, number: int) -> Iterator[None]:
        """What is recorded within runs in a side stream until `join`."""
        self._branch = number
        self._open.add(number)
        try:
            yield
        finally:
            self._branch = None

    def join(self, number: int) -> None:
        """What is recorded from now on waits for that side stream."""
        self.steps.append(Step(number))
        self._open.discard(number)

    def cut(self) -> None:
        """What is recorded from now on belongs to the next part. InputError where a side stream is not joined."""
        if self._open:
            raise InputError(f"side stream {min(self._open)} is not joined: a part of a recording ends without any")
        self.cuts.append(len(self.steps))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, torch's operations are done instead of recorded."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False

    def lives(self, kept: Sequence[Tensor]) -> list[Life]:
        """The life of every buffer; those of `kept` tensors are needed to the end. What a side stream uses is in use
        until that stream is waited for."""
        first = [len(self.steps)] * len(self.sizes_bytes)
        last = [-1] * len(self.sizes_bytes)
        waits = {index: step.call for index, step in enumerate(self.steps) if isinstance(step.call, int)}
        for index, step in enumerate(self.steps):
            end = index
            if step.branch is not None:
                end = min((at for at, branch in waits.items() if at > index and branch == step.branch), default=-1)
                if end < 0:
                    raise InputError(f"side stream {step.branch} is never joined")
            for tensor in step.tensors():
                if isinstance(tensor, Planned):
                    first[tensor.number] = min(first[tensor.number], index)
                    last[tensor.number] = max(last[tensor.number], end)
        for tensor in kept:
            if isinstance(tensor, Planned):
                last[tensor.number] = len(self.steps)
        sized = zip(self.sizes_bytes, first, last, strict=True)
        return [Life(size if end >= 0 else 0, min(begin, max(end, 0)), max(end, 0)) for size, begin, end in sized]

    def launch(self, function: Any, run: Any, grid: tuple[int, ...], args: Any, options: dict[str, Any]) -> Any:
        """A launch of a kernel: compiled, not done."""
        kernel = None if run is None else run(function, *args, grid=grid, warmup=True, **options)
        self.steps.append(Step(function, tuple(args), options, grid=grid, kernel=kernel, branch=self._branch))
        return kernel

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._is_paused:
            return func(*args, **kwargs)
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        planned = [tensor for tensor in given if isinstance(tensor, Planned)]
        if func.is_view and not planned:
            return func(*args, **kwargs)  # a view of memory that is there
        if _waits(func, given):
            raise NotRecordable(f"{func} waits for the device: work with it cannot be recorded")
        for leaf in tree_leaves((args, kwargs)):
            place = leaf.device if isinstance(leaf, Tensor) and leaf.dim() else leaf
            if isinstance(place, torch.device) and place.type != self.device.type:
                raise NotRecordable(f"{func} copies between {place} and {self.device}: make what is fixed a `constant`")
        owners: dict[int, tuple[Tensor, Tensor]] = {}

        def shape_of(leaf: Any) -> Any:
            if isinstance(leaf, torch.device):
                return torch.device("meta")
            if not isinstance(leaf, Tensor):
                return leaf
            if isinstance(leaf, Planned):
                meta = leaf.meta
            else:
                meta = torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")
            owners[id(meta)] = (leaf, meta)
            return meta

        made = func(*tree_map(shape_of, args), **tree_map(shape_of, kwargs))
        new: list[Tensor] = []

        def tensor_of(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            if id(leaf) in owners:
                return owners[id(leaf)][0]
            if func.is_view:
                return Planned(leaf, self.device, planned[0].number)
            self.sizes_bytes.append(leaf.untyped_storage().nbytes())
            new.append(Planned(leaf, self.device, len(self.sizes_bytes) - 1))
            return new[-1]

        result = tree_map(tensor_of, made)
        if not func.is_view and func.overloadpacket.__name__ not in _ALLOCATIONS:
            self.steps.append(Step(func, tuple(args), kwargs, outputs=tuple(new), branch=self._branch))
        return result


def _waits(operation: Any, tensors: Sequence[Tensor]) -> bool:
    """Whether the shape of what an operation makes, or a number that it gives, depends on what tensors hold."""
    if operation is torch.ops.aten.index.Tensor:  # by masks, but not by indices
        return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in tensors[1:])
    return any(tag in operation.tags for tag in _HOST_TAGS)


@contextmanager
def _watched() -> Iterator[None]:
    """Within, launches of Triton's kernels by a thread that records go to its recording."""
    with _watching:
        compiled, interpreted = JITFunction.run, InterpretedFunction.run

        def launch(function: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> Any:
            real = compiled if isinstance(function, JITFunction) else interpreted
            if here.recording is None or warmup:
                return real(function, *args, grid=grid, warmup=warmup, **options)
            return here.recording.launch(function, compiled if real is compiled else None, grid, args, options)

        JITFunction.run = InterpretedFunction.run = launch
        try:
            yield
        finally:
            JITFunction.run, InterpretedFunction.run = compiled, interpreted
