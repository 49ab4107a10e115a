"""Distillation of a cut network from the big model on few pictures.

A small network soon memorises a few pictures. Many augmented and blended views of them, answered by the teacher,
prevent that (Beyer et al., "Knowledge distillation: a good teacher is patient and consistent",
arXiv 2106.05237, section 3), on its answers (Hinton et al., arXiv 1503.02531) and on what its layers pass on (FitNets,
arXiv 1412.6550): a pruned channel is compared directly with its
counterpart in the teacher.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.backward import sound_backward
from edge_sdk.workbench.learning_rate import schedule
from edge_sdk.workbench.specialize.distillation_set import DistillationSet, note_mean_input
from edge_sdk.workbench.specialize.layers import watching
from edge_sdk.workbench.specialize.progress import OnStep
from edge_sdk.workbench.specialize.recipe import Recipe
from edge_sdk.workbench.tensors import to_tensor

_SAVE_EVERY = 50


def distil(
    pupil: nn.Module,
    distillation_set: DistillationSet,
    spec: InputSpec,
    recipe: Recipe,
    *,
    masks: Mapping[str, Tensor] | None = None,
    state: Path | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> None:
    """Fine-tune a cut network on a distillation set, in place; it ends in eval mode with the averaged weights.

    Statistics of batch normalisation are not updated: a few pictures estimate them poorly, and they were corrected on
    unchanged pictures before (`correct_statistics`).

    Args:
        pupil: gives logits `(N, C)`.
        distillation_set: views and answers.
        spec: input of the pupil.
        recipe: the settings.
        masks: for a layer's name, 0 where its weight is to stay 0 (unstructured sparsity).
        state: file of the state, from which an interrupted call resumes.
        seed: of the order.
        on_step: called after each step.

    Raises:
        WorkbenchError: the loss is not finite.
    """
    pupil.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = [parameter for parameter in pupil.parameters() if parameter.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    average = [weight.detach().clone() for weight in weights]
    first = 0
    if state is not None and state.exists():
        saved = torch.load(state, weights_only=True)
        pupil.load_state_dict(saved["pupil"])
        optimizer.load_state_dict(saved["optimizer"])
        average, first = saved["average"], int(saved["step"])
    scale = {name: float(values.square().mean()) + 1e-9 for name, values in distillation_set.features.items()}
    losses: list[float] = []
    for step, chosen in _batches(len(distillation_set.images), recipe, seed, first):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * schedule(step, recipe.steps, 0.05)
        with sound_backward(pupil):
            loss = _loss(pupil, distillation_set, spec, recipe, chosen, scale)
            loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        for name, mask in (masks or {}).items():
            weight: Tensor = pupil.get_submodule(name).weight  # type: ignore[assignment]
            weight.data.mul_(mask.view_as(weight))
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise WorkbenchError(f"the loss is {losses[-1]} at step {step}; try a lower learning rate or fp32")
        with torch.no_grad():
            decay = min(recipe.average, (step + 1) / (step + 10))
            torch._foreach_lerp_(average, list[Tensor](weights), 1 - decay)
        if state is not None and (step + 1) % _SAVE_EVERY == 0 and step + 1 < recipe.steps:
            _save(state, pupil, optimizer, average, step + 1)
        if on_step is not None:
            on_step(step + 1, recipe.steps, sum(losses[-20:]) / len(losses[-20:]))
    with torch.no_grad():
        for weight, value in zip(weights, average, strict=True):
            weight.copy_(value)
    pupil.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def _batches(views: int, recipe: Recipe, seed: int, first: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    per_epoch = max(1, views // recipe.batch)
    for step in range(first, recipe.steps):
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([seed, 8, epoch]).permutation(views)
        yield step, order[place * recipe.batch : (place + 1) * recipe.batch]


def _loss(
    pupil: nn.Module,
    distillation_set: DistillationSet,
    spec: InputSpec,
    recipe: Recipe,
    chosen: NDArray[np.int64],
    scale: Mapping[str, float],
) -> Tensor:
    seen: dict[str, Tensor] = {}
    names = list(distillation_set.features) if recipe.features else []
    with (
        watching(pupil, names, partial(note_mean_input, seen)),
        torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16),
    ):
        logits = pupil(to_tensor(distillation_set.images[chosen], spec)).float()
    index = torch.from_numpy(chosen)
    loss = recipe.temperature**2 * functional.kl_div(
        functional.log_softmax(logits / recipe.temperature, 1),
        functional.log_softmax(distillation_set.answers[index] / recipe.temperature, 1),
        log_target=True,
        reduction="batchmean",
    )
    truths = distillation_set.truths[index]
    if recipe.truth and truths.shape[1] == logits.shape[1]:
        known = truths.sum(1)
        named = -(truths * functional.log_softmax(logits, 1)).sum(1)
        loss = (1 - recipe.truth) * loss + recipe.truth * (known * named).mean()
    for name in names:
        distance = (seen[name] - distillation_set.features[name][index]).square().mean() / scale[name]
        loss = loss + recipe.features * distance / len(names)
    return loss


def _save(path: Path, pupil: nn.Module, optimizer: torch.optim.Optimizer, average: list[Tensor], step: int) -> None:
    state = {"pupil": pupil.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "step": step}
    write_whole(path, partial(torch.save, state))
