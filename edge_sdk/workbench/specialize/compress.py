"""The way from a dense network to a small one on the task's samples: cut, refit, correct, teach; once or gradually."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.pruning.groups import Kept, Structure
from edge_sdk.networks.pruning.structure import find_structure, prune
from edge_sdk.workbench.specialize.allocate import Damage, Limits, allocate, allocate_evenly
from edge_sdk.workbench.specialize.answers import corrected, teach_by
from edge_sdk.workbench.specialize.compress_sparse import compress_sparse
from edge_sdk.workbench.specialize.cost import Cost
from edge_sdk.workbench.specialize.fingerprint import fingerprint
from edge_sdk.workbench.specialize.method import Compressed, Method, rounds_of
from edge_sdk.workbench.specialize.progress import OnProgress, OnStage, named, progress_of, tell
from edge_sdk.workbench.specialize.refit import refit_layers
from edge_sdk.workbench.specialize.samples import Samples, with_views
from edge_sdk.workbench.specialize.sensitivity import measure_damage


def compress(
    whole: nn.Module,
    teacher: nn.Module,
    samples: Samples,
    spec: InputSpec,
    limits: Limits,
    method: Method,
    *,
    damages: Mapping[str, Damage],
    folder: Path,
    on_progress: OnProgress | None = None,
    on_stage: OnStage | None = None,
) -> Compressed:
    """Cut a network down to the limits on a few samples, so that its answers on them stay.

    Args:
        whole: in eval mode, with the head of the task; it is not changed.
        teacher: gives logits of the same classes; its layers are named as those of `whole`.
        samples: of the task.
        spec: what they take.
        limits: what the result may cost.
        method: how.
        damages: of removing channels of `whole` (`weigh`); later rounds weigh anew, and patterns of zeros need none.
        folder: keeps what is done; the same call goes on from it.
        on_progress: told of progress.
        on_stage: told of stages.

    Raises:
        WorkbenchError: limits that cannot be met.
    """
    if method.pattern != "structured":
        return compress_sparse(
            whole, teacher, samples, spec, limits, method, folder=folder, on_progress=on_progress, on_stage=on_stage
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
            damages = weigh(current, structure, samples, spec, method, place, on_progress)
        kept = _choose(current, structure, damages, spec, limit, method)
        cut = copy.deepcopy(current)
        prune(cut, spec.width, spec.height, kept)
        tell(on_stage, named("cut", number, len(rounds)), cut)
        refit_layers(
            current,
            cut,
            structure,
            kept,
            solved_on,
            spec,
            damping=method.damping,
            folder=place,
            seed=method.seed,
            on_part=progress_of(on_progress, "refit layer by layer"),
        )
        tell(on_stage, named("refit", number, len(rounds)), cut)
        cut = corrected(current, cut, kept, solved_on, spec)
        tell(on_stage, named("statistics", number, len(rounds)), cut)
        for name, chosen in kept.items():
            origin[name] = origin[name][chosen] if name in origin else chosen
        if method.recipe.steps:
            teach_by(whole, teacher, cut, origin, samples, spec, method, place, on_progress)
            tell(on_stage, named("lessons", number, len(rounds)), cut)
        current = cut
    return Compressed(current, {name: len(kept) for name, kept in origin.items()}, structure.dense)


def weigh_and_compress(
    whole: nn.Module,
    samples: Samples,
    spec: InputSpec,
    limits: Limits,
    method: Method,
    folder: Path,
    *,
    on_progress: OnProgress | None = None,
    on_stage: OnStage | None = None,
) -> Compressed:
    """Weigh what the method asks to have weighed, and compress with the network as its own teacher.

    Arguments and errors as for `compress`; `folder` keeps the damages for all limits.
    """
    whole = copy.deepcopy(whole).eval()
    damages: Mapping[str, Damage] = {}
    if method.pattern == "structured":
        structure = find_structure(whole, spec.width, spec.height)
        damages = weigh(whole, structure, samples, spec, method, folder / "round-0", on_progress)
    return compress(
        whole,
        whole,
        samples,
        spec,
        limits,
        method,
        damages=damages,
        folder=folder / fingerprint(limits),
        on_progress=on_progress,
        on_stage=on_stage,
    )


def weigh(
    module: nn.Module,
    structure: Structure,
    samples: Samples,
    spec: InputSpec,
    method: Method,
    folder: Path,
    on_progress: OnProgress | None = None,
) -> dict[str, Damage]:
    """What removing channels costs: `damage.measure_damage` with a method's settings."""
    return measure_damage(
        module,
        structure,
        with_views(samples, method.pictures // 2, method.seed),
        spec,
        damping=method.damping,
        folder=folder,
        seed=method.seed,
        on_part=progress_of(on_progress, "weigh channels"),
    )


def _choose(
    module: nn.Module,
    structure: Structure,
    damages: Mapping[str, Damage],
    spec: InputSpec,
    limits: Limits,
    method: Method,
) -> Kept:
    cost = Cost(module, structure, spec.width, spec.height)
    if method.allocation == "even":
        numbers = allocate_evenly(cost, structure.groups, limits)
    else:
        numbers = allocate(cost, structure.groups, damages, limits)
    kept = {}
    for group in structure.groups:
        gone = set(damages[group.name].order[: group.channels - numbers[group.name]])
        kept[group.name] = torch.tensor([channel for channel in range(group.channels) if channel not in gone])
    return kept
