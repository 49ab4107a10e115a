"""Callbacks for progress and stages."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

OnProgress = Callable[[str, int, int], None]
"""Called with the name of a step, its parts done, and all its parts."""

OnStep = Callable[[int, int, float], None]
"""Called with the steps done, all steps, and the mean loss of the last steps."""

OnPart = Callable[[int, int, str], None]
"""Called with the parts done, all parts, and the name of the part that was just done."""

OnStage = Callable[[str, nn.Module], None]
"""Called with the name of a finished stage and the network at that stage."""


def named(stage: str, number: int, rounds: int) -> str:
    """A stage's name, with its round if there are several."""
    return stage if rounds == 1 else f"{stage}, round {number + 1} of {rounds}"


def tell(on_stage: OnStage | None, name: str, module: nn.Module) -> None:
    """Call `on_stage` if it is given."""
    if on_stage is not None:
        on_stage(name, module)


def progress_of(on_progress: OnProgress | None, what: str) -> Callable[[int, int, object], None] | None:
    """A callback for parts or steps that reports them to `on_progress` as step `what`; None without a listener."""
    if on_progress is None:
        return None
    return lambda done, of, _: on_progress(what, done, of)
