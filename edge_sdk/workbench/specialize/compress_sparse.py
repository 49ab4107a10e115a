"""Compression by zeros instead of smaller layers: zero weights, correct statistics, distil."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.macs import count_parameters
from edge_sdk.workbench.specialize.allocate import Limits
from edge_sdk.workbench.specialize.answers import corrected
from edge_sdk.workbench.specialize.distil_round import distil_round
from edge_sdk.workbench.specialize.method import Compressed, Method, halvings
from edge_sdk.workbench.specialize.progress import OnProgress, OnStage, named, progress_of, tell
from edge_sdk.workbench.specialize.samples import Samples, with_views
from edge_sdk.workbench.specialize.sparsify import MOST, parse_pattern, prunable_weights, sparsify


def compress_sparse(
    whole: nn.Module,
    teacher: nn.Module,
    samples: Samples,
    lessons: Samples,
    spec: InputSpec,
    limits: Limits,
    method: Method,
    *,
    folder: Path,
    on_progress: OnProgress | None = None,
    on_stage: OnStage | None = None,
) -> Compressed:
    """Set weights to zero until `limits.parameters` are left, or as the pattern says; `lessons` are the pictures of the
    distillation, the other arguments as for `compress`.

    A gradual schedule halves the remaining weights in each round; distillation after each round leaves the zeros alone.

    Raises:
        WorkbenchError: zeros cannot reach the target.
    """
    pattern = parse_pattern(method.pattern)
    samples_and_views = with_views(samples, method.pictures, method.seed)
    possible, total = prunable_weights(whole, spec), count_parameters(whole)
    wanted = 1.0 - pattern[0] / pattern[1] if pattern else 0.0
    if limits.macs is not None or (pattern is not None) == (limits.parameters is not None):
        raise WorkbenchError(
            "expected params= as the only target of an unstructured pattern, and no target beside an N:M pattern: "
            "zeros make a packed file smaller, not a network faster"
        )
    if limits.parameters is not None:
        wanted = (total - limits.parameters) / possible
        if wanted > MOST:
            least = total - round(MOST * possible)
            raise WorkbenchError(
                f"expected a target that this network can reach; got {limits.parameters:,} parameters. The nearest "
                f"possible is {least:,} ({total / least:.1f}x fewer)"
            )
    gradual = method.schedule == "gradual" and pattern is None
    number = halvings(1 / (1 - wanted)) if gradual else 1
    current = whole
    for index in range(number):
        place = folder / f"round-{index}"
        share = wanted if index == number - 1 else 1 - (1 - wanted) ** ((index + 1) / number)
        current, masks, dense = sparsify(
            current,
            samples_and_views,
            spec,
            pattern,
            share,
            damping=method.damping,
            even=method.allocation == "even",
            round_too=method.recipe.steps == 0,
            folder=place,
            seed=method.seed,
            on_part=progress_of(on_progress, "set weights to zero"),
        )
        tell(on_stage, named("zeros", index, number), current)
        current = corrected(whole, current, {}, samples_and_views, spec)
        tell(on_stage, named("statistics", index, number), current)
        if method.recipe.steps:
            distil_round(whole, teacher, current, {}, lessons, spec, method, place, on_progress, masks)
            tell(on_stage, named("distillation", index, number), current)
    return Compressed(current, {}, dense, masks)
