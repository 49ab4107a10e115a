"""After the cut: lessons from the big model on the few pictures there are.

A few pictures are soon known by heart. What keeps a small network from that is a teacher which is asked about many
changed and mixed views of them (Beyer et al., "Knowledge distillation: a good teacher is patient and consistent",
arXiv 2106.05237, section 3), on its answers (Hinton et al., arXiv 1503.02531) and on what its layers pass on (FitNets,
arXiv 1412.6550): a pruned channel needs no translation, its counterpart in the teacher is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.augment import Augmentation
from edge_sdk.workbench.learning_rate import schedule
from edge_sdk.workbench.specialize.layers import watching
from edge_sdk.workbench.specialize.samples import Samples
from edge_sdk.workbench.tensors import to_tensor

OnStep = Callable[[int, int, float], None]
"""Called with the number of steps that are done, of all steps, and the loss."""

_SAVE_EVERY = 50
_VIEWS_PER_STEP = 5


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a cut network is taught.

    Attributes:
        steps: of the optimiser; 0 teaches nothing.
        batch: views per step.
        learning_rate: the peak.
        weight_decay: of AdamW.
        views: changed and mixed pictures on which the teacher is asked, once; None: five for each step.
        mixed: share of the views that are blends of two pictures.
        strength: of the changes, in [0, 1].
        temperature: of the answers that are compared.
        truth: weight of the true classes in the loss; the big model's answers alone teach more from so few pictures.
        features: weight of the layers' mean outputs in the loss.
        average: decay per step of the moving average of the weights, which is kept.
        bf16: reckon in bfloat16 where that is safe.
    """

    steps: int = 600
    batch: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    views: int | None = None
    mixed: float = 0.5
    strength: float = 1.0
    temperature: float = 2.0
    truth: float = 0.0
    features: float = 1.0
    average: float = 0.98
    bf16: bool = True

    def __post_init__(self) -> None:
        """Refuse values that make no sense.

        Raises:
            ValueError: a number out of range.
        """
        shares = {"mixed": self.mixed, "strength": self.strength, "truth": self.truth, "average": self.average}
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise ValueError(f"expected {name} in [0, 1]; got {value}")
        for name, value in {"weight_decay": self.weight_decay, "features": self.features}.items():
            if not value >= 0:
                raise ValueError(f"expected {name} of 0 or more; got {value}")
        few = self.batch < 2 or (self.views is not None and self.views < 2)
        if self.steps < 0 or few or self.learning_rate <= 0 or self.temperature <= 0:
            raise ValueError(
                "expected steps of 0 or more, a batch and views of 2 or more, a learning rate and a temperature above "
                f"0; got {self.steps}, {self.batch}, {self.views}, {self.learning_rate}, {self.temperature}"
            )

    def count_views(self) -> int:
        """Views that are made: no more than are looked at."""
        steps = max(1, self.steps)
        return min(_VIEWS_PER_STEP * steps if self.views is None else self.views, steps * self.batch)


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """Views of the pictures and what the teacher says of them.

    Attributes:
        images: `uint8 (V, height, width, 3)`.
        answers: `float32 (V, C)`, the teacher's logits.
        truths: `float32 (V, C)`, shares of the true classes; all 0 where none is known.
        features: for each watched layer `float32 (V, channels)`: the mean over positions of what it is fed.
    """

    images: NDArray[np.uint8]
    answers: Tensor
    truths: Tensor
    features: dict[str, Tensor]


def make_lessons(
    teacher: nn.Module,
    whole: nn.Module,
    samples: Samples,
    spec: InputSpec,
    recipe: Recipe,
    watched: Mapping[str, Tensor],
    *,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> Lessons:
    """Change and mix the pictures, and ask the teacher about each view.

    Args:
        teacher: gives logits `(N, C)`; in eval mode.
        whole: has the layers that are watched; often the teacher itself.
        samples: of the task.
        spec: what teacher and pupil take.
        recipe: how many views, how changed.
        watched: layers whose inputs are to be imitated, with the channels that the pupil kept of them.
        seed: of the changes.
        on_step: told of progress, in views.
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
            watching(whole, list(watched), partial(_note, seen)),
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
    return Lessons(
        images,
        torch.cat(answers).clone(),
        torch.from_numpy(truths),
        {name: torch.cat(parts).clone() for name, parts in features.items()},
    )


def teach(
    pupil: nn.Module,
    lessons: Lessons,
    spec: InputSpec,
    recipe: Recipe,
    *,
    masks: Mapping[str, Tensor] | None = None,
    state: Path | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> None:
    """Fine-tune on the lessons, in place; ends in eval mode with the averaged weights.

    Statistics of batch normalisation stay as they are: a few pictures are a poor estimate, and a better one was made
    from unchanged ones.

    Args:
        pupil: gives logits `(N, C)`.
        lessons: views and answers.
        spec: what the pupil takes.
        recipe: how.
        masks: for a layer's name, 0 where its weight is to stay 0 (unstructured sparsity).
        state: a file that keeps the state; an interrupted call goes on from it.
        seed: of the order.
        on_step: told of progress.

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
    scale = {name: float(values.square().mean()) + 1e-9 for name, values in lessons.features.items()}
    losses: list[float] = []
    for step, chosen in _batches(len(lessons.images), recipe, seed, first):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * schedule(step, recipe.steps, 0.05)
        loss = _loss(pupil, lessons, spec, recipe, chosen, scale)
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


def _note(seen: dict[str, Tensor], name: str, inputs: Tensor) -> None:
    """Mean over positions: `(N, channels)`."""
    if inputs.ndim == 4:
        seen[name] = inputs.float().mean((2, 3))
    else:
        seen[name] = inputs.float().flatten(1, -2).mean(1) if inputs.ndim > 2 else inputs.float()


def _batches(views: int, recipe: Recipe, seed: int, first: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    per_epoch = max(1, views // recipe.batch)
    for step in range(first, recipe.steps):
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([seed, 8, epoch]).permutation(views)
        yield step, order[place * recipe.batch : (place + 1) * recipe.batch]


def _loss(
    pupil: nn.Module,
    lessons: Lessons,
    spec: InputSpec,
    recipe: Recipe,
    chosen: NDArray[np.int64],
    scale: Mapping[str, float],
) -> Tensor:
    seen: dict[str, Tensor] = {}
    names = list(lessons.features) if recipe.features else []
    with watching(pupil, names, partial(_note, seen)), torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
        logits = pupil(to_tensor(lessons.images[chosen], spec)).float()
    index = torch.from_numpy(chosen)
    loss = recipe.temperature**2 * functional.kl_div(
        functional.log_softmax(logits / recipe.temperature, 1),
        functional.log_softmax(lessons.answers[index] / recipe.temperature, 1),
        log_target=True,
        reduction="batchmean",
    )
    truths = lessons.truths[index]
    if recipe.truth and truths.shape[1] == logits.shape[1]:
        known = truths.sum(1)
        named = -(truths * functional.log_softmax(logits, 1)).sum(1)
        loss = (1 - recipe.truth) * loss + recipe.truth * (known * named).mean()
    for name in names:
        distance = (seen[name] - lessons.features[name][index]).square().mean() / scale[name]
        loss = loss + recipe.features * distance / len(names)
    return loss


def _save(path: Path, pupil: nn.Module, optimizer: torch.optim.Optimizer, average: list[Tensor], step: int) -> None:
    state = {"pupil": pupil.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "step": step}
    write_whole(path, partial(torch.save, state))
