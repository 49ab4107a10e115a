"""Labels that say that nothing is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_WORDS = frozenset(
    ["background", "blank", "empty", "false trigger", "misfire", "no animal", "no animals", "none", "nothing"]
)


def plain_words(label: str) -> str:
    """A label in small letters, its words apart by one space."""
    return " ".join(label.lower().replace("_", " ").replace("-", " ").split())


def says_nothing(label: str) -> bool:
    """Whether a label is a word for nothing there, such as "empty" or "no_animal"."""
    return plain_words(label) in _WORDS


def emptiness_by(labels: Sequence[str]) -> Callable[[NDArray[np.float32]], float]:
    """How empty a frame looks, in [0, 1], by a model's probabilities of `labels`, `float32 (C,)`.

    The probability that nothing is there; without a class for it, how unsure the model is.
    """
    empty = [number for number, label in enumerate(labels) if says_nothing(label)]
    return lambda chances: float(chances[empty].sum() if empty else 1.0 - chances.max())
