"""Layer-by-layer least squares: a pruned network's weights are solved for the uncompressed network's outputs."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_sdk.durable.files import write_whole
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.pruning.groups import RemainingChannels, Structure
from edge_sdk.workbench.specialize.hessian import refit
from edge_sdk.workbench.specialize.layers import (
    MAX_ROWS,
    fed,
    flat_weight,
    forward_order,
    set_weight,
    some_rows,
    watching,
)
from edge_sdk.workbench.specialize.progress import OnPart
from edge_sdk.workbench.specialize.samples import Samples
from edge_sdk.workbench.specialize.sensitivity import MEMORY


def refit_layers(
    dense: nn.Module,
    pruned: nn.Module,
    structure: Structure,
    remaining: RemainingChannels,
    samples: Samples,
    spec: InputSpec,
    *,
    damping: float,
    folder: Path | None = None,
    seed: int = 0,
    on_part: OnPart | None = None,
) -> None:
    """Solve each layer that lost inputs for the weights that best give the dense layer's output, in forward order.

    A layer's new inputs come from the layers before it, which are pruned and solved already, so their errors are
    corrected as far as this layer can. If a layer's remaining inputs are unchanged, this is the optimal brain surgeon's
    compensation for the removed ones (TACO, arXiv 2303.14409, section 3; OBC, arXiv 2208.11580, section A.8).

    Args:
        dense: the network before, in eval mode.
        pruned: the same, pruned to `remaining`; its weights are changed.
        structure: of the dense one.
        remaining: the channels that stayed, by the group's name.
        samples: of the task.
        spec: what the network takes.
        damping: share of the Gram matrix' mean diagonal; pulls towards the dense weights.
        folder: of the solved layers, from which an interrupted call resumes.
        seed: of the choice of positions in large layers.
        on_part: called after each layer.
    """
    batches = list(samples.batches(spec))
    names = {member.layer for group in structure.groups for member in group.consumers}
    order = forward_order(dense, sorted(names), batches[0][:1])
    rows = _DenseRows(dense, order, batches, seed)
    for number, name in enumerate(order):
        path = folder / f"refit-{hashlib.sha256(name.encode()).hexdigest()[:12]}.pt" if folder is not None else None
        layer = pruned.get_submodule(name)
        if path is not None and path.exists():
            state = torch.load(path, weights_only=True)
        else:
            state = _solve(rows, dense, pruned, name, structure, remaining, batches, damping, seed)
            if path is not None:
                write_whole(path, partial(torch.save, state))
        set_weight(layer, state["weight"], state.get("bias"))
        if on_part is not None:
            on_part(number + 1, len(order), name)


class _DenseRows:
    """Rows of the dense network's layers, gathered for as many layers at once as fit into `MEMORY`."""

    def __init__(self, dense: nn.Module, order: list[str], batches: list[Tensor], seed: int) -> None:
        self._dense, self._batches, self._seed = dense, batches, seed
        self._left = list(order)
        self._kept: dict[str, list[Tensor]] = {}

    def of(self, name: str) -> list[Tensor]:
        """The rows of a layer, batch by batch; layers are asked for in forward order, each once."""
        if name not in self._kept:
            self._gather(name)
        return self._kept.pop(name)

    def _gather(self, name: str) -> None:
        """From this layer on."""
        del self._left[: self._left.index(name)]
        taken, names = 0, list[str]()
        for one in self._left:
            taken += 4 * MAX_ROWS * flat_weight(self._dense.get_submodule(one)).shape[1]
            if names and taken > MEMORY:
                break
            names.append(one)
        layers = {one: self._dense.get_submodule(one) for one in names}
        self._kept = {one: [] for one in names}
        for number, batch in enumerate(self._batches):

            def see(one: str, inputs: Tensor, number: int = number) -> None:
                if len(self._kept[one]) == number:  # a layer that runs twice counts as it first ran
                    rows = some_rows(layers[one], inputs, number, len(self._batches), self._seed)
                    self._kept[one].append(rows.clone())

            with torch.inference_mode(), watching(self._dense, names, see):
                self._dense(batch)


def _solve(
    rows: _DenseRows,
    dense: nn.Module,
    pruned: nn.Module,
    name: str,
    structure: Structure,
    remaining: RemainingChannels,
    batches: list[Tensor],
    damping: float,
    seed: int,
) -> dict[str, Tensor]:
    source, target = dense.get_submodule(name), pruned.get_submodule(name)
    weight = flat_weight(source)
    columns = structure.columns(name, weight.shape[1], remaining)
    weight = weight[structure.rows(name, weight.shape[0], remaining)]
    prior = weight[:, columns]
    biased = target.bias is not None
    if biased:  # an input that is always 1
        bias = source.bias.detach().double()[structure.rows(name, len(source.bias), remaining)]  # type: ignore
        weight, prior = (torch.cat([one, bias[:, None]], 1) for one in (weight, prior))
    cross = torch.zeros(weight.shape[1], prior.shape[1], dtype=torch.float64)
    gram = torch.zeros(prior.shape[1], prior.shape[1], dtype=torch.float64)
    total = 0
    for number, (batch, old) in enumerate(zip(batches, rows.of(name), strict=True)):
        new = some_rows(target, fed(pruned, [name], batch)[name], number, len(batches), seed)
        if biased:
            one = torch.ones(len(old), 1)
            old, new = torch.cat([old, one], 1), torch.cat([new, one], 1)
        cross += old.T @ new
        gram += new.T @ new
        total += len(old)
    solved = refit(weight, cross / total, gram / total, prior, damping)
    if biased:
        return {"weight": solved[:, :-1].float(), "bias": solved[:, -1].float()}
    return {"weight": solved.float()}
