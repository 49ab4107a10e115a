"""A trained network as one `.safetensors` file that describes itself.

The tensors are the weights. The metadata (strings, or JSON in a string) holds the timm architecture, labels, input,
MACs, parameters, version and facts about the training, so that one file is enough.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.model.inputs import InputSpec, decode_description
from edge_sdk.networks.checkpoint_info import FORMAT, CheckpointInfo
from edge_sdk.networks.grouped import Summed, summed
from edge_sdk.networks.labels import imagenet_labels
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.model_name import is_file_name, split_name
from edge_sdk.networks.timm_networks import config_of, make_network, usual_input

_log = logging.getLogger(__name__)
__all__ = [
    "CheckpointInfo",
    "create_architecture",
    "create_model",
    "is_checkpoint",
    "load_checkpoint",
    "read_checkpoint",
    "save_checkpoint",
]


def create_model(
    name: str,
    *,
    pretrained: bool = False,
    num_classes: int | None = None,
    labels: tuple[str, ...] | list[str] | None = None,
    input: InputSpec | None = None,
    size: tuple[int, int] | None = None,
    options: dict[str, Any] | None = None,
) -> tuple[nn.Module, CheckpointInfo]:
    """A network from a checkpoint's path or from timm's name, in eval mode, float32, on the CPU.

    Args:
        name: path of a checkpoint, or of anybody's weights (`.pth`, `.pt`, `.bin`, `.safetensors`); the same after
            timm's name of its architecture ("resnet18=weights.pth"); or timm's name alone ("lcnet_050.ra2_in1k").
        pretrained: load timm's pretrained weights (over the network); only for a timm name.
        num_classes: outputs of the head; default: as many as `labels`, else as the checkpoint or timm has.
        labels: class names; default: the checkpoint's, or ImageNet's where timm's head has 1000 classes.
        input: the input to use instead of the checkpoint's or timm's own.
        size: width and height of the input, where `input` is not given and they are to be others.
        options: further keyword arguments for timm's `create_model`; a checkpoint has its own.

    Returns:
        The module and its description. When `labels` differ from the checkpoint's, the head is freshly initialised and
        must be fine-tuned.

    Raises:
        WorkbenchError: no such file, not a checkpoint, unknown architecture, or labels that do not fit the head.
    """
    wanted = tuple(labels) if labels is not None else None
    if wanted is not None and num_classes is not None and len(wanted) != num_classes:
        raise WorkbenchError(
            f"expected as many labels as classes; got {len(wanted)} labels and num_classes {num_classes}"
        )
    classes = len(wanted) if wanted is not None else num_classes
    if is_file_name(name):
        if pretrained:
            raise WorkbenchError(
                f"expected a timm name with pretrained weights; got the checkpoint {name}, which has its own"
            )
        return _from_checkpoint(name, classes, wanted, input, size)
    if input is None and size is not None:
        input = usual_input(config_of(name), size)
    return _from_timm(name, pretrained, classes, wanted, input, options or {})


def load_checkpoint(path: str | Path) -> tuple[nn.Module, CheckpointInfo]:
    """Read a checkpoint: the network in eval mode (float32, CPU) and its description.

    Raises:
        WorkbenchError: the file is missing, is not a checkpoint, names an architecture that timm lacks, or has weights
            that do not fit its architecture and labels.
    """
    state, info = read_checkpoint(path)
    return _with_weights(path, state, info), info


def _with_weights(path: str | Path, state: dict[str, torch.Tensor], info: CheckpointInfo) -> nn.Module:
    module = create_architecture(info)
    try:
        _inner(module).load_state_dict(state)
    except RuntimeError as error:
        raise WorkbenchError(
            f"{path}: weights do not fit {info.arch} with {len(info.labels)} labels: {error}"
        ) from error
    return module.eval()


def create_architecture(info: CheckpointInfo) -> nn.Module:
    """The network that `info` describes, with fresh weights, in eval mode.

    Raises:
        WorkbenchError: timm lacks the architecture.
    """
    outputs = sum(info.sums) or len(info.labels)
    module = make_network(info.arch, info.options, num_classes=outputs, input=info.input)
    if info.widths:
        from edge_sdk.networks.pruning.structure import shrink

        shrink(module, info.input.width, info.input.height, info.widths)
    return summed(module, info.sums)


def _inner(module: nn.Module) -> nn.Module:
    """The network whose weights stand in the file."""
    return module.network if isinstance(module, Summed) else module


def read_checkpoint(
    path: str | Path, size: tuple[int, int] | None = None
) -> tuple[dict[str, torch.Tensor], CheckpointInfo]:
    """The tensors of a checkpoint (floating ones as float32) and its description.

    Weights of others come under timm's names, described by what their file says and by what fits
    (`edge_sdk.networks.foreign`). What had to be concluded is logged.

    Args:
        path: of the file; with "ARCH=" before it where the file does not say its architecture.
        size: width and height of the input where others' weights do not say them; default: timm's. A checkpoint says
            its own.

    Raises:
        WorkbenchError: as `load_checkpoint`.
    """
    arch, file = split_name(path)
    metadata = _metadata(Path(file))
    if metadata.get("format") == FORMAT:
        return _read_own(Path(file), metadata, arch)
    if metadata.get("format", "").startswith("edge-sdk"):
        raise WorkbenchError(f"expected a checkpoint of format {FORMAT}; {path} has {metadata['format']!r}")
    from edge_sdk.networks.foreign import import_weights

    found = import_weights(file, arch=arch, size=size)
    _log.warning("%s: %s", file, "; ".join(found.notes))
    return dict(found.module.state_dict()), found.info


def is_checkpoint(path: str | Path) -> bool:
    """Whether a file is a checkpoint of this SDK, not weights of others."""
    return _metadata(Path(path)).get("format") == FORMAT


def _metadata(path: Path) -> dict[str, str]:
    """Of a `.safetensors` file; {}: there is none, or the file is another."""
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return {}


def _read_own(path: Path, metadata: dict[str, str], arch: str) -> tuple[dict[str, torch.Tensor], CheckpointInfo]:
    try:
        info = decode_description(metadata["info"], CheckpointInfo)
    except (KeyError, msgspec.DecodeError, ValueError) as error:
        raise WorkbenchError(f"{path}: metadata does not describe a checkpoint: {error}") from error
    if arch not in ("", info.arch):
        raise WorkbenchError(f"{path} is a {info.arch}; expected {info.arch} or no architecture; got {arch}")
    with safe_open(path, "pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is no mapping
    if not info.version:
        info = msgspec.structs.replace(info, version=hashlib.sha256(path.read_bytes()).hexdigest()[:12])
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}, info


def save_checkpoint(path: str | Path, module: nn.Module, info: CheckpointInfo, *, half: bool = False) -> Path:
    """Write a network's weights and description atomically: a reader sees the old file or the new one.

    Args:
        path: ends in `.safetensors`.
        module: its `state_dict` is written; of a sum of finer classes that of the network within.
        info: goes into the metadata; `labels` must be as many as the network's outputs.
        half: store floating weights in float16: half the size, about 3 decimal digits. They load as float32.

    Raises:
        WorkbenchError: another suffix, or labels that do not fit the head.
    """
    from safetensors.torch import save

    path = Path(path)
    if path.suffix != ".safetensors":
        raise WorkbenchError(f"expected a path that ends in .safetensors; got {path}")
    outputs = getattr(module, "num_classes", None)
    if outputs is not None and outputs != len(info.labels):
        raise WorkbenchError(f"expected as many labels as outputs; got {len(info.labels)} labels and {outputs} outputs")
    state = {}
    for key, value in _inner(module).state_dict().items():
        value = value.detach().cpu()
        state[key] = (value.half() if half and value.is_floating_point() else value).clone().contiguous()
    metadata = {"format": FORMAT, "arch": info.arch, "info": msgspec.json.encode(info).decode()}
    content = save(state, metadata)  # safetensors' own writer makes a file that only its owner can read
    write_whole(path, content)
    return path


def _from_checkpoint(
    path: str,
    classes: int | None,
    labels: tuple[str, ...] | None,
    new_input: InputSpec | None,
    size: tuple[int, int] | None,
) -> tuple[nn.Module, CheckpointInfo]:
    state, info = read_checkpoint(path, size if new_input is None else (new_input.width, new_input.height))
    if new_input is None and size is not None and size != (info.input.width, info.input.height):
        new_input = msgspec.structs.replace(info.input, width=size[0], height=size[1])
    if classes is None or (classes == len(info.labels) and labels in (None, info.labels)):
        module = _with_weights(path, state, info)
        if new_input is not None:
            macs = count_macs(module, new_input.width, new_input.height)
            info = msgspec.structs.replace(info, input=new_input, macs=macs)
        return module, info
    if labels is None:
        raise WorkbenchError(f"expected labels for a head of {classes} classes; {path} has {len(info.labels)} classes")
    new_input = new_input or info.input
    module = create_architecture(msgspec.structs.replace(info, labels=labels, sums=(), input=new_input))
    own = module.state_dict()
    module.load_state_dict({k: v for k, v in state.items() if k in own and own[k].shape == v.shape}, strict=False)
    return module.eval(), CheckpointInfo(
        arch=info.arch,
        options=info.options,
        widths=info.widths,
        labels=labels,
        input=new_input,
        macs=count_macs(module, new_input.width, new_input.height),
        parameters=count_parameters(module),
        training={"from": info.version},
    )


def _from_timm(
    name: str,
    pretrained: bool,
    classes: int | None,
    labels: tuple[str, ...] | None,
    new_input: InputSpec | None,
    options: dict[str, Any],
) -> tuple[nn.Module, CheckpointInfo]:
    module = make_network(name, options, pretrained=pretrained, num_classes=classes, input=new_input)
    config: dict[str, Any] = dict(getattr(module, "pretrained_cfg", {}))
    outputs = int(getattr(module, "num_classes", 0))
    if labels is None:
        labels = imagenet_labels() if outputs == 1000 else tuple(str(index) for index in range(outputs))
    if len(labels) != outputs:
        raise WorkbenchError(
            f"expected as many labels as outputs of {name}; got {len(labels)} labels and {outputs} outputs"
        )
    if new_input is None:
        new_input = usual_input(config)
    tag = str(config.get("tag") or "") if pretrained else ""
    return module.eval(), CheckpointInfo(
        arch=name,
        options=options,
        labels=labels,
        input=new_input,
        macs=count_macs(module, new_input.width, new_input.height),
        parameters=count_parameters(module),
        version=f"{name}.{tag}" if tag else name,
    )
