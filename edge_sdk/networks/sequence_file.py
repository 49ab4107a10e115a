"""An exit sequence as one `.safetensors` file: the big model, its exits, and when frames leave."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.model.inputs import name_scaling
from edge_sdk.networks.checkpoint import create_architecture
from edge_sdk.networks.sequence import Exits, SequenceInfo, SequenceModel

FORMAT = "edge-sdk-sequence-1"


def save_sequence(path: str | Path, model: SequenceModel) -> Path:
    """Write a sequence with its big model into one `.safetensors` file, atomically.

    Raises:
        WorkbenchError: it cannot be written.
    """
    path = Path(path)
    tensors = {f"big.{name}": tensor for name, tensor in model.big.state_dict().items()}
    tensors |= {f"exits.{name}": tensor for name, tensor in model.exits.state_dict().items()}
    plain = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "info": _encode(model.info)}
    try:
        write_whole(path, lambda fresh: save_file(plain, fresh, metadata))
    except (OSError, SafetensorError) as error:
        raise WorkbenchError(f"cannot write {path}: {error}") from error
    return path


def load_sequence(path: str | Path) -> SequenceModel:
    """Read a sequence that `save_sequence` wrote, in eval mode, on the CPU.

    Raises:
        WorkbenchError: the file is missing or is not a sequence, or its weights do not fit.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise WorkbenchError(f"{path}: expected an exit sequence ({FORMAT}); got {metadata.get('format')!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        info = _decode(metadata["info"])
        big = create_architecture(info.big)
        big.load_state_dict(_below("big.", tensors))
        exits = Exits(info.channels, len(info.big.labels), dim=info.dim, heads=info.heads, layers=info.layers)
        exits.load_state_dict(_below("exits.", tensors))
    except (OSError, SafetensorError, KeyError, RuntimeError, msgspec.MsgspecError) as error:
        raise WorkbenchError(f"{path}: expected an exit sequence that edge-sdk wrote: {error}") from error
    return SequenceModel(big, exits.eval(), info)


def is_sequence(path: str | Path) -> bool:
    """Whether a file is an exit sequence."""
    try:
        with safe_open(path, framework="pt") as file:
            return bool((file.metadata() or {}).get("format") == FORMAT)
    except (OSError, SafetensorError):
        return False


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _encode(info: SequenceInfo) -> str:
    # JSON has no infinity: the threshold of an unused exit is stored as null.
    plain = msgspec.to_builtins(info)
    plain["thresholds"] = [None if value == float("inf") else value for value in info.thresholds]
    return json.dumps(plain)


def _decode(text: str) -> SequenceInfo:
    plain = msgspec.json.decode(text)
    plain["thresholds"] = [float("inf") if value is None else value for value in plain["thresholds"]]
    name_scaling(plain["big"])
    return msgspec.convert(plain, SequenceInfo)
