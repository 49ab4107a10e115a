"""The paper's control (TACO, arXiv 2303.14409, section 4): the same compression on generic pictures."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from edge_sdk.workbench.checkpoint import CheckpointInfo
from edge_sdk.workbench.specialize.allocate import Damage, Limits
from edge_sdk.workbench.specialize.compress import compress, weigh
from edge_sdk.workbench.specialize.fingerprint import contents, fingerprint, weights
from edge_sdk.workbench.specialize.method import Compressed, Method
from edge_sdk.workbench.specialize.progress import OnProgress, OnStage
from edge_sdk.workbench.specialize.samples import Samples
from edge_sdk.workbench.specialize.structure import find_structure


def compress_generic(
    big: nn.Module,
    info: CheckpointInfo,
    generic: Samples,
    limits: Limits,
    method: Method,
    work: Path,
    on_progress: OnProgress | None = None,
    on_stage: OnStage | None = None,
) -> Compressed:
    """Compress a model with all its classes on pictures of no task in particular; arguments as for `compress`."""
    spec = info.input
    folder = work / fingerprint("generic", info.arch, info.version, weights(big), contents(generic), method)
    whole = copy.deepcopy(big).eval()
    structure = find_structure(whole, spec.width, spec.height)
    damages: Mapping[str, Damage] = {}
    if method.pattern == "structured":
        damages = weigh(whole, structure, generic, spec, method, folder / "round-0", on_progress)
    return compress(
        whole,
        whole,
        generic,
        spec,
        limits,
        method,
        damages=damages,
        folder=folder / fingerprint(limits),
        on_progress=on_progress,
        on_stage=on_stage,
    )


def widened(limits: Limits, more: int) -> Limits:
    """Limits that allow for the head of all classes, which goes in the end."""
    return Limits(
        None if limits.parameters is None else limits.parameters + more,
        None if limits.macs is None else limits.macs + more,
    )
