"""Who is told of progress and stages."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how many parts of it are done, and how many there are."""

OnStep = Callable[[int, int, float], None]
"""Called with the steps done, all steps, and the mean loss of the last steps."""

OnPart = Callable[[int, int, str], None]
"""Called with the parts done, all parts, and the name of the part that was just done."""

OnStage = Callable[[str, nn.Module], None]
"""Called with the name of a stage that has been reached and the network as it is then."""


def named(stage: str, number: int, rounds: int) -> str:
    """A stage's name, with its round where there are several."""
    return stage if rounds == 1 else f"{stage}, round {number + 1} of {rounds}"


def tell(on_stage: OnStage | None, name: str, module: nn.Module) -> None:
    """Tell of a stage, where someone listens."""
    if on_stage is not None:
        on_stage(name, module)


def progress_of(on_progress: OnProgress | None, what: str) -> Callable[[int, int, object], None] | None:
    """For what is counted in parts or steps, by what is done; their names and losses are not passed on."""
    if on_progress is None:
        return None
    return lambda done, of, _: on_progress(what, done, of)
