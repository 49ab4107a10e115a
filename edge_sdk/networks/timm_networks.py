"""Networks by timm's names: made, with pretrained weights where asked for; and what timm says of their input."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.inputs import InputSpec
from edge_sdk.networks.hub import pretrained_weights
from edge_sdk.networks.timm_library import import_timm

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def make_network(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    pretrained: bool = False,
    num_classes: int | None = None,
    input: InputSpec | None = None,
) -> nn.Module:
    """A network by timm's name, in evaluation mode, on torch's present default device.

    Args:
        name: "resnet18", or with a tag of pretrained weights "lcnet_050.ra2_in1k".
        options: keyword arguments for timm's `create_model`.
        pretrained: with timm's pretrained weights, from the cache or the hub.
        num_classes: outputs of the head; None: as many as timm says.
        input: gives networks that are built for one size theirs.

    Raises:
        WorkbenchError: timm has no such architecture or cannot make it, or its weights cannot be fetched.
    """
    timm = import_timm()
    plain = known_architecture(name)
    given = dict(options or {}) if num_classes is None else {**(options or {}), "num_classes": num_classes}
    if input is not None and is_size_bound(plain):
        given["img_size"] = (input.height, input.width)
    if pretrained and (weights := pretrained_weights(name)) is not None:
        given["pretrained_cfg_overlay"] = {"state_dict": weights}
    try:
        module: nn.Module = timm.create_model(name, pretrained=pretrained, **given)
    except (RuntimeError, TypeError, OSError, AssertionError, ValueError) as error:
        told = {key: value for key, value in given.items() if key != "pretrained_cfg_overlay"}
        raise WorkbenchError(f"timm could not make {name} with {told}: {error}") from error
    getattr(module, "pretrained_cfg", {}).pop("state_dict", None)
    return module.eval()


def network_shapes(name: str, options: Mapping[str, Any] | None = None, **settings: Any) -> nn.Module:
    """As `make_network`, without memory for weights (torch's meta device)."""
    with torch.device("meta"):
        return make_network(name, options, **settings)


def known_architecture(name: str) -> str:
    """The name without its tag.

    Raises:
        WorkbenchError: timm has no such architecture; the message has close names.
    """
    timm = import_timm()
    plain = name.split(".", 1)[0]
    if not timm.is_model(plain):
        close = difflib.get_close_matches(plain, timm.list_models(), n=5, cutoff=0.4)
        raise WorkbenchError(
            f"timm {timm.__version__} knows no architecture {plain!r}; close names: {', '.join(close) or 'none'}"
        )
    return plain


def is_architecture(name: str) -> bool:
    """Whether timm has an architecture of this name, with or without a tag."""
    return bool(import_timm().is_model(name.split(".", 1)[0]))


def is_size_bound(name: str) -> bool:
    """Whether the network is built for one input size (transformers with learned positions)."""
    return bool(config_of(name).get("fixed_input_size"))


def classifiers_of(module: nn.Module) -> tuple[str, ...]:
    """Names of the modules of a timm network that give the classes."""
    given = getattr(module, "pretrained_cfg", {}).get("classifier") or ()
    return (given,) if isinstance(given, str) else tuple(given)


def config_of(name: str) -> dict[str, Any]:
    """What timm has as `pretrained_cfg` of an architecture; {}: it has none."""
    config = import_timm().get_pretrained_cfg(name, allow_unregistered=True)
    return {} if config is None else dict(config.to_dict())


def usual_input(config: Mapping[str, Any], size: tuple[int, int] | None = None) -> InputSpec:
    """What a network takes, by its timm configuration.

    Args:
        config: timm's `pretrained_cfg`.
        size: width and height that go before the configuration's.
    """
    _, height, width = config.get("input_size") or (3, 224, 224)
    if size is not None:
        width, height = size
    return InputSpec(
        width=width,
        height=height,
        mean=tuple(config.get("mean") or IMAGENET_MEAN),
        std=tuple(config.get("std") or IMAGENET_STD),
        resize="crop",
    )
