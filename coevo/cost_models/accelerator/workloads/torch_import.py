"""Any torch module as a workload, through `torch.export`.

The exported graph holds ATen operators with the shapes of every tensor. An operator either has a rule below, or is
known to have no multiply-accumulates (`torch_free.py`), or is an error: nothing is passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from coevo.cost_models.accelerator.workloads.products import (
    attention_of,
    batched_product,
    convolution_of,
    einsum_of,
)
from coevo.cost_models.accelerator.workloads.torch_free import is_free, passes_on
from coevo.cost_models.accelerator.workloads.transposed import transposed_convolution
from coevo.cost_models.accelerator.workloads.workload import Occurrence, Workload
from coevo.errors import InputError, missing_extra

if TYPE_CHECKING:
    import torch


def import_torch(
    module: torch.nn.Module,
    example: Sequence[Any],
    keywords: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Workload:
    """The layers of a module as it runs on `example` (and `keywords`), in evaluation mode.

    Nothing is computed: tensors on the `meta` device are enough, for the module and for the example. Layers are named
    after the modules that hold them. InputError names the operator and its node where there is no rule for it.
    """
    try:
        import torch
    except ImportError:
        raise missing_extra("torch", "quantum") from None
    label = name or type(module).__name__
    training = module.training
    module.eval()
    try:
        exported = torch.export.export(module, tuple(example), dict(keywords or {}))
    except Exception as error:  # torch.export has no common root for what it refuses
        raise InputError(f"{label}: torch.export cannot export this module: {str(error).splitlines()[0]}") from error
    finally:
        module.train(training)
    return _Graph(exported, label).workload()


class _Graph:
    """The nodes of an exported program, and which of them the module stores."""

    def __init__(self, exported: Any, label: str):
        signature = exported.graph_signature
        self.label = label
        self.nodes = list(exported.graph.nodes)
        self.stored = {
            *signature.inputs_to_parameters,
            *signature.inputs_to_buffers,
            *signature.inputs_to_lifted_tensor_constants,
        }
        self.left_out: Counter[str] = Counter()
        self.names: Counter[str] = Counter()

    def workload(self) -> Workload:
        found: list[Occurrence] = []
        for node in self.nodes:
            if node.op in ("placeholder", "output", "get_attr"):
                continue
            operator = getattr(node.target, "overloadpacket", node.target)
            kind = str(operator).removeprefix("aten.")
            rule = RULES.get(kind)
            if rule is not None:
                found += rule(self, node, self._name(node))
            elif is_free(node.target, kind):
                self.left_out[kind] += 1
                if passes_on(kind) and all(given.name in self.stored for given in node.all_input_nodes):
                    self.stored.add(node.name)
            else:
                raise InputError(
                    f"{self.label}: node {node.name!r} in {_path(node) or 'the module itself'}: the operator "
                    f"{operator} has no rule for its multiply-accumulates and is not known to have none. Rules: "
                    f"{', '.join(sorted(RULES))}. Write the module with those, or the network as a workload file"
                )
        left_out = (f"{kind} x {count}" for kind, count in sorted(self.left_out.items()))
        return Workload.of(self.label, found, left_out)

    def _name(self, node: Any) -> str:
        """The module's path; a second layer of the same module gets its number."""
        path = _path(node) or node.name
        self.names[path] += 1
        return path if self.names[path] == 1 else f"{path}.{self.names[path]}"

    def argument(self, node: Any, position: int, name: str, default: Any = None) -> Any:
        if len(node.args) > position:
            return node.args[position]
        return node.kwargs.get(name, default)

    def is_stored(self, node: Any) -> bool:
        return node.name in self.stored

    def linear(self, node: Any, where: str) -> list[Occurrence]:
        given, weights = node.args[:2]
        shape = _shape(weights, self.label)
        product = batched_product(
            where, _shape(given, self.label), shape[::-1], "right" if self.is_stored(weights) else None
        )
        return [product]

    def product(self, node: Any, where: str) -> list[Occurrence]:
        return [self._multiply(where, node.args[0], node.args[1])]

    def product_and_sum(self, node: Any, where: str) -> list[Occurrence]:
        """addmm and baddbmm: the first operand is what is added."""
        return [self._multiply(where, node.args[1], node.args[2])]

    def _multiply(self, where: str, left: Any, right: Any) -> Occurrence:
        stored = "right" if self.is_stored(right) else "left" if self.is_stored(left) else None
        return batched_product(where, _shape(left, self.label), _shape(right, self.label), stored)

    def einsum(self, node: Any, where: str) -> list[Occurrence]:
        equation, operands = node.args[:2]
        stored = [self.is_stored(operand) for operand in operands]
        side = "right" if stored[-1] else "left" if stored[0] else None
        return einsum_of(where, equation, [_shape(operand, self.label) for operand in operands], side)

    def convolution(self, node: Any, where: str) -> list[Occurrence]:
        """conv1d and conv2d: (input, weight, bias, stride, padding, dilation, groups)."""
        stride, dilation = self.argument(node, 3, "stride", 1), self.argument(node, 5, "dilation", 1)
        return self._convolve(node, where, stride, dilation, self.argument(node, 6, "groups", 1))

    def any_convolution(self, node: Any, where: str) -> list[Occurrence]:
        """convolution: (input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)."""
        stride, dilation, groups = node.args[3], node.args[5], node.args[8]
        if node.args[6]:
            return self._transpose(node, where, stride, dilation, groups)
        return self._convolve(node, where, stride, dilation, groups)

    def transposed(self, node: Any, where: str) -> list[Occurrence]:
        """conv_transpose2d: (input, weight, bias, stride, padding, output_padding, groups, dilation)."""
        stride, dilation = self.argument(node, 3, "stride", 1), self.argument(node, 7, "dilation", 1)
        return self._transpose(node, where, stride, dilation, self.argument(node, 6, "groups", 1))

    def _convolve(self, node: Any, where: str, stride: Any, dilation: Any, groups: int) -> list[Occurrence]:
        weights, output = node.args[1], _shape(node, self.label)
        shape = _shape(weights, self.label)
        if len(output) == len(shape) - 1:  # no batch
            output = (1, *output)
        spatial = len(shape) - 2
        layer = convolution_of(where, output, shape, _spread(stride, spatial), _spread(dilation, spatial), groups)
        return [Occurrence(layer, stored=self.is_stored(weights))]

    def _transpose(self, node: Any, where: str, stride: Any, dilation: Any, groups: int) -> list[Occurrence]:
        weights, output = _shape(node.args[1], self.label), _shape(node, self.label)
        if len(weights) != 4:
            raise InputError(f"{self.label}: {where}: transposed convolutions over two dimensions are mapped")
        steps, spread = _spread(stride, 2), _spread(dilation, 2)
        layer = transposed_convolution(
            where,
            (output[-2], output[-1]),
            weights[0],
            output[-3],
            (weights[2], weights[3]),
            (steps[0], steps[1]),
            (spread[0], spread[1]),
            groups,
            output[0] if len(output) == 4 else 1,
        )
        return [Occurrence(layer, stored=self.is_stored(node.args[1]))]

    def attention(self, node: Any, where: str) -> list[Occurrence]:
        query, key, value = (_shape(given, self.label) for given in node.args[:3])
        return attention_of(where, query, key, value)


RULES: dict[str, Callable[[_Graph, Any, str], list[Occurrence]]] = {
    "addmm": _Graph.product_and_sum,
    "addmv": _Graph.product_and_sum,
    "baddbmm": _Graph.product_and_sum,
    "bmm": _Graph.product,
    "conv1d": _Graph.convolution,
    "conv2d": _Graph.convolution,
    "conv_transpose2d": _Graph.transposed,
    "convolution": _Graph.any_convolution,
    "dot": _Graph.product,
    "einsum": _Graph.einsum,
    "linear": _Graph.linear,
    "matmul": _Graph.product,
    "mm": _Graph.product,
    "mv": _Graph.product,
    "scaled_dot_product_attention": _Graph.attention,
}


def _path(node: Any) -> str:
    """The path of the module that a node belongs to."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return paths[-1] if paths else ""


def _shape(node: Any, label: str) -> tuple[int, ...]:
    value = node.meta["val"]
    if not all(isinstance(size, int) for size in value.shape):
        raise InputError(f"{label}: node {node.name!r} has a shape that depends on its data, {tuple(value.shape)}")
    return tuple(value.shape)


def _spread(value: Any, count: int) -> list[int]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * count if len(values) == 1 else values
