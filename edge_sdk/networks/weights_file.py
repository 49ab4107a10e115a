"""Reading the tensors of a file of weights that anybody wrote, without running what a pickle may hold.

PyTorch's unpickler is always told `weights_only=True`; beside tensors it is allowed the plain values that training
programs keep with them (settings of argparse, numbers of numpy, paths), whose unpickling runs no code of the file.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.file_kind import EXPECTED, kind_of

PREFERRED = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema", "shadow_params"),
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "params", "weights"),
)
"""Names of the part that holds a network, the first that is there is taken; averaged weights (EMA) go before others."""
_NOT_WEIGHTS = re.compile(r"optim|sched|scaler|history|metric|loss|criterion|rng|random", re.IGNORECASE)
_DEEPEST = 4
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)|[Uu]nsupported (?:class|global)[^\w]*(?:GLOBAL )?([\w.]+)")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """The tensors of a file, and what else it says of its network.

    Attributes:
        path: the file.
        tensors: by name.
        ordered: they stand in the network's order; `.safetensors` does not keep it.
        part: where in the file they were, such as "state_dict"; "" where it holds nothing else.
        others: other parts that hold tensors.
        arch: the architecture as the file names it, or "".
        labels: class names that the file has, or none.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    ordered: bool
    part: str = ""
    others: tuple[str, ...] = ()
    arch: str = ""
    labels: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def read_weights(path: str | Path, part: str | None = None) -> WeightsFile:
    """Read a `.pth`, `.pt`, `.bin` or `.safetensors` file, told by its content and not by its name.

    Args:
        path: the file.
        part: which part of it; None: averaged weights (EMA) before others.

    Returns:
        its tensors: floating ones as float32, on the CPU.

    Raises:
        WorkbenchError: it is no such file, is damaged, needs classes of the program that wrote it, holds no weights, or
            has several parts that may be meant.
    """
    path = Path(path)
    if kind_of(path) == "safetensors":
        return _read_safetensors(path)
    content = _unpickle(path)
    found = dict(_parts(content, "", 0))
    if not found:
        raise WorkbenchError(f"{EXPECTED}; {path} holds {_described(content)}, no tensors with names")
    chosen = _choose(path, found, part)
    top = content if isinstance(content, Mapping) else {}
    return WeightsFile(
        path,
        _plain(path, found[chosen]),
        ordered=True,
        part=chosen,
        others=tuple(name for name in found if name != chosen),
        arch=_arch_of(top),
        labels=_labels_of(top),
    )


def _read_safetensors(path: Path) -> WeightsFile:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise WorkbenchError(
            f"{EXPECTED}; {path} is no whole .safetensors file ({error}): the copy or download did not finish, or it "
            "is damaged"
        ) from error
    labels: tuple[str, ...] = ()
    for key in ("labels", "label_names", "classes"):
        try:
            labels = labels or _labels_of({key: json.loads(metadata.get(key, "null"))})
        except ValueError:
            continue
    arch = metadata.get("architecture") or metadata.get("arch") or ""
    return WeightsFile(path, _plain(path, tensors), ordered=False, arch=arch, labels=labels, metadata=metadata)


def _unpickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_plain_values()):
            warnings.simplefilter("ignore")  # of formats of before
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is damaged or malicious may raise anything
        raise WorkbenchError(_refusal(path, error)) from error


def _plain_values() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    numbers = [type(np.dtype(kind)) for kind in "?bhilqBHILQefd"]
    paths: list[Any] = [pathlib.PosixPath, pathlib.PurePosixPath]
    return [argparse.Namespace, scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *numbers, *paths]


def _refusal(path: Path, error: Exception) -> str:
    needed = _classes_needed(path, error)
    if not needed:
        first = (str(error).strip().splitlines() or [""])[0][:200]
        return f"{EXPECTED}; {path} is none that can be read, or it is damaged: {type(error).__name__}: {first}"
    shown = ", ".join(needed[:4]) + (f" and {len(needed) - 4} more" if len(needed) > 4 else "")
    whole = any(re.search(r"(^|\.)(nn|models?|networks?|modules?|timm|torchvision)\.", name) for name in needed)
    what = "a whole pickled network" if whole else "more than weights"
    return (
        f"expected weights alone; {path} holds {what}: reading it would run code of {shown}. If you trust it, write "
        "its weights alone where it was made: torch.save(model.state_dict(), 'weights.pth')"
    )


def _classes_needed(path: Path, error: Exception) -> list[str]:
    try:
        with torch.serialization.safe_globals(_plain_values()):
            needed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # not an archive, or damaged: the error's own words remain
        needed = []
    found = [first or second for first, second in _GLOBAL.findall(str(error))]
    return list(dict.fromkeys([*needed, *found]))


def _parts(content: object, name: str, depth: int) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Each mapping of names to tensors in what was unpickled, with its place."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
    if tensors:
        yield name, tensors
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, Mapping) and not _NOT_WEIGHTS.search(key):
            yield from _parts(value, f"{name}.{key}" if name else key, depth + 1)


def _choose(path: Path, found: Mapping[str, Mapping[str, torch.Tensor]], part: str | None) -> str:
    if part is not None:
        if part in found:
            return part
        raise WorkbenchError(f"expected --part among {_listed(found)} of {path}; got {part!r}")
    if len(found) == 1:
        return next(iter(found))
    for wanted in PREFERRED:
        for name in found:
            if name.rpartition(".")[2] == wanted:
                return name
    most = max(found, key=lambda name: len(found[name]))
    if most == "" or len(found[most]) > 4 * max(len(one) for name, one in found.items() if name != most):
        return most
    raise WorkbenchError(f"expected one network in {path}; it has parts {_listed(found)}: name one with --part")


def _listed(found: Mapping[str, Mapping[str, torch.Tensor]]) -> str:
    return ", ".join(f"{name or '(top)'} ({len(tensors)} tensors)" for name, tensors in found.items())


def _plain(path: Path, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Dense tensors of numbers, floating ones as float32."""
    if not tensors:
        raise WorkbenchError(f"{EXPECTED}; {path} holds no tensors")
    result = {}
    for name, tensor in tensors.items():
        value = tensor.detach()
        if value.is_quantized or value.layout != torch.strided or value.is_complex() or value.is_meta:
            kind = "quantised" if value.is_quantized else f"{value.dtype} ({value.layout}) on {value.device}"
            raise WorkbenchError(f"expected plain tensors of numbers in {path}; {name} is {kind}: give float weights")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise WorkbenchError(
                f"expected tensors that are stored whole in {path}; {name} claims {value.numel():,} numbers of "
                f"{value.untyped_storage().nbytes():,} bytes"
            )
        if value.is_floating_point():
            value = value.float()
            if not bool(torch.isfinite(value).all()):
                raise WorkbenchError(
                    f"expected finite weights in {path}; {name} has NaN or infinity: the training diverged, or the "
                    "file is damaged"
                )
        result[name] = value
    return result


def _arch_of(top: Mapping[Any, Any]) -> str:
    """The architecture, where the training program wrote it beside the weights."""
    settings = top.get("args"), top.get("config"), top.get("hyper_parameters"), top
    for one in settings:
        known = vars(one) if isinstance(one, argparse.Namespace) else one
        if not isinstance(known, Mapping):
            continue
        for key in ("architecture", "arch", "model_name", "model"):
            if isinstance(known.get(key), str) and known[key]:
                return str(known[key])
    return ""


def _labels_of(top: Mapping[Any, Any]) -> tuple[str, ...]:
    """Class names, where the training program wrote them beside the weights."""
    for key in ("classes", "class_names", "labels", "label_names", "idx_to_class", "class_to_idx", "vocab"):
        value = top.get(key)
        if isinstance(value, Mapping) and value:
            names = [(v, k) for k, v in value.items()] if key == "class_to_idx" else list(value.items())
            if all(str(number).isdigit() and isinstance(name, str) for number, name in names):
                value = [name for _, name in sorted((int(number), name) for number, name in names)]
        if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
            return tuple(value)
    return ()


def _described(content: object) -> str:
    if isinstance(content, torch.Tensor):
        return f"one tensor of shape {tuple(content.shape)}"
    if isinstance(content, Mapping):
        return f"a dictionary of {', '.join(map(str, list(content)[:5])) or 'nothing'}"
    return f"a {type(content).__name__}"
