"""Views of the few pictures, with the teacher's answers and features: what a cut network is distilled on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_sdk.durable.files import write_whole
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.specialize.layers import watching
from edge_sdk.workbench.specialize.progress import OnStep
from edge_sdk.workbench.specialize.recipe import Recipe
from edge_sdk.workbench.specialize.samples import Samples
from edge_sdk.workbench.tensors import to_tensor

_BATCHES_A_FILE = 8
_ANSWERS, _OF = "answers", "features "


@dataclass(frozen=True, slots=True, eq=False)
class DistillationSet:
    """Views of the pictures, with the teacher's answers and features.

    Attributes:
        images: `uint8 (V, height, width, 3)`.
        answers: `float32 (V, C)`, the teacher's logits.
        truths: `float32 (V, C)`, share of each true class in the view; all 0 if unknown.
        features: for each watched layer `float32 (V, channels)`: the mean of its inputs over positions.
    """

    images: NDArray[np.uint8]
    answers: Tensor
    truths: Tensor
    features: dict[str, Tensor]


def make_distillation_set(
    teacher: nn.Module,
    whole: nn.Module,
    samples: Samples,
    spec: InputSpec,
    recipe: Recipe,
    watched: Mapping[str, Tensor],
    *,
    seed: int = 0,
    folder: Path | None = None,
    on_step: OnStep | None = None,
) -> DistillationSet:
    """Augment and blend the pictures, and let the teacher answer each view.

    Views depend on pictures and seed alone. Answers are kept in `folder`, so that a resumed run makes the views again
    but does not ask for them again.

    Args:
        teacher: gives logits `(N, C)`; in eval mode.
        whole: has the layers that are watched; often the teacher itself.
        samples: of the task.
        spec: input of teacher and pupil.
        recipe: number of views and strength of the changes.
        watched: layers whose inputs the pupil imitates, by name, with the input channels that the pupil still has,
            `int64 (n,)`.
        seed: of the changes.
        folder: in which the answers are kept, some batches to a file; None: nowhere.
        on_step: called with the views done, all views, and NaN.
    """
    rng = np.random.default_rng([seed, 7])
    change = Augmentation(scale=0.6, stretch=0.2, turn_deg=8.0, tint=0.15, gain=0.5).weaker(recipe.strength)
    classes = len(samples.labels) or 1
    views = recipe.count_views()
    images = np.empty((views, *samples.images.shape[1:]), np.uint8)
    truths = np.zeros((views, classes), np.float32)
    answers: list[Tensor] = []
    features: dict[str, list[Tensor]] = {name: [] for name in watched}
    if on_step is not None:
        on_step(0, views, math.nan)
    for start in range(0, views, _BATCHES_A_FILE * recipe.batch):
        end = min(start + _BATCHES_A_FILE * recipe.batch, views)
        file = None if folder is None else folder / f"{start:06d}-{end:06d}.pt"
        kept = torch.load(file, weights_only=True) if file is not None and file.exists() else None
        parts: list[dict[str, Tensor]] = []
        for first in range(start, end, recipe.batch):
            last = min(first + recipe.batch, end)
            for view in range(first, last):
                images[view] = _make_view(view, samples, change, recipe.mixed, rng, truths[view])
            if kept is None:
                parts.append(_ask(teacher, whole, to_tensor(images[first:last], spec), watched, recipe.bf16))
            if on_step is not None:
                on_step(last, views, math.nan)
        if kept is None:
            kept = {name: torch.cat([part[name] for part in parts]).clone() for name in parts[0]}
            if file is not None:
                write_whole(file, partial(torch.save, kept))
        answers.append(kept[_ANSWERS])
        for name in watched:
            features[name].append(kept[_OF + name])
    return DistillationSet(
        images,
        torch.cat(answers).clone(),
        torch.from_numpy(truths),
        {name: torch.cat(parts).clone() for name, parts in features.items()},
    )


def _make_view(
    view: int,
    samples: Samples,
    change: Augmentation,
    mixed: float,
    rng: np.random.Generator,
    shares: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """One view, `uint8 (height, width, 3)`; the shares of its true classes are added to `shares`."""
    first = view % len(samples)  # each picture as often as the others
    image: NDArray[np.uint8] = change.apply(samples.images[first], rng)
    share = 1.0
    second = first
    if rng.random() < mixed:
        second = int(rng.integers(len(samples)))
        share = float(rng.uniform(0.5, 1.0))
        other = change.apply(samples.images[second], rng)
        image = np.rint(share * image + (1 - share) * other).astype(np.uint8)
    for index, part in ((first, share), (second, 1 - share)):
        if samples.truths[index] >= 0:
            shares[samples.truths[index]] += part
    return image


def _ask(
    teacher: nn.Module, whole: nn.Module, inputs: Tensor, watched: Mapping[str, Tensor], bf16: bool
) -> dict[str, Tensor]:
    """The teacher's answers on a batch, and the watched features."""
    seen: dict[str, Tensor] = {}
    with (
        torch.inference_mode(),
        watching(whole, list(watched), partial(note_mean_input, seen)),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        logits = teacher(inputs)
        if teacher is not whole and watched:
            whole(inputs)
    return {_ANSWERS: logits.float(), **{_OF + name: seen[name][:, columns] for name, columns in watched.items()}}


def note_mean_input(seen: dict[str, Tensor], name: str, inputs: Tensor) -> None:
    """Mean over positions: `(N, channels)`."""
    if inputs.ndim == 4:
        seen[name] = inputs.float().mean((2, 3))
    else:
        seen[name] = inputs.float().flatten(1, -2).mean(1) if inputs.ndim > 2 else inputs.float()
