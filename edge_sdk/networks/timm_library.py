"""The one place that imports timm, and repairs the torchvision that timm imports."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch

_declared: list[torch.library.Library] = []


def import_timm() -> Any:
    """Import timm and return the module; the one place that repairs a CPU-only torch beside a CUDA torchvision.

    The registries' torchvision is a CUDA build. Its compiled part does not load beside a CPU-only torch, and its Python
    part then fails on import, because the operators which it annotates (`nms`, `qnms`) were never declared. timm needs
    neither, so their schemas alone are declared here. Where torchvision loads as it is, nothing is declared.
    """
    if not _declared and not _torchvision_loads():
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):  # the program may have declared it for itself
                schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                library.define(schema)  # type: ignore[no-untyped-call]
        _declared.append(library)  # the schemas live as long as this object
    import timm

    return timm


def _torchvision_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True  # absent: timm's own import error says so
    for compiled in Path(spec.submodule_search_locations[0]).glob("_C.*"):
        try:
            torch.ops.load_library(compiled)  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return True
