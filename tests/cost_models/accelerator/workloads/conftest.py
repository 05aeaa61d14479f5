"""ONNX graphs written by hand: nodes over tensors whose weights have a shape and no data."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")


class OnnxGraph:
    """Collects nodes; every method returns the name of its output."""

    def __init__(self, **inputs):
        self.nodes, self.stored, self.count = [], [], 0
        self.inputs = [self.tensor(name, shape) for name, shape in inputs.items()]

    @staticmethod
    def tensor(name, shape, kind=onnx.TensorProto.FLOAT):
        return onnx.helper.make_tensor_value_info(name, kind, shape)

    def weight(self, *shape, kind=onnx.TensorProto.FLOAT):
        self.count += 1
        self.stored.append(onnx.TensorProto(name=f"w{self.count}", data_type=kind, dims=shape))
        return self.stored[-1].name

    def numbers(self, values, kind=onnx.TensorProto.INT64, shape=None):
        self.count += 1
        shape = [len(values)] if shape is None else shape
        self.stored.append(onnx.helper.make_tensor(f"n{self.count}", kind, shape, values))
        return self.stored[-1].name

    def array(self, values):
        self.count += 1
        self.stored.append(onnx.numpy_helper.from_array(values, f"a{self.count}"))
        return self.stored[-1].name

    def __call__(self, kind, *inputs, outputs=1, name=None, domain="", **attributes):
        self.count += 1
        results = [f"t{self.count}.{place}" for place in range(outputs)]
        label = name or f"{kind}.{self.count}"
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), results, name=label, domain=domain, **attributes))
        return results[0] if outputs == 1 else results

    def model(self, *outputs, opset=23, functions=()):
        graph = onnx.helper.make_graph(
            self.nodes,
            "graph",
            self.inputs,
            [onnx.helper.make_empty_tensor_value_info(output) for output in outputs],
            initializer=self.stored,
        )
        opsets = [onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid("mine", 1)]
        return onnx.helper.make_model(graph, opset_imports=opsets, functions=list(functions))


@pytest.fixture
def onnx_graph():
    return OnnxGraph


def table(workload):
    """What two workloads must share: shapes with how often they run."""
    return {layer.shape: repeats for layer, repeats in workload.layers}


@pytest.fixture(name="table")
def table_fixture():
    return table
