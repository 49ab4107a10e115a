"""Distillation after one round of compression, with its state on disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_sdk.durable.files import write_whole
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize.distillation import distil
from edge_sdk.workbench.specialize.distillation_set import make_distillation_set
from edge_sdk.workbench.specialize.layers import forward_order
from edge_sdk.workbench.specialize.method import Method
from edge_sdk.workbench.specialize.progress import OnProgress, progress_of
from edge_sdk.workbench.specialize.restrict_head import classifier
from edge_sdk.workbench.specialize.samples import Samples


def distil_round(
    whole: nn.Module,
    teacher: nn.Module,
    cut: nn.Module,
    origin: Mapping[str, Tensor],
    samples: Samples,
    spec: InputSpec,
    method: Method,
    place: Path,
    on_progress: OnProgress | None,
    masks: Mapping[str, Tensor] | None = None,
) -> None:
    """DistillationSet for a cut network, in place; what is done lies in `place` and is not done again.

    Args:
        whole: the network before any cut, whose features are imitated.
        teacher: gives the answers; often `whole` itself.
        cut: the network to distil.
        origin: for each group the channels of `whole` that remain, `int64 (n,)`.
        samples: of the task.
        spec: what the networks take.
        method: the settings.
        place: folder of this round's state.
        on_progress: called with each step's name and progress.
        masks: of a sparse network, whose zeros stay.
    """
    done = place / "distilled.pt"
    if done.exists():
        cut.load_state_dict(torch.load(done, weights_only=True))
        cut.eval()
        return
    distillation_set = make_distillation_set(
        teacher,
        whole,
        samples,
        spec,
        method.recipe,
        _watched(whole, origin, spec),
        seed=method.seed,
        folder=place / "views",
        on_step=progress_of(on_progress, "ask the big model"),
    )
    distil(
        cut,
        distillation_set,
        spec,
        method.recipe,
        masks=masks,
        state=place / "distil.pt",
        seed=method.seed,
        on_step=progress_of(on_progress, "distillation"),
    )
    write_whole(done, partial(torch.save, cut.state_dict()))
    shutil.rmtree(place / "views", ignore_errors=True)


def _watched(whole: nn.Module, origin: Mapping[str, Tensor], spec: InputSpec) -> dict[str, Tensor]:
    """For each stream of channels the first layer that reads it, with the channels that stayed; and the classifier."""
    structure = find_structure(whole, spec.width, spec.height)
    head, _ = classifier(whole)
    order = {
        name: place
        for place, name in enumerate(
            forward_order(
                whole,
                [member.layer for group in structure.groups for member in group.consumers],
                torch.zeros(1, 3, spec.height, spec.width),
            )
        )
    }
    watched = {}
    for group in structure.groups:
        readers = [member.layer for member in group.consumers]
        if group.kind == "channels" and (len(readers) > 1 or head in readers):
            remaining = origin.get(group.name, torch.arange(group.channels))
            first = min(readers, key=lambda name: order[name])
            watched[first] = remaining
            if head in readers:
                watched[head] = remaining
    return watched
