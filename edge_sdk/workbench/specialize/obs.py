"""The structured optimal brain surgeon: an order in which channels can be removed, and the error of each removal.

Removing the inputs S of a layer and compensating with the others costs tr(W_S (Hinv_SS)^-1 W_S^T) at best
(OBS, Hassibi & Stork 1993, generalised to groups: ZipLM, arXiv 2302.04089, section 3; as used for few-shot
specialisation by TACO, arXiv 2303.14409). Removals add up exactly: after each, the remaining weight is the
least-squares optimum for the inputs it has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.specialize.hessian import check_layer
from edge_sdk.workbench.specialize.state import LayerState

POOL = 2
"""A batch of removals is chosen from this many times as many candidates."""


@dataclass(frozen=True, slots=True, eq=False)
class Consumer:
    """A layer that reads the channels.

    Attributes:
        weight: floats `(out, in)`.
        hessian: `float64 (in, in)`, damped, so that it has an inverse.
        columns: integers `(channels, block)`: the inputs that belong to each channel, k * k of them for a convolution,
            the head's width for attention, 1 for a dense layer. Inputs that belong to none are never removed.
    """

    weight: Tensor
    hessian: Tensor
    columns: Tensor

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            WorkbenchError: shapes that do not fit, or columns that are out of range or belong to two channels.
        """
        check_layer(self.weight, self.hessian)
        columns = self.columns
        if columns.ndim != 2 or not columns.numel() or columns.is_floating_point():
            raise WorkbenchError(
                f"expected integer columns (channels, block); got {columns.dtype} {tuple(columns.shape)}"
            )
        inputs = self.weight.shape[1]
        if int(columns.min()) < 0 or int(columns.max()) >= inputs:
            raise WorkbenchError(
                f"expected columns from 0 to {inputs - 1}; got {int(columns.min())} to {int(columns.max())}"
            )
        if len(set(columns.flatten().tolist())) != columns.numel():
            raise WorkbenchError("expected each column in one channel only; got a column twice")


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """An order of removal and its errors.

    Attributes:
        removed: `int64 (n,)`, channels in the order of removal.
        errors: `float64 (n,)`, never falling: the error once `removed[: k + 1]` are gone, each consumer's as a share of
            its output's energy, summed over the consumers; what was removed before is counted.
    """

    removed: Tensor
    errors: Tensor


class GroupPruner:
    """Removes channels that one or several layers read, cheapest first, and adjusts the remaining weights.

    Attributes:
        remaining: `bool (channels,)`.
        error: the error so far, as in `Curve`.
    """

    def __init__(self, consumers: Sequence[Consumer], *, dtype: torch.dtype = torch.float64) -> None:
        """Invert each consumer's Hessian.

        Args:
            consumers: layers with the same number of channels.
            dtype: float64, or float32 to halve the memory of the running updates and take less time. Errors are then
                good to about 1e-3 of themselves, at a damping as low as 1e-6: inverses are taken in float64, anew
                whenever half of the inputs have gone; a layer for which float32 is not sufficient continues in float64;
                and `weights` are solved in float64 in any case.

        Raises:
            WorkbenchError: no consumers, different numbers of channels, another dtype, or a Hessian without inverse.
        """
        channels = [len(consumer.columns) for consumer in consumers]
        if not channels or len(set(channels)) != 1:
            raise WorkbenchError(f"expected consumers with the same number of channels; got {channels}")
        if dtype not in (torch.float32, torch.float64):
            raise WorkbenchError(f"expected float32 or float64; got {dtype}")
        self._layers = [
            LayerState(consumer.weight, consumer.hessian, consumer.columns, dtype) for consumer in consumers
        ]
        self.remaining = torch.ones(channels[0], dtype=torch.bool)
        self.error = 0.0

    def scores(self) -> Tensor:
        """What removing each channel alone would add to the error: `float64 (channels,)`, infinity for removed ones."""
        left = self.remaining.nonzero().squeeze(1)
        found = torch.full(self.remaining.shape, torch.inf, dtype=torch.float64)
        if len(left):
            found[left] = torch.stack([layer.scores(left) for layer in self._layers]).sum(0)
        return found

    def remove(self, channels: Tensor | Sequence[int]) -> Tensor:
        """Remove channels jointly; the remaining weights are adjusted optimally.

        Args:
            channels: distinct indices `(n,)` of remaining channels.

        Returns:
            `float64 (n,)`, the error after each, were they removed one by one in this order.

        Raises:
            WorkbenchError: a channel is unknown, removed already or named twice.
        """
        gone = torch.as_tensor(channels, dtype=torch.int64).cpu().reshape(-1)
        named, left = gone.tolist(), set(self.remaining.nonzero().flatten().tolist())
        if len(set(named)) != len(named) or not left.issuperset(named):
            raise WorkbenchError(
                f"expected distinct channels that remain, of 0 to {len(self.remaining) - 1}; got {named}"
            )
        if not named:
            return torch.empty(0, dtype=torch.float64)
        added = torch.stack([layer.remove(gone) for layer in self._layers]).sum(0)
        self.remaining[gone] = False
        errors = self.error + added.cumsum(0)
        self.error = float(errors[-1])
        return errors

    def order(self, batch: int, down_to: int) -> Curve:
        """Remove the cheapest channels, `batch` at a time, until `down_to` remain.

        Scores are computed anew for each batch. Within a batch, channels are chosen one by one among the cheapest
        2 * batch, whose scores are updated exactly: of two interchangeable channels only one is removed.

        Args:
            batch: at least 1, which is the exact greedy order; more is faster.
            down_to: channels that shall remain, at most those that do now.

        Raises:
            WorkbenchError: a batch or a target out of range.
        """
        left = int(self.remaining.sum())
        if batch < 1 or not 0 <= down_to <= left:
            raise WorkbenchError(
                f"expected a batch of 1 or more and a target of 0 to {left} channels; got {batch} and {down_to}"
            )
        removed = [torch.empty(0, dtype=torch.int64)]
        errors = [torch.empty(0, dtype=torch.float64)]
        while left > down_to:
            count = min(batch, left - down_to)
            pool = self.scores().topk(min(POOL * count, left) if count > 1 else 1, largest=False, sorted=True).indices
            removed.append(self._choose(pool, count))
            errors.append(self.remove(removed[-1]))
            left -= count
        return Curve(torch.cat(removed), torch.cat(errors))

    def weights(self) -> list[Tensor]:
        """Each consumer's optimal weight for the remaining channels, `(out, in)`, its own dtype, 0 where removed.

        W H_:R (H_RR)^-1 on the remaining inputs R, solved in float64 from the original weight.
        """
        return [layer.solved() for layer in self._layers]

    def _choose(self, pool: Tensor, count: int) -> Tensor:
        """The greedy choice of `count` of the pool's channels, in order."""
        if len(pool) == 1:
            return pool
        parts = [layer.part(pool) for layer in self._layers]
        open_ = torch.ones(len(pool), dtype=torch.bool)
        chosen: list[int] = []
        while True:
            left = open_.nonzero().squeeze(1)
            scores = torch.stack([part.scores(left) for part in parts]).sum(0)
            best = int(left[scores.argmin()])
            chosen.append(best)
            if len(chosen) == count:
                return pool[chosen]
            open_[best] = False
            for part in parts:
                part.remove(best)
