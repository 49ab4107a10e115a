"""Anybody's weights as a network of timm: which one it is, its classes and its input, and nothing loaded in part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.inputs import InputSpec
from edge_sdk.networks.checkpoint_info import CheckpointInfo
from edge_sdk.networks.find_architecture import Found, find_architecture
from edge_sdk.networks.fit_weights import Fitted
from edge_sdk.networks.labels import imagenet_labels, read_labels
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.model_name import TIMM_CONFIG, labels_beside
from edge_sdk.networks.timm_networks import IMAGENET_MEAN, IMAGENET_STD, classifiers_of, make_network, usual_input
from edge_sdk.networks.weights_file import WeightsFile, read_weights

_TWO = "one output, a sigmoid's: the same network with two, whose softmax is that sigmoid (first class: below one half)"
_IMAGENET = 1000

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """Weights under timm's names.

    Attributes:
        module: the network with its weights, in evaluation mode.
        info: its description.
        fitted: which tensor went where.
        part: where in the file they were; "": at its top.
        others: other parts of the file that hold tensors.
        has_names: its classes have names; else the labels are their numbers.
        notes: what was concluded, sentences for people.
    """

    module: nn.Module
    info: CheckpointInfo
    fitted: Fitted
    part: str
    others: tuple[str, ...]
    has_names: bool
    notes: tuple[str, ...]


def import_weights(
    path: str | Path,
    *,
    arch: str = "",
    labels: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    options: Mapping[str, Any] | None = None,
    part: str | None = None,
) -> Imported:
    """Read a `.pth`, `.pt`, `.bin` or `.safetensors` file that any program wrote.

    timm's `config.json` beside it, and class names in the file or in `NAME.labels.txt` beside it, are used.

    Args:
        path: the file.
        arch: timm's name of its architecture; "": by the file's own words or its tensors.
        labels: class names; default: see above, ImageNet's for a thousand classes, else their numbers.
        size: width and height of the input, pixels; default: timm's.
        mean: of the normalisation, by channel, for pixels in [0, 1]; default: torchvision's or timm's.
        std: of the normalisation, likewise.
        options: keyword arguments for timm's `create_model`.
        part: which part of the file (`read_weights`); None: averaged weights before others.

    Raises:
        WorkbenchError: the file cannot be used, its architecture is not known, its tensors do not fit, or it has
            another number of classes than labels.
    """
    path = Path(path)
    weights, beside = read_weights(path, part), _config_beside(path)
    given = {**beside.get("model_args", {}), **(options or {})}
    found = find_architecture(weights, arch or beside.get("architecture", ""), given, size)
    notes = list(found.notes)
    module = found.module
    if _outputs(module) == 1:
        module = _with_two_outputs(found)
        notes.append(_TWO)
    names, whose = _labels(weights, beside, labels, _outputs(module))
    spec, by = _input(found, beside, size, mean, std)
    pixels = f"{spec.width}x{spec.height} pixels{' as given' * (size is not None)}"
    notes += [whose, f"{pixels}, mean {_triple(spec.mean)}, std {_triple(spec.std)}: {by}"]
    info = CheckpointInfo(
        arch=found.arch,
        options=found.options,
        labels=names or tuple(str(number) for number in range(_outputs(module))),
        input=spec,
        macs=count_macs(module, spec.width, spec.height),
        parameters=count_parameters(module),
        version=_version(path),
        training={"imported": path.name, "part": weights.part, "matched_by": found.fitted.how},
    )
    return Imported(module, info, found.fitted, weights.part, weights.others, bool(names), tuple(notes))


def _outputs(module: nn.Module) -> int:
    return int(getattr(module, "num_classes", 0))


def _with_two_outputs(found: Found) -> nn.Module:
    """The network whose softmax over (0, x) is the sigmoid of the one output x."""
    module = make_network(found.arch, found.options, num_classes=2, input=found.input)
    state = found.module.state_dict()
    for head in classifiers_of(module):
        for leaf in ("weight", "bias"):
            if (one := state.get(f"{head}.{leaf}")) is not None:
                state[f"{head}.{leaf}"] = torch.cat([torch.zeros_like(one), one])
    module.load_state_dict(state)
    return module


def _labels(
    weights: WeightsFile, beside: Mapping[str, Any], labels: Sequence[str] | None, outputs: int
) -> tuple[tuple[str, ...], str]:
    """The classes' names, or none; and whose they are."""
    path = weights.path
    if labels is not None:
        if len(labels) != outputs:
            raise WorkbenchError(
                f"expected as many labels as classes; {path} has {outputs} classes and there are {len(labels)} labels"
            )
        return tuple(labels), f"{outputs} classes, named as given"
    for file in labels_beside(path):
        if file.is_file():
            return _labels(weights, beside, read_labels(file), outputs)[0], f"{outputs} classes, named by {file.name}"
    for names, whose in ((weights.labels, "as the file says"), (beside.get("label_names", ()), "as config.json says")):
        if len(names) == outputs and all(isinstance(name, str) for name in names):
            return tuple(names), f"{outputs} classes, named {whose}"
    if outputs == _IMAGENET:
        return imagenet_labels(), "1000 classes, taken to be ImageNet's"
    return (), f"{outputs} classes without names (0 to {outputs - 1})"


def _input(
    found: Found, beside: Mapping[str, Any], size: tuple[int, int] | None, mean: Triple | None, std: Triple | None
) -> tuple[InputSpec, str]:
    """What the network takes, and whose word that is."""
    spec, by = found.input, f"timm's for {found.arch}"
    if found.twin is not None:
        spec, by = _with(spec, mean=IMAGENET_MEAN, std=IMAGENET_STD), "torchvision's"
    if beside.get("pretrained_cfg"):
        own = usual_input(beside["pretrained_cfg"], size)
        spec, by = (own if size is None else _with(own, width=spec.width, height=spec.height)), "as config.json says"
    if mean is not None or std is not None:
        spec, by = _with(spec, mean=mean or spec.mean, std=std or spec.std), "as given"
    else:
        by += " (`edge-sdk import --mean --std` takes others)"
    return spec, by


def _with(spec: InputSpec, **changes: Any) -> InputSpec:
    return msgspec.structs.replace(spec, **changes)


def _config_beside(path: Path) -> dict[str, Any]:
    """What timm wrote into `config.json` beside a file of weights, as its models on hubs have it; {}: nothing."""
    try:
        content = json.loads((path.parent / TIMM_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    fits = isinstance(content, dict) and isinstance(content.get("architecture"), str)
    if not fits or not isinstance(content.get("pretrained_cfg"), dict):
        return {}
    if not isinstance(content.get("model_args"), dict):
        content["model_args"] = {}
    return {**content, "label_names": content.get("label_names") or ()}


def _triple(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _version(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
