from __future__ import annotations

import pytest
from gated_model import LABELS, GatedModel

from cloud_server.open_inference.served_model import ServedModel
from edge_sdk.networks.label_map import make_label_map


def served(name: str = "gated") -> ServedModel:
    model, labels = GatedModel(), make_label_map(LABELS, {})
    model.name = name
    return ServedModel(model, lambda: labels, 4)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("trailcam (resnet10t)", "trailcam"),
        ("resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("hf-hub:timm/a b", "hf-hub-timm-a-b"),
        ("Füchse", "F-chse"),
        ("../..", "model"),
    ],
)
def test_the_name_fits_into_an_address(name: str, short: str) -> None:
    assert served(name).name == short


def test_a_name_that_devices_ask_for_goes_over_the_big_models() -> None:
    model, labels = GatedModel(), make_label_map(LABELS, {})
    assert ServedModel(model, lambda: labels, 4, "birds").name == "birds"


def test_metadata_and_config_say_the_same() -> None:
    told, config = served().metadata(["1", "abc"], "def"), served().config("def")
    assert (list(told.versions), told.properties["version"]) == (["1", "abc"], "def")
    assert [one.name for one in told.inputs] == [one.name for one in config.input]
    assert [list(one.shape[1:]) for one in told.outputs] == [list(one.dims) for one in config.output]
    assert dict(told.properties) == {key: one.string_value for key, one in config.parameters.items()}
