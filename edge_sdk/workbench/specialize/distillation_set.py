"""Views of the few pictures, with the teacher's answers and features: what a cut network is distilled on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.specialize.layers import watching
from edge_sdk.workbench.specialize.progress import OnStep
from edge_sdk.workbench.specialize.recipe import Recipe
from edge_sdk.workbench.specialize.samples import Samples
from edge_sdk.workbench.tensors import to_tensor


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
    on_step: OnStep | None = None,
) -> DistillationSet:
    """Augment and blend the pictures, and let the teacher answer each view.

    Args:
        teacher: gives logits `(N, C)`; in eval mode.
        whole: has the layers that are watched; often the teacher itself.
        samples: of the task.
        spec: input of teacher and pupil.
        recipe: number of views and strength of the changes.
        watched: layers whose inputs the pupil imitates, by name, with the input channels that the pupil still has,
            `int64 (n,)`.
        seed: of the changes.
        on_step: called with the views done, all views, and NaN.
    """
    rng = np.random.default_rng([seed, 7])
    change = Augmentation(scale=0.6, stretch=0.2, turn_deg=8.0, tint=0.15, gain=0.5).weaker(recipe.strength)
    classes = len(samples.labels) or 1
    views = recipe.count_views()
    images = np.empty((views, *samples.images.shape[1:]), np.uint8)
    truths = np.zeros((views, classes), np.float32)
    for view in range(views):
        first = view % len(samples)  # each picture as often as the others
        image = change.apply(samples.images[first], rng)
        share = 1.0
        second = first
        if rng.random() < recipe.mixed:
            second = int(rng.integers(len(samples)))
            share = float(rng.uniform(0.5, 1.0))
            other = change.apply(samples.images[second], rng)
            image = np.rint(share * image + (1 - share) * other).astype(np.uint8)
        images[view] = image
        for index, part in ((first, share), (second, 1 - share)):
            if samples.truths[index] >= 0:
                truths[view, samples.truths[index]] += part
    answers: list[Tensor] = []
    features: dict[str, list[Tensor]] = {name: [] for name in watched}
    for start in range(0, views, recipe.batch):
        seen: dict[str, Tensor] = {}
        inputs = to_tensor(images[start : start + recipe.batch], spec)
        with (
            torch.inference_mode(),
            watching(whole, list(watched), partial(note_mean_input, seen)),
            torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16),
        ):
            logits = teacher(inputs)
            if teacher is not whole and watched:
                whole(inputs)
        answers.append(logits.float())
        for name, columns in watched.items():
            features[name].append(seen[name][:, columns])
        if on_step is not None:
            on_step(min(start + recipe.batch, views), views, math.nan)
    return DistillationSet(
        images,
        torch.cat(answers).clone(),
        torch.from_numpy(truths),
        {name: torch.cat(parts).clone() for name, parts in features.items()},
    )


def note_mean_input(seen: dict[str, Tensor], name: str, inputs: Tensor) -> None:
    """Mean over positions: `(N, channels)`."""
    if inputs.ndim == 4:
        seen[name] = inputs.float().mean((2, 3))
    else:
        seen[name] = inputs.float().flatten(1, -2).mean(1) if inputs.ndim > 2 else inputs.float()
