"""Any ONNX file as a workload (extra `naas`).

Shapes come from ONNX's own shape inference. An operator either has a rule below, or stands in `FREE` because it neither
multiplies and accumulates nor hides anything that does, or is an error: nothing is passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from coevo.cost_models.accelerator.workloads.onnx_free import FREE
from coevo.cost_models.accelerator.workloads.products import attention_of, batched_product, convolution_of, einsum_of
from coevo.cost_models.accelerator.workloads.transposed import transposed_convolution
from coevo.cost_models.accelerator.workloads.workload import Occurrence, Workload
from coevo.errors import InputError, missing_extra, nearest


def import_onnx(
    model: str | Path | Any, shapes: Mapping[str, Sequence[int]] | None = None, name: str | None = None
) -> Workload:
    """The layers of an ONNX model: a path, or a ModelProto.

    `shapes`: sizes of inputs by name, for models whose inputs have free dimensions (a batch, a sequence). InputError
    names the operator and its node where there is no rule for it, and the tensor where its shape is not known.
    """
    try:
        import onnx
    except ImportError:
        raise missing_extra("onnx", "naas") from None
    stem = "model"
    if isinstance(model, str | Path):
        path = Path(model)
        if not path.is_file():
            raise InputError(f"no file {str(path)!r}; expected an ONNX model")
        stem = path.stem
        try:
            model = onnx.load(path, load_external_data=False)  # shapes are enough
        except Exception as error:  # protobuf's errors have no root that onnx names
            raise InputError(f"{path}: not a valid ONNX model: {error}") from None
    if not isinstance(model, onnx.ModelProto):
        raise InputError(f"expected the path of an ONNX file or an onnx.ModelProto, got {model!r}")
    reader = _Graph(_prepared(model, shapes or {}, stem), stem)
    return reader.workload(name or stem)


def _prepared(model: Any, shapes: Mapping[str, Sequence[int]], file: str) -> Any:
    """The model with its functions inlined, its inputs fixed, and all shapes inferred."""
    import onnx
    import onnx.inliner

    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    if fixed.functions:
        fixed = onnx.inliner.inline_local_functions(fixed)
    stored = {tensor.name for tensor in fixed.graph.initializer}
    inputs = {entry.name: entry for entry in fixed.graph.input if entry.name not in stored}
    for name, sizes in shapes.items():
        if name not in inputs:
            close = nearest(name, inputs)
            hint = f"; did you mean {close!r}?" if close else ""
            raise InputError(f"{file}: no input {name!r}{hint} Inputs: {', '.join(inputs)}")
        tensor = inputs[name].type.tensor_type
        if tensor.HasField("shape") and len(tensor.shape.dim) != len(sizes):
            raise InputError(
                f"{file}: input {name!r} has {len(tensor.shape.dim)} dimensions, got the shape {list(sizes)}"
            )
        for position, size in enumerate(sizes):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise InputError(
                    f"{file}: input {name!r}: sizes must be whole numbers of at least 1, got {list(sizes)}"
                )
            while len(tensor.shape.dim) <= position:
                tensor.shape.dim.add()
            tensor.shape.dim[position].dim_value = size
    for name, entry in inputs.items():
        free = [dim.dim_param or "?" for dim in entry.type.tensor_type.shape.dim if dim.dim_value < 1]
        if entry.type.HasField("tensor_type") and free:
            raise InputError(
                f"{file}: input {name!r} has free dimensions ({', '.join(free)}); give its shape, for example "
                f"shapes={{{name!r}: (1, 3, 224, 224)}}"
            )
    if shapes:  # what stood there was inferred for other sizes
        del fixed.graph.value_info[:]
        for output in fixed.graph.output:
            output.type.tensor_type.ClearField("shape")
    try:
        return onnx.shape_inference.infer_shapes(fixed, check_type=True, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise InputError(f"{file}: ONNX cannot infer the shapes of this model: {error}") from None


class _Graph:
    """Shapes, types and constants of a graph, and the layers of its nodes."""

    def __init__(self, model: Any, file: str):
        import onnx

        self.file = file
        self.graph = model.graph
        self.shapes: dict[str, tuple[int | None, ...]] = {}
        self.types: dict[str, int] = {}
        self.constants: set[str] = set()
        for entry in (*self.graph.input, *self.graph.value_info, *self.graph.output):
            tensor = entry.type.tensor_type
            if tensor.HasField("shape"):
                self.shapes[entry.name] = tuple(
                    dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim
                )
            self.types[entry.name] = tensor.elem_type
        for stored in self.graph.initializer:
            self.shapes[stored.name] = tuple(stored.dims)
            self.types[stored.name] = stored.data_type
            self.constants.add(stored.name)
        self.eight = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
        self.value = onnx.helper.get_attribute_value
        self.left_out: Counter[str] = Counter()

    def workload(self, name: str) -> Workload:
        found: list[Occurrence] = []
        for position, node in enumerate(self.graph.node):
            where = node.name or (node.output[0] if node.output else f"node {position}")
            if node.domain not in ("", "ai.onnx"):
                raise self._unknown(node, where)
            rule = RULES.get(node.op_type)
            if rule is not None:
                found += rule(self, node, where)
            elif node.op_type in FREE:
                self.left_out[node.op_type] += 1
                if node.op_type in CARRY and all(not given or given in self.constants for given in node.input):
                    self.constants.update(node.output)
            else:
                raise self._unknown(node, where)
        left_out = (f"{kind} x {count}" for kind, count in sorted(self.left_out.items()))
        return Workload.of(name, found, left_out)

    def _unknown(self, node: Any, where: str) -> InputError:
        kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        return InputError(
            f"{self.file}: node {where!r}: the operator {kind} has no rule for its multiply-accumulates and is not "
            f"known to have none. Rules: {', '.join(sorted(RULES))}. Replace it in the export, or write the network as "
            "a workload file"
        )

    def attribute(self, node: Any, name: str, default: Any) -> Any:
        return next((self.value(entry) for entry in node.attribute if entry.name == name), default)

    def shape(self, tensor: str, where: str) -> tuple[int, ...]:
        found = self.shapes.get(tensor)
        if found is not None and any(size is not None and size < 1 for size in found):
            raise InputError(
                f"{self.file}: node {where!r}: the tensor {tensor!r} has the shape {list(found)}: nothing is left "
                "of it; a kernel may be larger than its padded input"
            )
        known = tuple(size for size in found or () if size is not None)
        if found is None or len(known) != len(found):
            raise InputError(
                f"{self.file}: node {where!r}: the shape of {tensor!r} is not known"
                + (f" ({list(found)})" if found else "")
                + "; give the shapes of the model's inputs"
            )
        return known

    def widths(self, inputs: str, weights: str, outputs: str) -> tuple[int, int, int]:
        """Widths of a quantised layer: those of its tensors' types, 32 bit where a sum is kept whole."""
        bits = [8 if self.types.get(tensor) in self.eight else 32 for tensor in (weights, inputs, outputs)]
        return bits[0], bits[1], bits[2]

    def convolution(self, node: Any, where: str) -> list[Occurrence]:
        return self._convolve(node, where, node.input[0], node.input[1])

    def quantised_convolution(self, node: Any, where: str) -> list[Occurrence]:
        inputs, weights = (node.input[0], node.input[3]) if node.op_type == "QLinearConv" else node.input[:2]
        return self._convolve(node, where, inputs, weights, self.widths(inputs, weights, node.output[0]))

    def _convolve(
        self, node: Any, where: str, inputs: str, weights: str, bits: tuple[int, int, int] | None = None
    ) -> list[Occurrence]:
        shape = self.shape(weights, where)
        ones = [1] * (len(shape) - 2)
        layer = convolution_of(
            where,
            self.shape(node.output[0], where),
            shape,
            self.attribute(node, "strides", ones),
            self.attribute(node, "dilations", ones),
            self.attribute(node, "group", 1),
            bits,
        )
        return [Occurrence(layer, stored=weights in self.constants)]

    def transposed(self, node: Any, where: str) -> list[Occurrence]:
        output, weights = self.shape(node.output[0], where), self.shape(node.input[1], where)
        if len(weights) != 4:
            raise InputError(f"{self.file}: node {where!r}: transposed convolutions over two dimensions are mapped")
        pairs = [tuple(self.attribute(node, key, [1, 1])) for key in ("strides", "dilations")]
        layer = transposed_convolution(
            where,
            (output[2], output[3]),
            weights[0],
            output[1],
            (weights[2], weights[3]),
            (pairs[0][0], pairs[0][1]),
            (pairs[1][0], pairs[1][1]),
            self.attribute(node, "group", 1),
            output[0],
        )
        return [Occurrence(layer, stored=node.input[1] in self.constants)]

    def gemm(self, node: Any, where: str) -> list[Occurrence]:
        left, right = self.shape(node.input[0], where), self.shape(node.input[1], where)
        left = left[::-1] if self.attribute(node, "transA", 0) else left
        right = right[::-1] if self.attribute(node, "transB", 0) else right
        return [batched_product(where, left, right, self._stored(node.input[0], node.input[1]))]

    def product(self, node: Any, where: str) -> list[Occurrence]:
        left, right = node.input[:2]
        return [batched_product(where, self.shape(left, where), self.shape(right, where), self._stored(left, right))]

    def quantised_product(self, node: Any, where: str) -> list[Occurrence]:
        left, right = (node.input[0], node.input[3]) if node.op_type == "QLinearMatMul" else node.input[:2]
        stored = self._stored(left, right)
        operands = (right, left) if stored == "left" else (left, right)
        bits = self.widths(*operands, node.output[0])
        return [batched_product(where, self.shape(left, where), self.shape(right, where), stored, bits)]

    def attention(self, node: Any, where: str) -> list[Occurrence]:
        """`Attention` of opset 23: 4-D tensors with heads, or 3-D ones whose heads are counted by attributes; keys and
        values of the past come before the new ones."""
        query, key, value = (list(self.shape(tensor, where)) for tensor in node.input[:3])
        if len(query) == 3:
            counts = [self.attribute(node, f"{kind}_num_heads", 0) for kind in ("q", "kv", "kv")]
            query, key, value = (
                [shape[0], heads, shape[1], shape[2] // heads]
                for shape, heads in zip((query, key, value), counts, strict=True)
            )
        if len(node.input) > 4 and node.input[4]:
            past = self.shape(node.input[4], where)[2]
            key[2], value[2] = key[2] + past, value[2] + past
        return attention_of(where, query, key, value)

    def einsum(self, node: Any, where: str) -> list[Occurrence]:
        equation = self.attribute(node, "equation", b"").decode()
        shapes = [self.shape(tensor, where) for tensor in node.input]
        return einsum_of(where, equation, shapes, self._stored(*node.input) if len(node.input) == 2 else None)

    def _stored(self, left: str, right: str) -> str | None:
        if right in self.constants:
            return "right"
        return "left" if left in self.constants else None


CARRY = frozenset({"Cast", "Constant", "DequantizeLinear", "Identity", "QuantizeLinear", "Reshape", "Squeeze",
                   "Transpose", "Unsqueeze"})  # fmt: skip
"""Operators whose output is stored data where their inputs are."""

RULES: dict[str, Callable[[_Graph, Any, str], list[Occurrence]]] = {
    "Attention": _Graph.attention,
    "Conv": _Graph.convolution,
    "ConvInteger": _Graph.quantised_convolution,
    "ConvTranspose": _Graph.transposed,
    "Einsum": _Graph.einsum,
    "Gemm": _Graph.gemm,
    "MatMul": _Graph.product,
    "MatMulInteger": _Graph.quantised_product,
    "QLinearConv": _Graph.quantised_convolution,
    "QLinearMatMul": _Graph.quantised_product,
}
