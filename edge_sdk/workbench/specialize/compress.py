"""From a dense network to a small one on the task's samples: cut, refit, correct statistics, distil.

The `schedule` of the method does this once, or in several rounds.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.pruning.groups import RemainingChannels, Structure
from edge_sdk.networks.pruning.structure import find_structure, prune
from edge_sdk.workbench.specialize.allocate import Limits, Sensitivity, allocate, allocate_evenly
from edge_sdk.workbench.specialize.answers import corrected
from edge_sdk.workbench.specialize.compress_sparse import compress_sparse
from edge_sdk.workbench.specialize.cost import Cost
from edge_sdk.workbench.specialize.distil_round import distil_round
from edge_sdk.workbench.specialize.fingerprint import fingerprint
from edge_sdk.workbench.specialize.method import Compressed, Method, rounds_of
from edge_sdk.workbench.specialize.progress import OnProgress, OnStage, named, progress_of, tell
from edge_sdk.workbench.specialize.refit import refit_layers
from edge_sdk.workbench.specialize.samples import Samples, with_views
from edge_sdk.workbench.specialize.sensitivity import measure_sensitivities


def compress(
    whole: nn.Module,
    teacher: nn.Module,
    samples: Samples,
    spec: InputSpec,
    limits: Limits,
    method: Method,
    *,
    sensitivities: Mapping[str, Sensitivity],
    folder: Path,
    distilled_on: Samples | None = None,
    on_progress: OnProgress | None = None,
    on_stage: OnStage | None = None,
) -> Compressed:
    """Cut a network down to the limits so that its answers on a few samples change little.

    Args:
        whole: in eval mode, with the head of the task; it is not changed.
        teacher: gives logits of the same classes; its layers are named as those of `whole`.
        samples: of the task.
        spec: input of the networks.
        limits: what the result may cost.
        method: the settings.
        sensitivities: of the groups of `whole` (`find_sensitivities`), for the first round. Later rounds measure their
            own; patterns of zeros need none.
        folder: of the state, from which the same call resumes.
        distilled_on: pictures of the distillation; None: the samples.
        on_progress: called with each step's name and progress.
        on_stage: called with each stage's name and network.

    Raises:
        WorkbenchError: the limits cannot be met.
    """
    lessons = samples if distilled_on is None else distilled_on
    if method.pattern != "structured":
        return compress_sparse(
            whole,
            teacher,
            samples,
            lessons,
            spec,
            limits,
            method,
            folder=folder,
            on_progress=on_progress,
            on_stage=on_stage,
        )
    current = copy.deepcopy(whole).eval()
    origin: dict[str, Tensor] = {}
    structure = find_structure(current, spec.width, spec.height)
    solved_on = with_views(samples, method.pictures, method.seed)
    rounds = rounds_of(Cost(current, structure, spec.width, spec.height), limits, method)
    for number, limit in enumerate(rounds):
        place = folder / f"round-{number}"
        if number:
            structure = find_structure(current, spec.width, spec.height)
            sensitivities = find_sensitivities(current, structure, samples, spec, method, place, on_progress)
        remaining = _choose(current, structure, sensitivities, spec, limit, method)
        cut = copy.deepcopy(current)
        prune(cut, spec.width, spec.height, remaining)
        tell(on_stage, named("cut", number, len(rounds)), cut)
        refit_layers(
            current,
            cut,
            structure,
            remaining,
            solved_on,
            spec,
            damping=method.damping,
            folder=place,
            seed=method.seed,
            on_part=progress_of(on_progress, "refit layer by layer"),
        )
        tell(on_stage, named("refit", number, len(rounds)), cut)
        cut = corrected(current, cut, remaining, solved_on, spec)
        tell(on_stage, named("statistics", number, len(rounds)), cut)
        for name, chosen in remaining.items():
            origin[name] = origin[name][chosen] if name in origin else chosen
        if method.recipe.steps:
            distil_round(whole, teacher, cut, origin, lessons, spec, method, place, on_progress)
            tell(on_stage, named("distillation", number, len(rounds)), cut)
        current = cut
    return Compressed(current, {name: len(remaining) for name, remaining in origin.items()}, structure.dense)


def measure_and_compress(
    whole: nn.Module,
    samples: Samples,
    spec: InputSpec,
    limits: Limits,
    method: Method,
    folder: Path,
    *,
    distilled_on: Samples | None = None,
    on_progress: OnProgress | None = None,
    on_stage: OnStage | None = None,
) -> Compressed:
    """Measure sensitivities where the method needs them, then compress with the network as its own teacher.

    Arguments and errors as for `compress`; `folder` stores the sensitivities once for all limits.
    """
    whole = copy.deepcopy(whole).eval()
    sensitivities: Mapping[str, Sensitivity] = {}
    if method.pattern == "structured":
        structure = find_structure(whole, spec.width, spec.height)
        sensitivities = find_sensitivities(whole, structure, samples, spec, method, folder / "round-0", on_progress)
    return compress(
        whole,
        whole,
        samples,
        spec,
        limits,
        method,
        sensitivities=sensitivities,
        folder=folder / fingerprint(limits),
        distilled_on=distilled_on,
        on_progress=on_progress,
        on_stage=on_stage,
    )


def find_sensitivities(
    module: nn.Module,
    structure: Structure,
    samples: Samples,
    spec: InputSpec,
    method: Method,
    folder: Path,
    on_progress: OnProgress | None = None,
) -> dict[str, Sensitivity]:
    """Measure the sensitivity of every group with the settings of a method; see `measure_sensitivities`."""
    return measure_sensitivities(
        module,
        structure,
        with_views(samples, method.pictures // 2, method.seed),
        spec,
        damping=method.damping,
        folder=folder,
        seed=method.seed,
        on_part=progress_of(on_progress, "measure sensitivities"),
    )


def _choose(
    module: nn.Module,
    structure: Structure,
    sensitivities: Mapping[str, Sensitivity],
    spec: InputSpec,
    limits: Limits,
    method: Method,
) -> RemainingChannels:
    cost = Cost(module, structure, spec.width, spec.height)
    if method.allocation == "even":
        numbers = allocate_evenly(cost, structure.groups, limits)
    else:
        numbers = allocate(cost, structure.groups, sensitivities, limits)
    remaining = {}
    for group in structure.groups:
        gone = set(sensitivities[group.name].order[: group.channels - numbers[group.name]])
        remaining[group.name] = torch.tensor([channel for channel in range(group.channels) if channel not in gone])
    return remaining
