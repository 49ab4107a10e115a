"""The one place that imports timm, repairs the torchvision that timm imports, and leaves torch's compiler aside."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
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
    with _compiler_aside():
        import timm

    return timm


@contextmanager
def _compiler_aside() -> Iterator[None]:
    """Within the block, imports of torch's compiler get a stand-in that loads the real one at the first call.

    timm and torchvision import it for two functions that a network which is not compiled never calls; it takes longer
    to import than both together.
    """
    name = "torch._dynamo"
    if name in sys.modules:
        yield
        return
    package, utils = ModuleType(name), ModuleType(f"{name}.utils")
    package.__path__ = []
    vars(package).update(utils=utils, disable=_disable)
    vars(utils).update(is_compile_supported=_is_compile_supported)
    stand_ins = {name: package, f"{name}.utils": utils}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for key, module in stand_ins.items():
            if sys.modules.get(key) is module:
                del sys.modules[key]
        if vars(torch).get("_dynamo") is package:
            del torch._dynamo


def _disable(function: Callable[..., Any] | None = None, *settings: Any, **named: Any) -> Any:
    """As `torch._dynamo.disable`, which is looked up when the function is called."""
    if function is None:
        return lambda later: _disable(later, *settings, **named)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return _real("torch._dynamo").disable(function, *settings, **named)(*args, **kwargs)

    return call


def _is_compile_supported(device_type: str) -> bool:
    return bool(_real("torch._dynamo.utils").is_compile_supported(device_type))


def _real(name: str) -> Any:
    return importlib.import_module(name)


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
