"""Sensitivity of the answers to removing channels of each group: an order of removal, and how far the answers move."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edge_sdk.durable.files import write_whole
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.pruning.groups import Group, Structure
from edge_sdk.workbench.specialize.allocate import Sensitivity, least_of, step_of
from edge_sdk.workbench.specialize.hessian import Hessian
from edge_sdk.workbench.specialize.layers import flat_weight, set_weight, some_rows, watching
from edge_sdk.workbench.specialize.obs import Consumer, GroupPruner
from edge_sdk.workbench.specialize.progress import OnPart
from edge_sdk.workbench.specialize.samples import Samples, first

LEVELS = (0.5, 0.25)
"""Shares of a group's channels at which the answers are compared."""

COMPARED = 48
"""Number of samples, from the first on, on which answers are compared."""

MEMORY = 2 << 30
"""Bytes of Hessians gathered in one pass over the samples; a single layer may need more."""

_TOGETHER = 4  # batches whose rows are multiplied at once
_FAST = 1024  # inputs of a layer from which on the running updates are float32


def measure_sensitivities(
    module: nn.Module,
    structure: Structure,
    samples: Samples,
    spec: InputSpec,
    *,
    damping: float,
    folder: Path | None = None,
    seed: int = 0,
    on_part: OnPart | None = None,
) -> dict[str, Sensitivity]:
    """Order each group's channels by the structured optimal brain surgeon, and measure how far the answers move.

    The surgeon's error concerns one layer's output, but the answers matter. So each group alone is cut to `LEVELS` of
    its channels, with the remaining weights adjusted, and the Kullback-Leibler divergence of the network's answers
    on the samples is measured. A power law through both points turns the layer's error into a sensitivity. (TACO,
    arXiv 2303.14409, allocates by layer-wise errors; measured sensitivities as in SPDY, arXiv 2201.13096, section 3.)

    Args:
        module: in eval mode; its weights are changed during the call and then restored.
        structure: of it.
        samples: of the task.
        spec: what the network takes.
        damping: share of the Hessian's mean diagonal that is added to it.
        folder: of the measured groups, from which an interrupted call resumes.
        seed: of the choice of positions in large layers.
        on_part: called after each group.

    Returns:
        the sensitivity of each group, by name.
    """
    batches = list(samples.batches(spec))
    compared = list(first(samples, COMPARED).batches(spec, COMPARED))
    with torch.inference_mode():
        answers = torch.cat([module(batch) for batch in compared])
    found: dict[str, Sensitivity] = {}
    for groups in _passes(module, structure):
        missing = [group for group in groups if not (folder and _path(folder, group).exists())]
        hessians = _gather(module, [member.layer for group in missing for member in group.consumers], batches, seed)
        for group in groups:
            if group in missing:
                arrays = _measure(module, group, hessians, damping, compared, answers)
                if folder is not None:
                    write_whole(_path(folder, group), partial(np.savez, **arrays))  # type: ignore[arg-type]
            else:
                assert folder is not None
                arrays = dict(np.load(_path(folder, group)))
            found[group.name] = _sensitivity(group, arrays)
            if on_part is not None:
                on_part(len(found), len(structure.groups), group.name)
    return found


def divergence(answers: Tensor, logits: Tensor) -> float:
    """Mean Kullback-Leibler divergence of `softmax(logits)` from `softmax(answers)`, both `(N, C)`, in nats."""
    return float(
        functional.kl_div(
            functional.log_softmax(logits.double(), 1),
            functional.log_softmax(answers.double(), 1),
            log_target=True,
            reduction="batchmean",
        )
    )


def _passes(module: nn.Module, structure: Structure) -> Iterator[list[Group]]:
    """The groups, split so that the Hessians of each part fit into `MEMORY`."""
    current: list[Group] = []
    taken = 0
    for group in structure.groups:
        size = sum(8 * flat_weight(module.get_submodule(m.layer)).shape[1] ** 2 for m in group.consumers)
        if current and taken + size > MEMORY:
            yield current
            current, taken = [], 0
        current.append(group)
        taken += size
    if current:
        yield current


def _gather(module: nn.Module, names: Sequence[str], batches: Sequence[Tensor], seed: int) -> dict[str, Hessian]:
    layers = {name: module.get_submodule(name) for name in names}
    hessians = {name: Hessian(flat_weight(layer).shape[1], dtype=torch.float32) for name, layer in layers.items()}
    waiting: dict[str, list[Tensor]] = {name: [] for name in names}
    for number, batch in enumerate(batches):

        def see(name: str, inputs: Tensor, number: int = number) -> None:
            waiting[name].append(some_rows(layers[name], inputs, number, len(batches), seed))

        if names:
            with torch.inference_mode(), watching(module, list(names), see):
                module(batch)
        if (number + 1) % _TOGETHER == 0 or number + 1 == len(batches):
            for name, rows in waiting.items():
                hessians[name].add(torch.cat(rows))
                rows.clear()
    return hessians


def _measure(
    module: nn.Module,
    group: Group,
    hessians: dict[str, Hessian],
    damping: float,
    batches: Sequence[Tensor],
    answers: Tensor,
) -> dict[str, NDArray[np.float64]]:
    layers = {member.layer: module.get_submodule(member.layer) for member in group.consumers}
    weights = {name: flat_weight(layer) for name, layer in layers.items()}
    consumers = [
        Consumer(weights[member.layer], hessians[member.layer].damped(damping), member.index)
        for member in group.consumers
    ]
    wide = max(weight.shape[1] for weight in weights.values()) >= _FAST
    pruner = GroupPruner(consumers, dtype=torch.float32 if wide else torch.float64)
    step, least = step_of(group), least_of(group)
    order, errors = [], []
    points: list[tuple[float, float]] = []
    for target in sorted({max(least, math.ceil(group.channels * level)) for level in LEVELS} | {least}, reverse=True):
        curve = pruner.order(step, target)
        order.append(curve.removed)
        errors.append(curve.errors)
        if len(points) < len(LEVELS) and len(curve.errors):
            for name, new in zip(layers, pruner.weights(), strict=True):
                set_weight(layers[name], new)
            with torch.inference_mode():
                logits = torch.cat([module(batch) for batch in batches])
            for name, layer in layers.items():
                set_weight(layer, weights[name])
            points.append((float(curve.errors[-1]), divergence(answers, logits)))
    return {
        "order": torch.cat(order).double().numpy(),
        "errors": torch.cat(errors).double().numpy(),
        "points": np.array(points, np.float64).reshape(-1, 2),
    }


def _sensitivity(group: Group, arrays: dict[str, NDArray[np.float64]]) -> Sensitivity:
    """The power law through the measured points, on the errors."""
    errors, points = np.maximum.accumulate(np.append(0.0, arrays["errors"])), np.maximum(arrays["points"], 1e-12)
    power, factor = 1.0, 1.0
    if len(points):
        (first, low), (last, high) = points[0], points[-1]
        if last > first * 1.001 and high > low:
            power = float(np.clip(math.log(high / low) / math.log(last / first), 0.5, 3.0))
        factor = high / last**power
    at = np.full(group.channels + 1, np.inf)
    removed = np.arange(len(errors))
    at[group.channels - removed] = factor * errors**power
    return Sensitivity(at, tuple(int(channel) for channel in arrays["order"]))


def _path(folder: Path, group: Group) -> Path:
    return folder / f"sensitivity-{group.name}.npz"
