"""Zeros instead of smaller layers: unstructured and N:M sparsity, for size after packing and for comparison."""

from __future__ import annotations

import copy
import re
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.specialize.hessian import Hessian, energy, inverse
from edge_sdk.workbench.specialize.layers import fed, flat_weight, forward_order, set_weight, some_rows
from edge_sdk.workbench.specialize.progress import OnPart
from edge_sdk.workbench.specialize.restrict_head import classifier
from edge_sdk.workbench.specialize.samples import Samples
from edge_sdk.workbench.specialize.sparse import Grid, prune_n_of_m, prune_unstructured, quantize

MOST = 0.99
"""Largest share of a layer's weights that may become zero."""


def parse_pattern(text: str) -> tuple[int, int] | None:
    """Read "2:4" as (2, 4), two of every four weights stay, and "unstructured" as None.

    Raises:
        WorkbenchError: the text is neither.
    """
    if text == "unstructured":
        return None
    match = re.fullmatch(r"(\d{1,2}):(\d{1,2})", text, re.ASCII)
    if match is None or not 0 < int(match[1]) < int(match[2]):
        raise WorkbenchError(f"expected structured, unstructured or N:M with N below M, such as 2:4; got {text!r}")
    return int(match[1]), int(match[2])


def sparsify(
    module: nn.Module,
    samples: Samples,
    spec: InputSpec,
    pattern: tuple[int, int] | None,
    sparsity: float,
    *,
    damping: float,
    even: bool = False,
    round_too: bool = False,
    folder: Path | None = None,
    seed: int = 0,
    on_part: OnPart | None = None,
) -> tuple[nn.Module, dict[str, Tensor], dict[str, str]]:
    """Set weights to zero, layer by layer in forward order, with inputs from the sparse layers before it.

    Args:
        module: in eval mode; it is not changed.
        samples: of the task.
        spec: what it takes.
        pattern: N of M that stay, or None for any.
        sparsity: share of zeros among all weights of prunable layers, where the pattern does not say it.
        damping: share of the Hessian's mean diagonal that is added to it.
        even: the same share in each layer; else where it costs the layers' outputs least.
        round_too: round the other weights to int8 steps in the same sweep.
        folder: of the finished layers, from which an interrupted call resumes.
        seed: of the choice of positions in large layers.
        on_part: called after each layer.

    Returns:
        The sparse copy; for each layer `bool (outputs, inputs * kernel)`, True where a weight may stay; and the layers
        that were left dense, with the reason.
    """
    sparse = copy.deepcopy(module).eval()
    batches = list(samples.batches(spec))
    names, dense = _prunable(sparse, pattern, batches[0][:1])
    shares = dict.fromkeys(names, sparsity)
    if pattern is None and not even:
        shares = _shares(module, names, batches, sparsity, damping, seed)
    masks: dict[str, Tensor] = {}
    for number, name in enumerate(names):
        path = folder / f"sparse-{number:03d}.pt" if folder is not None else None
        layer = sparse.get_submodule(name)
        if path is not None and path.exists():
            weight, mask = torch.load(path, weights_only=True)
        else:
            weight = flat_weight(layer)
            hessian = gather(sparse, name, batches, seed).damped(damping)
            grid = Grid.of(weight) if round_too else None
            if pattern is None:
                weight, mask = prune_unstructured(weight, hessian, shares[name], grid=grid)
            else:
                weight, mask = prune_n_of_m(weight, hessian, *pattern, grid=grid)
            if path is not None:
                write_whole(path, partial(torch.save, (weight, mask)))
        set_weight(layer, weight)
        masks[name] = mask
        if on_part is not None:
            on_part(number + 1, len(names), name)
    return sparse, masks, dense


def round_weights(
    module: nn.Module,
    samples: Samples,
    spec: InputSpec,
    *,
    damping: float,
    seed: int = 0,
    on_part: OnPart | None = None,
) -> nn.Module:
    """A copy with weights rounded to int8 steps; later weights compensate for each rounding (GPTQ)."""
    rounded = copy.deepcopy(module).eval()
    batches = list(samples.batches(spec))
    names, _ = _prunable(rounded, None, batches[0][:1])
    for number, name in enumerate(names):
        layer = rounded.get_submodule(name)
        weight = flat_weight(layer)
        set_weight(layer, quantize(weight, gather(rounded, name, batches, seed).damped(damping)))
        if on_part is not None:
            on_part(number + 1, len(names), name)
    return rounded


def gather(module: nn.Module, name: str, batches: list[Tensor], seed: int) -> Hessian:
    """The Hessian of one layer on its present inputs."""
    layer = module.get_submodule(name)
    hessian = Hessian(flat_weight(layer).shape[1], dtype=torch.float32)
    for number, batch in enumerate(batches):
        hessian.add(some_rows(layer, fed(module, [name], batch)[name], number, len(batches), seed))
    return hessian


def prunable_weights(module: nn.Module, spec: InputSpec) -> int:
    """Number of weights in the layers that can be made sparse."""
    names, _ = _prunable(module, None, torch.zeros(1, 3, spec.height, spec.width))
    return sum(flat_weight(module.get_submodule(name)).numel() for name in names)


def _prunable(module: nn.Module, pattern: tuple[int, int] | None, picture: Tensor) -> tuple[list[str], dict[str, str]]:
    head, _ = classifier(module)
    names, dense = [], {head: "the classifier stays dense"}
    for name, layer in module.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear) or name == head:
            continue
        inputs = flat_weight(layer).shape[1]
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            dense[name] = "a grouped convolution"
        elif isinstance(layer, nn.Conv2d) and layer.in_channels == 3:
            dense[name] = "it reads the picture"
        elif pattern is not None and inputs % pattern[1]:
            dense[name] = f"its {inputs} inputs are not a multiple of {pattern[1]}"
        else:
            names.append(name)
    return forward_order(module, names, picture), dense


def _shares(
    module: nn.Module, names: list[str], batches: list[Tensor], sparsity: float, damping: float, seed: int
) -> dict[str, float]:
    """One threshold for all layers on what a zero costs, as a share of the layer's output energy."""
    costs = {}
    for name in names:
        weight = flat_weight(module.get_submodule(name))
        hessian = gather(module, name, batches, seed).damped(damping)
        costs[name] = (weight.square() / inverse(hessian).diagonal() / max(energy(weight, hessian), 1e-30)).flatten()
    ordered = torch.cat(list(costs.values())).sort().values
    threshold = ordered[min(len(ordered) - 1, int(sparsity * len(ordered)))]
    return {name: min(MOST, float((values < threshold).double().mean())) for name, values in costs.items()}
