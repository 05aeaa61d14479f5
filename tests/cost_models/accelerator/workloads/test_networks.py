"""The bundled networks: published totals, and the same shapes as a second definition of each as a torch module."""

import importlib.util
from pathlib import Path

import pytest
import torch

from coevo.cost_models.accelerator.workloads import WORKLOADS, import_torch, load_workload
from coevo.errors import ConfigError, InputError

SPEC = importlib.util.spec_from_file_location("architectures", Path(__file__).with_name("architectures.py"))
architectures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(architectures)

GIGA_MACS = {
    "vgg16": 15.470,
    "resnet18": 1.814,
    "resnet50": 4.089,  # v1.5; v1 has 3.86
    "mobilenet_v2": 0.301,
    "squeezenet1_0": 0.819,
    "squeezenet1_1": 0.349,
    "mnasnet_b1": 0.314,
    "efficientnet_b0": 0.386,
}
"""Multiply-accumulates at 224 x 224, as torchvision's model pages publish them."""

PARAMETERS = {
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "mnasnet_b1": 4_383_312,
    "efficientnet_b0": 5_288_548,
}
"""Published parameters, biases and normalisation included."""


def test_the_networks_of_the_scenarios_are_there():
    assert set(architectures.ARCHITECTURES) | {"bert_base", "llama_block_decode"} == set(WORKLOADS)


@pytest.mark.parametrize("name", GIGA_MACS)
def test_published_macs(name):
    assert round(load_workload(name).macs / 1e9, 3) == GIGA_MACS[name]


@pytest.mark.parametrize("name", sorted(architectures.ARCHITECTURES))
def test_the_torch_module_has_the_same_layers_and_the_published_parameters(name, table):
    module, example = architectures.on_meta(name)
    found, stored = import_torch(module, (example,)), load_workload(name)
    assert table(found) == table(stored)
    assert (found.macs, found.parameters) == (stored.macs, stored.parameters)
    whole = sum(parameter.numel() for parameter in module.parameters())
    assert whole == PARAMETERS.get(name, whole)
    matrices = sum(parameter.numel() for parameter in module.parameters() if parameter.dim() > 1)
    assert stored.parameters == matrices  # what is left out are biases and normalisation: vectors


def test_llama_for_one_further_token(table):
    with torch.device("meta"):
        module = architectures.Transformer(4096, 32, 8, 14336, gated=True)
        caches = [torch.empty(1, 8, 2047, 128) for _ in range(2)]
        found = import_torch(module, (torch.empty(1, 1, 4096), *caches))
    assert table(found) == table(load_workload("llama_block_decode"))


@pytest.mark.parametrize(("name", "size", "batch"), [("mobilenet_v2", (160, 160), 3), ("squeezenet1_1", (128, 200), 1)])
def test_other_sizes_and_batches_follow(name, size, batch, table):
    module, _ = architectures.on_meta(name)
    example = torch.empty(batch, 3, *size, device="meta")
    assert table(load_workload(name, batch, size)) == table(import_torch(module, (example,)))


def test_a_batch_and_a_length_of_a_transformer(table):
    module, _ = architectures.on_meta("bert_base_block")
    example = torch.empty(4, 50, 768, device="meta")
    assert table(load_workload("bert_base_block", batch=4, input_size=50)) == table(import_torch(module, (example,)))
    assert load_workload("bert_base").macs == 12 * load_workload("bert_base_block").macs


def test_grouped_queries_share_their_keys():
    scores = next(layer for layer, _ in load_workload("llama_block").layers if layer.name == "attention.scores")
    assert (scores.sizes["G"], scores.sizes["N"], scores.sizes["K"], scores.sizes["C"]) == (8, 4 * 2048, 2048, 128)


def test_unet_is_the_published_one():
    unet = load_workload("unet")
    assert sum(repeats for _, repeats in unet.layers) == 23  # "in total the network has 23 convolutional layers"
    out = next(layer for layer, _ in unet.layers if layer.name == "out")
    assert (out.sizes["K"], out.sizes["Y"], out.sizes["X"]) == (2, 388, 388)


def test_equal_shapes_are_one_layer():
    shapes = [layer.shape for layer, _ in load_workload("resnet50").layers]
    assert len(set(shapes)) == len(shapes) == 24
    assert sum(repeats for _, repeats in load_workload("resnet50").layers) == 54


@pytest.mark.parametrize("size", [0, (224, 0), (224,), "224", 224.0, True])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(InputError, match="input_size must be a whole number of at least 1"):
        load_workload("resnet50", input_size=size)


def test_a_size_that_leaves_no_pixel_is_told():
    with pytest.raises(ConfigError, match=r"unet\.toml: .*larger than its padded input"):
        load_workload("unet", input_size=60)


@pytest.mark.parametrize("batch", [0, -1, 1.0, True])
def test_a_wrong_batch_is_refused(batch):
    with pytest.raises(InputError, match="batch must be a whole number of at least 1"):
        load_workload("resnet18", batch=batch)


def test_an_unknown_name_is_told():
    with pytest.raises(ConfigError, match=r"unknown workload 'resnet5'\. Did you mean 'resnet50'\?"):
        load_workload("resnet5")
