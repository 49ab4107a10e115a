"""Intermediate features of timm networks: where they are, what they cost, and hooks that read or replace them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edge_sdk.errors import WorkbenchError

_EARLIEST, _LATEST = 0.05, 0.95

OnFeature = Callable[[int, torch.Tensor], torch.Tensor | None]
"""Called at each tap with its index and the features. A returned tensor replaces the features."""


class Stop(Exception):
    """Raised by a tap to stop the forward pass: no later layer is needed."""


@dataclass(frozen=True, slots=True)
class Tap:
    """A place in a network where an exit can be attached.

    Attributes:
        module: its name, as in `named_modules`.
        channels: of its features.
        macs: multiply-accumulates from the input up to here, for one picture.
    """

    module: str
    channels: int
    macs: int


def find_taps(module: nn.Module, width: int, height: int, *, most: int = 4) -> tuple[Tap, ...]:
    """Places for exits, evenly spaced by the compute spent before them.

    Args:
        module: a timm network.
        width: of its input, pixels.
        height: of its input, pixels.
        most: number of places, at most.

    Returns:
        the places, by rising compute; fewer than `most` where two would coincide.

    Raises:
        WorkbenchError: the network does not declare intermediate features between 5% and 95% of its compute.
    """
    known = getattr(module, "feature_info", None)
    names = dict(module.named_modules())
    places = [(str(one["module"]), int(one["num_chs"])) for one in known or [] if one["module"] in names]
    if not places:
        raise WorkbenchError(f"{type(module).__name__} gives no intermediate features: exits cannot be attached to it")
    costs, whole = _costs(module, [name for name, _ in places], width, height)
    taps = [Tap(name, channels, cost) for (name, channels), cost in zip(places, costs, strict=True)]
    inner = [tap for tap in taps if _EARLIEST * whole <= tap.macs <= _LATEST * whole]
    if not inner:
        raise WorkbenchError(f"{type(module).__name__} has no features between its first and its last layers")
    chosen: list[Tap] = []
    for share in [(index + 1) / (most + 1) for index in range(most)]:
        nearest = min(inner, key=lambda tap: abs(tap.macs - share * whole))
        if nearest not in chosen:
            chosen.append(nearest)
    return tuple(sorted(chosen, key=lambda tap: tap.macs))


def _costs(module: nn.Module, names: Sequence[str], width: int, height: int) -> tuple[list[int], int]:
    """Multiply-accumulates up to each named module, and of the whole network."""
    costs = [0] * len(names)
    device = next(module.parameters()).device
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:

        def note(index: int, features: torch.Tensor) -> None:
            costs[index] = int(counter.get_total_flops()) // 2

        with tapped(module, names, note):
            module(torch.zeros(1, 3, height, width, device=device))
        return costs, int(counter.get_total_flops()) // 2


@contextmanager
def tapped(module: nn.Module, names: Sequence[str], on_feature: OnFeature) -> Iterator[None]:
    """Within this context `on_feature` is called with the output of each named module.

    It may return other features to continue with, such as those of fewer pictures, or raise `Stop`.
    """
    inner = dict(module.named_modules())
    handles = []
    for index, name in enumerate(names):

        def hook(_: nn.Module, __: object, output: torch.Tensor, index: int = index) -> torch.Tensor | None:
            return on_feature(index, output)

        handles.append(inner[name].register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def pooled(features: torch.Tensor, channels: int) -> torch.Tensor:
    """The mean over positions: `(N, C, H, W)`, `(N, H, W, C)` or `(N, tokens, C)` to `float32 (N, C)`.

    Raises:
        WorkbenchError: another shape, or another number of channels.
    """
    if features.ndim == 4 and features.shape[1] == channels:
        return features.mean((2, 3)).float()
    if features.ndim in (3, 4) and features.shape[-1] == channels:
        return features.flatten(1, -2).mean(1).float()
    raise WorkbenchError(f"expected features of {channels} channels; got {tuple(features.shape)}")
