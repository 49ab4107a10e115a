"""What names a network: a file of weights, the same with its architecture before it, or timm's name.

Loads no torch.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
"""How names of files of weights end. What they hold is told by their content."""
TIMM_CONFIG = "config.json"
"""Beside a file of weights: what timm writes about it, as its models on hubs have it."""
_LABELS_BESIDE = (".labels.txt", ".labels.json", ".labels.csv")
_PAIR = re.compile(r"([A-Za-z0-9_.]+)=(.+)", re.DOTALL)


def split_name(name: str | Path) -> tuple[str, str]:
    """Architecture and path of "resnet18=weights.pth"; the architecture is "" where the name is a path alone."""
    pair = _PAIR.fullmatch(str(name))
    if pair is None or Path(name).exists():
        return "", str(name)
    return pair[1], pair[2]


def join_name(arch: str, path: str | Path) -> str:
    """The name of a file of weights, with its architecture where that is known."""
    return f"{arch}={path}" if arch else str(path)


def is_file_name(name: str) -> bool:
    """Whether a model's name is a file's and not timm's."""
    path = split_name(name)[1]
    return os.sep in path or path.lower().endswith(WEIGHTS)


def plain_name(name: str) -> str:
    """A model's name for people: of a file its stem, or its folder's name where it is just called "model"."""
    if not is_file_name(name):
        return name
    path = Path(split_name(name)[1]).absolute()
    return path.parent.name if path.stem == "model" else path.stem


def name_with(arch: str | None, model: str) -> str:
    """The name of a model, with its architecture where one is told beside it.

    Raises:
        ValueError: an architecture is told and the model is no file of weights, or has another before it.
    """
    if not arch:
        return model
    told, path = split_name(model)
    if not is_file_name(model):
        raise ValueError(f"an architecture is for a file of weights ({', '.join(WEIGHTS)}); got {model!r}")
    if told not in ("", arch):
        raise ValueError(f"expected one architecture; got {told} and {arch}")
    return join_name(arch, path)


def labels_beside(path: Path) -> list[Path]:
    """Where names of a file's classes may stand, first ones first: `net.labels.txt` beside `net.pth`."""
    return [path.with_name(f"{path.stem}{suffix}") for suffix in _LABELS_BESIDE]


def files_of(name: str) -> list[Path]:
    """The files that a model's name stands for, and those beside them that are read with them; some may be missing."""
    path = Path(split_name(name)[1])
    if path.is_dir():
        return sorted(path.iterdir())
    return [path, *labels_beside(path), path.parent / TIMM_CONFIG] if is_file_name(name) else []
