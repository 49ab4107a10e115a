import json

import pytest
import torch
from weight_files import Small

from edge_sdk.networks.nearest import (
    INDEX,
    classifiers_of_architecture,
    nearest,
    same_names,
    same_order,
    torchvision_names,
)
from edge_sdk.networks.signature import signature_of
from edge_sdk.networks.timm_library import import_timm
from edge_sdk.networks.timm_networks import classifiers_of, is_architecture, network_shapes

Shapes = dict[str, tuple[int, ...]]


def shapes_of(arch: str, classes: int = 7) -> Shapes:
    return {name: tuple(value.shape) for name, value in network_shapes(arch, num_classes=classes).state_dict().items()}


@pytest.mark.parametrize("arch", ["resnet18", "lcnet_050", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_an_architecture_is_known_by_its_names_whatever_its_classes(arch: str) -> None:
    known = same_names(shapes_of(arch))
    assert arch in known and len(known) <= 2
    assert all(is_architecture(one) for one in known)


def test_wrappers_prefixes_and_counters_do_not_matter() -> None:
    shapes = {
        f"module.model.{name}": shape for name, shape in shapes_of("lcnet_050").items() if "num_batch" not in name
    }
    assert same_names(shapes) == ["lcnet_050"]


def test_other_names_are_found_by_order() -> None:
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in shapes_of("lcnet_050")))
    shapes = {}
    for name, shape in shapes_of("lcnet_050").items():
        layer, _, leaf = name.rpartition(".")
        shapes[f"layer{layers.index(layer)}.{leaf}"] = shape
    assert same_names(shapes) == [] and same_order(shapes) == ["lcnet_050"]


def test_architectures_that_differ_in_padding_alone_are_all_named() -> None:
    assert {"efficientnet_b0", "tf_efficientnet_b0"} <= set(same_names(shapes_of("efficientnet_b0")))


def test_networks_of_torchvision_are_known() -> None:
    import_timm()
    from torchvision import models

    with torch.device("meta"):
        network = models.mobilenet_v3_small(num_classes=5)
    assert torchvision_names({name: tuple(v.shape) for name, v in network.state_dict().items()}) == [
        "mobilenet_v3_small"
    ]


def test_the_index_is_of_this_timm() -> None:
    """`scripts/index-timm` writes it anew. A few architectures are made and compared."""
    index = json.loads(INDEX.read_text())
    known, timm = index["architectures"], import_timm()
    if index["timm"] == timm.__version__:
        assert set(known) | set(index["left_out"]) == set(timm.list_models())
    assert len(index["torchvision"]) > 50
    for arch in ("lcnet_035", "resnet26", "repvgg_a0", "efficientvit_b0"):
        module = network_shapes(arch)
        one = signature_of({name: tuple(v.shape) for name, v in module.state_dict().items()}, classifiers_of(module))
        assert known[arch] == [one.tensors, one.parameters, one.names, one.order, list(one.classifiers)]
    assert classifiers_of_architecture("resnet18.a1_in1k") == ("fc",)


def test_the_nearest_is_named_where_one_layer_is_another() -> None:
    tensors = {name: torch.zeros(shape) for name, shape in shapes_of("lcnet_050").items()}
    tensors["blocks.0.0.conv_pw.weight"] = torch.zeros(17, 8, 1, 1)
    near = nearest(tensors, lambda arch: 7, ordered=True)
    assert near[0].arch == "lcnet_050" and 0.95 < near[0].fitting < 1


def test_nothing_is_near_a_network_of_ones_own() -> None:
    assert all(one.fitting < 0.9 for one in nearest(Small().state_dict(), lambda arch: 3, ordered=True))
