"""Workloads as TOML files: what a layer becomes, and every wrong file told once."""

import pytest

from coevo.cost_models.accelerator import Layer
from coevo.cost_models.accelerator.workloads import Occurrence, Workload, load_workload, parse_workload
from coevo.errors import ConfigError, InputError

NET = """
input = [3, 10, 9]
left_out = ["biases"]

[[layer]]
name = "stem"
kind = "convolution"
channels = 8
kernel = [3, 5]
stride = [2, 1]
padding = [1, 2]
dilation = 1

[[layer]]
name = "depth"
kind = "depthwise"
kernel = 3
padding = 1

[[layer]]
name = "grouped"
kind = "convolution"
from = "stem"
channels = 12
kernel = 3
padding = 2
dilation = 2
groups = 4

[[layer]]
name = "shrink"
kind = "pool"
from = ["depth", "grouped"]
kernel = 2

[[layer]]
name = "grow"
kind = "transposed convolution"
channels = 6
kernel = 4
stride = 2
padding = 1

[[layer]]
name = "double"
kind = "resize"
from = "shrink"
scale = 2

[[layer]]
name = "join"
kind = "convolution"
from = ["grow", "double"]
crop = true
channels = 2
kernel = 1
count = 3

[[layer]]
name = "own"
kind = "convolution"
input = [4, 5, 5]
channels = 4
kernel = 5

[[layer]]
name = "head"
kind = "linear"
features = 7

[[layer]]
name = "free"
kind = "matrix product"
rows = 2
inner = 3
columns = 5

[[layer]]
name = "look"
kind = "attention"
heads = 4
key_heads = 2
queries = 6
keys = 7
width = 8
"""


def test_what_each_layer_becomes():
    found = parse_workload(NET, "net.toml", batch=2)
    expected = {
        "stem": Layer("stem", {"N": 2, "K": 8, "C": 3, "Y": 5, "X": 9, "R": 3, "S": 5}, (2, 1)),
        "depth": Layer("depth", {"N": 2, "G": 8, "Y": 5, "X": 9, "R": 3, "S": 3}),
        "grouped": Layer("grouped", {"N": 2, "G": 4, "K": 3, "C": 2, "Y": 5, "X": 9, "R": 3, "S": 3}, (1, 1), (2, 2)),
        # 2 x 4 pixels of 20 channels become 4 x 8: four phases of a 2 x 2 kernel
        "grow": Layer("grow", {"N": 2, "K": 24, "C": 20, "Y": 2, "X": 4, "R": 2, "S": 2}),
        "join": Layer("join", {"N": 2, "K": 2, "C": 26, "Y": 4, "X": 8}),
        "own": Layer("own", {"N": 2, "K": 4, "C": 4, "R": 5, "S": 5}),
        "head": Layer("head", {"N": 2, "K": 7, "C": 4}),
        "free": Layer("free", {"N": 4, "K": 5, "C": 3}),
        "look.scores": Layer("look.scores", {"N": 12, "G": 4, "K": 7, "C": 8}),
        "look.mix": Layer("look.mix", {"N": 12, "G": 4, "K": 8, "C": 7}),
    }
    assert {layer.name: layer for layer, _ in found.layers} == expected
    assert {layer.name: repeats for layer, repeats in found.layers} == dict.fromkeys(expected, 1) | {"join": 3}
    stored = 8 * 3 * 15 + 8 * 9 + 12 * 2 * 9 + 20 * 6 * 16 + 3 * 2 * 26 + 4 * 4 * 25 + 7 * 4 + 3 * 5
    assert found.parameters == stored
    assert found.left_out == ("biases",)


def test_equal_shapes_are_merged_and_named_after_the_first():
    one, two = Layer("one", {"K": 3, "C": 4}), Layer("two", {"K": 3, "C": 4})
    other = Layer("other", {"K": 3, "C": 4}, stride=(2, 1))
    found = Workload.of("net", [Occurrence(one, 2), Occurrence(other), Occurrence(two, 3, stored=False)])
    assert [(layer.name, repeats) for layer, repeats in found.layers] == [("one", 5), ("other", 1)]
    assert found.parameters == 2 * 12 + 12
    assert found.macs == 6 * 12


def test_pools_as_frameworks_round_them():
    torch = pytest.importorskip("torch")
    for size in range(4, 16):
        for kernel, stride, padding in ((2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 1, 1), (3, 3, 1)):
            for up in (False, True):
                expected = torch.nn.functional.max_pool2d(
                    torch.zeros(1, 1, size, size), kernel, stride, padding, ceil_mode=up
                )
                text = (
                    f"input = [1, {size}, {size}]\n"
                    f'[[layer]]\nname = "p"\nkind = "pool"\nkernel = {kernel}\nstride = {stride}\n'
                    f"padding = {padding}\nceil = {str(up).lower()}\n"
                    '[[layer]]\nname = "c"\nkind = "convolution"\nchannels = 1\nkernel = 1\n'
                )
                ((layer, _),) = parse_workload(text).layers
                assert (layer.sizes["Y"], layer.sizes["X"]) == tuple(expected.shape[2:]), (
                    size,
                    kernel,
                    stride,
                    padding,
                    up,
                )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("channels = 8", "channels = 0", "layer 'stem': channels: expected a whole number of at least 1, got 0"),
        ("channels = 8", 'channels = "8"', "got '8'"),
        ("channels = 8", "chanels = 8", "unknown key 'chanels' in net.toml: layer 'stem'. Did you mean 'channels'?"),
        ("channels = 8", "", "layer 'stem': 'channels' is missing"),
        ("kernel = [3, 5]", "kernel = [3, 14]", "spans 14 columns is larger than its padded input of 13 columns"),
        ("kernel = [3, 5]", "kernel = [3]", "at least 1, or [rows, columns] of such, got [3]"),
        ("kernel = [3, 5]", "kernel = 0", "layer 'stem': kernel: expected a whole number"),
        ("stride = [2, 1]", "stride = 0", "layer 'stem': stride: expected a whole number of at least 1"),
        ("padding = [1, 2]", "padding = -1", "layer 'stem': padding: expected a whole number of at least 0"),
        ("groups = 4", "groups = 5", "8 input and 12 output channels do not divide into 5 groups"),
        ('kind = "depthwise"', 'kind = "depthwize"', "unknown kind of layer 'depthwize' in net.toml"),
        ('from = "stem"', 'from = "sten"', "unknown layer with an image 'sten'"),
        ('from = "stem"', "from = []", "expected the name of a layer or a list of them, got []"),
        ('from = "stem"', 'from = "stem"\ninput = [1, 2, 3]', "stands beside 'from'"),
        ("crop = true", "", "expected images of one size, got grow 4 x 8, double 4 x 8"),
        ('name = "grouped"', 'name = "stem"', "'stem' stands twice"),
        ('name = "grouped"', 'name = "input"', "other than 'input'"),
        ("input = [3, 10, 9]", "input = [3, 0, 9]", "net.toml: input: expected [channels, rows, columns]"),
        ("input = [3, 10, 9]", "", "the file states no input"),
        ("input = [4, 5, 5]", "input = [4, 5]", "layer 'own': input: expected [channels, rows, columns]"),
        ("kernel = 4", "kernel = 3", "a transposed convolution is mapped as a plain one where its stride divides"),
        ("stride = 2\npadding = 1", "stride = 2\npadding = 9", "leaves no output"),
        ("kernel = 2\n", "kernel = 20\n", "layer 'shrink': kernel: 20 is larger than the padded input of 5"),
        ("rows = 2", 'rows = "tokens"', 'layer \'free\': rows: is "tokens", and the file states none'),
        ("rows = 2", 'rows = "words"', "expected a whole number"),
        ("key_heads = 2", "key_heads = 3", "4 query heads do not divide into 3 key heads"),
        ("count = 3", "count = 0", "count: expected a whole number of at least 1"),
        ('left_out = ["biases"]', "left_out = [1]", "left_out: expected a list of texts"),
        ("[[layer]]\nname = \"head\"", "[[layers]]\nname = \"head\"", "unknown key 'layers' in net.toml. Did you"),
        ("crop = true", "crop = 1", "expected true or false, got 1"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_by_file_layer_and_what_is_expected(old, new, said):
    assert old in NET
    text = NET.replace(old, new, 1)
    if said.startswith("expected images of one size"):
        text = text.replace("scale = 2", "scale = 3")
        said = "expected images of one size, got grow 4 x 8, double 6 x 12; crop = true cuts to the smallest"
    with pytest.raises(ConfigError) as error:
        parse_workload(text, "net.toml")
    assert "net.toml" in str(error.value)
    assert said in str(error.value)


def test_a_file_without_a_layer_that_multiplies():
    with pytest.raises(ConfigError, match=r"e\.toml: workload 'e': no layer multiplies and accumulates"):
        parse_workload('input = [1, 4, 4]\n[[layer]]\nname = "p"\nkind = "pool"\nkernel = 2', "e.toml")


def test_a_size_where_there_is_nothing_to_size():
    text = '[[layer]]\nname = "m"\nkind = "matrix product"\nrows = 2\ninner = 3\ncolumns = 4'
    with pytest.raises(InputError, match="has nothing to act on"):
        parse_workload(text, "m.toml", input_size=3)
    with pytest.raises(InputError, match="is the length of a sequence here"):
        parse_workload("tokens = 9\n" + text, "m.toml", input_size=(3, 3))


def test_a_file_of_ones_own(tmp_path):
    (tmp_path / "mine.toml").write_text(NET)
    found = load_workload(tmp_path / "mine.toml")
    assert found.name == "mine" and found == parse_workload(NET, "mine.toml")
