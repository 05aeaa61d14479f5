"""A recording with memory: its steps, bound to places in one arena, done in a few microseconds each.

A launch goes straight to Triton's compiled kernel with its addresses and numbers; what a launch otherwise costs the
host (binding and specialising arguments, checks, plans, allocation) was done when it was recorded. In Triton's
interpreter the kernels' functions are called with tensors of the arena.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from coevo.errors import missing_extra
from coevo.kernels.sparse.recorded.arena import most_live_bytes, places
from coevo.kernels.sparse.recorded.recording import Planned, Recording, Step
from coevo.kernels.sparse.recorded.streams import on, side_stream

try:
    import torch
    from torch.utils._pytree import tree_map
    from triton.tools.tensor_descriptor import TensorDescriptor
except ImportError as error:
    raise missing_extra("triton", "cuda") from error

Tensor = torch.Tensor
Call = Callable[..., Any]
_COPIES = ("_to_copy", "clone")


class Program:
    """The steps of a recording, to be done as often as wanted; each call does all of them in the current stream.

    Attributes:
        size_bytes: of the arena.
        least_bytes: what its buffers need at the step that needs most.
    """

    def __init__(self, recording: Recording, kept: Sequence[Tensor]):
        """`kept`: tensors of the recording that hold their values after a call, until the next (`tensor`)."""
        self.device = recording.device
        lives = recording.lives(kept)
        self._begins, self.size_bytes = places(lives)
        self.least_bytes = most_live_bytes(lives)
        self.arena = torch.empty(self.size_bytes, dtype=torch.uint8, device=self.device)
        self._kept_alive = [
            tensor for step in recording.steps for tensor in step.tensors() if not isinstance(tensor, Planned)
        ]
        ends = [0, *recording.cuts, len(recording.steps)]
        with on(self.device):
            self._parts = [self._bound(recording.steps[begin:end]) for begin, end in pairwise(ends)]

    def tensor(self, planned: Tensor) -> Tensor:
        """The tensor of the arena that stands for one of the recording; one that was there before, as it is."""
        if not isinstance(planned, Planned):
            return planned
        begin = self._begins[planned.number] + planned.offset_bytes
        made = torch.empty(0, dtype=planned.dtype, device=self.device)
        storage = self.arena.untyped_storage()
        return made.set_(storage, begin // planned.element_size(), planned.shape, planned.stride())

    @property
    def parts(self) -> int:
        """How many there are (`streams.cut`)."""
        return len(self._parts)

    def __call__(self, part: int | None = None) -> None:
        """Does all steps, or those of a part, in their order."""
        pieces = [piece for each in self._parts for piece in each] if part is None else self._parts[part]
        if self.device.type != "cuda":
            for _, _, calls in pieces:
                for call, _ in calls:
                    call()
            return
        with on(self.device):
            main = torch.cuda.current_stream()
            for branch, waits, calls in pieces:
                if branch is None:
                    for number in waits:
                        main.wait_stream(side_stream(self.device, number))
                    _do(calls, main)
                else:
                    stream = side_stream(self.device, branch)
                    stream.wait_stream(main)
                    with torch.cuda.stream(stream):
                        _do(calls, stream)

    def _bound(self, steps: Sequence[Step]) -> list[tuple[int | None, list[int], list[tuple[Call, bool]]]]:
        """Pieces of steps in one stream: the side stream or None, what is waited for first, and the calls, each with
        whether it wants to be told the stream."""
        pieces: list[tuple[int | None, list[int], list[tuple[Call, bool]]]] = [(None, [], [])]
        for step in steps:
            if isinstance(step.call, int):
                pieces.append((None, [step.call], []))
                continue
            if step.branch != pieces[-1][0]:
                pieces.append((step.branch, [], []))
            call = self._launch(step) if step.grid is not None else self._operation(step)
            pieces[-1][2].append((call, step.kernel is not None))
        return pieces

    def _real(self, value: Any) -> Any:
        """Arguments with tensors of the arena."""
        return tree_map(lambda leaf: self.tensor(leaf) if isinstance(leaf, Tensor) else leaf, value)

    def _launch(self, step: Step) -> Call:
        if step.kernel is None:
            return partial(
                step.call.run, *self._real(step.args), grid=step.grid, warmup=False, **self._real(step.options)
            )
        kernel = step.kernel.result() if hasattr(step.kernel, "result") else step.kernel
        named = dict(zip(step.call.arg_names, step.args, strict=False))
        for parameter in step.call.params:
            if parameter.name not in named:
                named[parameter.name] = step.options.get(parameter.name, parameter.default)
        assert step.grid is not None
        grid = (*step.grid, 1, 1)[:3]
        arguments = [self._address(named[name]) for name in step.call.arg_names]
        return partial(kernel[grid], *arguments)

    def _address(self, argument: Any) -> Any:
        """A launcher takes addresses for tensors."""
        if isinstance(argument, Planned):
            return self.arena.data_ptr() + self._begins[argument.number] + argument.offset_bytes
        if isinstance(argument, TensorDescriptor):
            base = self.tensor(argument.base)
            return TensorDescriptor(base, argument.shape, argument.strides, argument.block_shape)
        return argument.data_ptr() if isinstance(argument, Tensor) else argument

    def _operation(self, step: Step) -> Call:
        """An operation of torch that writes to the arena."""
        args, options = self._real(step.args), self._real(step.options)
        if not step.outputs:
            return partial(step.call, *args, **options)
        outputs = [self.tensor(each) for each in step.outputs]
        if step.call.overloadpacket.__name__ in _COPIES:
            return partial(outputs[0].copy_, args[0])
        variant = _out_variant(step.call)
        if variant is not None:
            operation, names = variant
            return partial(operation, *args, **options, **dict(zip(names, outputs, strict=True)))
        return partial(_compute_and_copy, partial(step.call, *args, **options), outputs)


def _do(calls: Sequence[tuple[Call, bool]], stream: Any) -> None:
    handle = stream.cuda_stream
    for call, is_launch in calls:
        if is_launch:
            call(stream=handle)
        else:
            call()


def _out_variant(operation: Any) -> tuple[Any, list[str]] | None:
    """The operation that writes to given tensors instead of making new ones, and the names of these arguments."""
    wanted = [(each.name, str(each.type)) for each in operation._schema.arguments]
    packet = operation.overloadpacket
    for name in packet.overloads():
        other = getattr(packet, name)
        arguments = other._schema.arguments
        written = [each.name for each in arguments if each.is_out]
        if written and [(each.name, str(each.type)) for each in arguments if not each.is_out] == wanted:
            return other, written
    return None


def _compute_and_copy(compute: Call, outputs: Sequence[Tensor]) -> None:
    made = compute()
    for output, each in zip(outputs, (made,) if isinstance(made, Tensor) else made, strict=True):
        output.copy_(each)
