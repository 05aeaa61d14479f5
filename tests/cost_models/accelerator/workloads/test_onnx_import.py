"""ONNX models as workloads: layers by hand, the same network as a torch module, and what is refused."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from coevo.cost_models.accelerator import Layer
from coevo.cost_models.accelerator.workloads import import_onnx, import_torch, load_workload
from coevo.cost_models.accelerator.workloads.onnx_free import FREE
from coevo.cost_models.accelerator.workloads.onnx_import import RULES
from coevo.errors import InputError

INT8, UINT8, INT32, FLOAT = (getattr(onnx.TensorProto, name) for name in ("INT8", "UINT8", "INT32", "FLOAT"))


def sizes(workload):
    return {
        layer.name: ({k: v for k, v in layer.sizes.items() if v > 1}, repeats) for layer, repeats in workload.layers
    }


def test_the_same_network_through_both_importers(onnx_graph, table):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 16, (3, 5), (2, 1), padding="valid")
            self.grouped = nn.Conv2d(16, 24, 3, padding=2, dilation=2, groups=4)
            self.depthwise = nn.Conv2d(24, 24, 3, padding=1, groups=24)
            self.up = nn.ConvTranspose2d(24, 6, 4, 2, 1)
            self.head = nn.Linear(6 * 14 * 16, 40)
            self.mix = nn.Parameter(torch.empty(40, 12))

        def forward(self, x):
            x = torch.relu(self.depthwise(self.grouped(self.stem(x)).sigmoid()))
            x = self.head(self.up(x).flatten(1)) @ self.mix
            scores = torch.softmax(x.view(5, 3, 4) @ x.view(5, 4, 3), -1)
            return torch.einsum("bij,bjk->bik", scores, x.view(5, 3, 4))

    graph = onnx_graph(x=[5, 3, 16, 12])
    x = graph("Conv", "x", graph.weight(16, 3, 3, 5), auto_pad="VALID", strides=[2, 1])
    x = graph("Sigmoid", graph("Conv", x, graph.weight(24, 4, 3, 3), pads=[2, 2, 2, 2], dilations=[2, 2], group=4))
    x = graph("Relu", graph("Conv", x, graph.weight(24, 1, 3, 3), auto_pad="SAME_UPPER", group=24))
    x = graph("ConvTranspose", x, graph.weight(24, 6, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1])
    x = graph("Gemm", graph("Flatten", x), graph.weight(40, 6 * 14 * 16), graph.weight(40), transB=1)
    x = graph("MatMul", x, graph.weight(40, 12))
    rows, columns = (graph("Reshape", x, graph.numbers(shape)) for shape in ([5, 3, 4], [5, 4, 3]))
    scores = graph("Softmax", graph("MatMul", rows, columns))
    out = graph("Einsum", scores, rows, equation="bij,bjk->bik")

    found = import_onnx(graph.model(out))
    other = import_torch(Network(), (torch.empty(5, 3, 16, 12),))
    assert table(found) == table(other)
    assert (found.macs, found.parameters) == (other.macs, other.parameters)
    assert found.parameters == 16 * 3 * 15 + 24 * 4 * 9 + 24 * 9 + 24 * 6 * 16 + 40 * 6 * 14 * 16 + 40 * 12
    assert found.left_out == ("Flatten x 1", "Relu x 1", "Reshape x 2", "Sigmoid x 1", "Softmax x 1")


def test_resnet50_written_as_a_graph_is_the_data_file(onnx_graph, table):
    graph = onnx_graph(x=["batch", 3, "rows", "columns"])

    def conv(x, inputs, outputs, kernel, stride=1):
        pads = [kernel // 2] * 4
        x = graph("Conv", x, graph.weight(outputs, inputs, kernel, kernel), pads=pads, strides=[stride, stride])
        return graph("BatchNormalization", x, *(graph.weight(outputs) for _ in range(4)))

    x = graph("MaxPool", graph("Relu", conv("x", 3, 64, 7, 2)), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for place in range(depth):
            stride = 2 if stage and not place else 1
            inner = graph("Relu", conv(graph("Relu", conv(x, channels, width, 1)), width, width, 3, stride))
            shortcut = x if place else conv(x, channels, 4 * width, 1, stride)
            x = graph("Relu", graph("Add", conv(inner, width, 4 * width, 1), shortcut))
            channels = 4 * width
    out = graph("Gemm", graph("Flatten", graph("GlobalAveragePool", x)), graph.weight(1000, 2048), transB=1)
    model = graph.model(out)
    for batch, side in ((1, 224), (2, 192)):
        found, stored = import_onnx(model, {"x": (batch, 3, side, side)}), load_workload("resnet50", batch, side)
        assert table(found) == table(stored) and found.parameters == stored.parameters
    with pytest.raises(InputError, match=r"input 'x' has free dimensions \(batch, rows, columns\); give its shape"):
        import_onnx(model)
    with pytest.raises(InputError, match=r"no input 'y'.* Inputs: x"):
        import_onnx(model, {"y": (1, 3, 224, 224)})
    with pytest.raises(InputError, match="input 'x' has 4 dimensions, got the shape"):
        import_onnx(model, {"x": (1, 3, 224)})
    with pytest.raises(InputError, match=r"sizes must be whole numbers of at least 1, got \[1, 3, 0, 224\]"):
        import_onnx(model, {"x": (1, 3, 0, 224)})


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((7, 4), (4, 5), {"N": 7, "C": 4, "K": 5}),
        ((2, 3, 7, 4), (4, 5), {"N": 42, "C": 4, "K": 5}),
        ((2, 3, 7, 4), (2, 3, 4, 5), {"G": 6, "N": 7, "C": 4, "K": 5}),
        ((2, 3, 7, 4), (3, 4, 5), {"G": 3, "N": 14, "C": 4, "K": 5}),
        ((2, 1, 7, 4), (1, 3, 4, 5), {"N": 14, "C": 4, "K": 15}),
        ((7, 4), (6, 4, 5), {"N": 7, "C": 4, "K": 30}),
        ((4,), (6, 4, 5), {"C": 4, "K": 30}),
        ((6, 7, 4), (4,), {"N": 42, "C": 4}),
    ],
)
def test_products_of_batches(left, right, expected, onnx_graph):
    graph = onnx_graph(a=left, b=right)
    ((layer, _),) = import_onnx(graph.model(graph("MatMul", "a", "b"))).layers
    assert {loop: size for loop, size in layer.sizes.items() if size > 1} == expected
    out = torch.empty(left) @ torch.empty(right)
    assert layer.macs == out.numel() * left[-1]


def test_stored_operands_on_the_left_become_the_weights(onnx_graph):
    graph = onnx_graph(x=[8, 30])
    found = import_onnx(graph.model(graph("MatMul", graph("Transpose", graph.weight(8, 5)), "x", name="m")))
    assert sizes(found) == {"m": ({"N": 30, "C": 8, "K": 5}, 1)}
    assert found.parameters == 40


def test_gemm_with_a_transposed_input(onnx_graph):
    graph = onnx_graph(x=[8, 30])
    found = import_onnx(graph.model(graph("Gemm", "x", graph.weight(8, 5), transA=1, name="g")))
    assert sizes(found) == {"g": ({"N": 30, "C": 8, "K": 5}, 1)}


def test_convolutions_in_one_dimension(onnx_graph):
    graph = onnx_graph(x=[2, 6, 50])
    model = graph.model(graph("Conv", "x", graph.weight(4, 3, 5), strides=[2], dilations=[3], group=2, name="c"))
    ((layer, _),) = import_onnx(model).layers
    assert layer == Layer("c", {"N": 2, "G": 2, "K": 2, "C": 3, "X": 19, "S": 5}, (1, 2), (1, 3))


def test_quantised_operators_have_the_widths_of_their_tensors(onnx_graph):
    graph = onnx_graph()
    graph.inputs = [graph.tensor("x", [1, 3, 8, 8], UINT8)]
    scale, zero = graph.numbers([0.1], FLOAT, []), graph.numbers([3], UINT8, [])
    zero_weight = graph.numbers([0], INT8, [])
    y = graph(
        "QLinearConv", "x", scale, zero, graph.weight(4, 3, 3, 3, kind=INT8), scale, zero_weight, scale, zero, name="q"
    )
    z = graph("ConvInteger", y, graph.weight(5, 4, 1, 1, kind=INT8), zero, zero_weight, name="i")
    flat = graph("Flatten", y)
    m = graph(
        "QLinearMatMul", flat, scale, zero, graph.weight(144, 7, kind=INT8), scale, zero_weight, scale, zero, name="m"
    )
    n = graph("MatMulInteger", m, graph.weight(7, 2, kind=INT8), zero, zero_weight, name="n")
    found = import_onnx(graph.model(z, n))
    assert {layer.name: layer.bits for layer, _ in found.layers} == {
        "q": (8, 8, 8), "i": (8, 8, 32), "m": (8, 8, 8), "n": (8, 8, 32),
    }  # fmt: skip
    assert sizes(found)["q"] == ({"K": 4, "C": 3, "Y": 6, "X": 6, "R": 3, "S": 3}, 1)


def test_attention_with_grouped_queries_and_a_past(onnx_graph):
    graph = onnx_graph(q=[2, 6, 32], k=[2, 9, 16], v=[2, 9, 16])
    found = import_onnx(graph.model(graph("Attention", "q", "k", "v", q_num_heads=4, kv_num_heads=2, name="a")))
    assert sizes(found) == {
        "a.scores": ({"N": 12, "G": 4, "K": 9, "C": 8}, 1),
        "a.mix": ({"N": 12, "G": 4, "K": 8, "C": 9}, 1),
    }
    assert found.parameters == 0
    graph = onnx_graph(q=[1, 4, 1, 8], k=[1, 4, 1, 8], v=[1, 4, 1, 8], pk=[1, 4, 9, 8], pv=[1, 4, 9, 8])
    out, *_ = graph("Attention", "q", "k", "v", "", "pk", "pv", outputs=3, name="a")
    assert sizes(import_onnx(graph.model(out)))["a.scores"] == ({"G": 4, "K": 10, "C": 8}, 1)


def test_shapes_that_the_graph_computes(onnx_graph):
    """Reshape to what Shape, Gather and Concat say, as exporters write it."""
    graph = onnx_graph(x=[4, 6, 10])
    batch = graph("Gather", graph("Shape", "x"), graph.numbers([0]), axis=0)
    target = graph("Concat", batch, graph.numbers([-1]), axis=0)
    out = graph("MatMul", graph("Reshape", "x", target), graph.weight(60, 3), name="m")
    assert sizes(import_onnx(graph.model(out))) == {"m": ({"N": 4, "C": 60, "K": 3}, 1)}


def test_functions_of_the_model_are_looked_into(onnx_graph):
    body = [onnx.helper.make_node("MatMul", ["a", "b"], ["c"]), onnx.helper.make_node("Relu", ["c"], ["d"])]
    function = onnx.helper.make_function("mine", "Dense", ["a", "b"], ["d"], body, [onnx.helper.make_opsetid("", 23)])
    graph = onnx_graph(x=[4, 6])
    out = graph("Dense", "x", graph.weight(6, 9), domain="mine")
    found = import_onnx(graph.model(out, functions=[function]))
    assert [({k: v for k, v in layer.sizes.items() if v > 1}) for layer, _ in found.layers] == [
        {"N": 4, "C": 6, "K": 9}
    ]


def test_a_file_and_its_faults(onnx_graph, tmp_path):
    graph = onnx_graph(x=[1, 6])
    model = graph.model(graph("MatMul", "x", graph.array(np.zeros((6, 2), np.float32))))
    onnx.save(model, tmp_path / "dense.onnx")
    found = import_onnx(tmp_path / "dense.onnx")
    assert found.name == "dense" and found.macs == 12
    onnx.save(model, tmp_path / "apart.onnx", save_as_external_data=True, location="apart.bin", size_threshold=0)
    (tmp_path / "apart.bin").unlink()  # shapes are enough
    assert import_onnx(str(tmp_path / "apart.onnx")).macs == 12
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    for name, said in (("broken.onnx", "not a valid ONNX model"), ("absent.onnx", "no file")):
        with pytest.raises(InputError, match=said):
            import_onnx(tmp_path / name)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda g: g("Det", "x", name="d"), r"node 'd': the operator Det has no rule .* is not known to have none"),
        (lambda g: g("Quick", "x", domain="mine", name="d"), r"node 'd': the operator mine\.Quick has no rule"),
        (lambda g: g("LSTM", "y", g.weight(1, 8, 4), g.weight(1, 8, 2), hidden_size=2, outputs=3, name="l")[0],
         r"node 'l': the operator LSTM has no rule"),
        (lambda g: g("ConvTranspose", "z", g.weight(3, 2, 3, 3), strides=[2, 2], name="t"), r"'t': a transposed"),
        (lambda g: g("Conv", "v", g.weight(2, 3, 3, 3, 3), name="c"), r"'c': convolutions over one or two dimensions"),
        (lambda g: g("Einsum", "x", "x", equation="iij,ijk->ik", name="e"), r"'e': an einsum of two tensors"),
        (lambda g: g("MatMul", g("Cast", g("Transpose", g("NonZero", "x")), to=FLOAT), g.weight(3, 2), name="m"),
         r"node 'm': the shape of .* is not known \(\[None, 3\]\)"),
        (lambda g: g("MatMul", "x", g.weight(5, 2), name="m"), r"cannot infer the shapes of this model"),
        (lambda g: g("Conv", "z", g.weight(2, 3, 7, 3), name="c"), r"'c'.* larger than its padded input"),
        (lambda g: g("MatMul", "x", g.weight(4, 0), name="m"), r"'m': the tensor .* has the shape \[4, 0\]"),
        (lambda g: g("Relu", "x"), r"no layer multiplies and accumulates"),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_an_error_that_names_it(build, said, onnx_graph):
    graph = onnx_graph(x=[2, 4, 4], y=[7, 1, 4], z=[1, 3, 5, 5], v=[1, 3, 5, 5, 5])
    with pytest.raises(InputError, match=said):
        import_onnx(graph.model(build(graph)))


def test_every_free_operator_is_one_of_onnx_and_none_has_a_rule():
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert known >= FREE and known >= set(RULES)
    assert not FREE & set(RULES)
    hidden = {"DFT", "STFT", "Det", "DeformConv", "GRU", "LSTM", "RNN", "If", "Loop", "Scan", "SequenceMap", "Col2Im",
              "AffineGrid", "LinearAttention", "CausalConvWithState"}  # fmt: skip
    assert not hidden & FREE


def test_what_is_no_model():
    with pytest.raises(InputError, match=r"expected the path of an ONNX file or an onnx\.ModelProto, got 3"):
        import_onnx(3)


def test_without_onnx_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"coevo\[naas\]"):
        import_onnx("net.onnx")
