"""The word of one model, or of both together, on a frame or an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.taxonomy import Named, Naming
from edge_sdk.store.schema import TopK

if TYPE_CHECKING:
    from edge_sdk.link.transport import Reply

TOP_K = 3
"""Labels that are written down with an answer."""


@dataclass(frozen=True, slots=True)
class Word:
    """What is said in the end.

    Attributes:
        label: the class, or the group above it that is sure enough.
        confidence: its probability, in [0, 1].
        likeliest: the likeliest class.
        level: "" of a class; of a group its rank.
        top_k: the big model's likeliest labels.
    """

    label: str
    confidence: float
    likeliest: str
    level: str = ""
    top_k: TopK = ()


def top_k_of(labels: Sequence[str], chances: Sequence[float]) -> TopK:
    """The likeliest labels with their probabilities, the likeliest first."""
    likeliest = nlargest(TOP_K, zip(chances, labels, strict=True))
    return tuple((label, chance) for chance, label in likeliest)


def by_label(labels: Sequence[str], chances: NDArray[np.float32]) -> dict[str, float] | None:
    """Probabilities by label; None where they are of another model than that of these labels."""
    return dict(zip(labels, chances.tolist(), strict=True)) if len(chances) == len(labels) else None


def weighted(
    weight: float,
    little: Mapping[str, float] | None,
    said: Reply,
    naming: Naming,
    placed: Sequence[float] | None = None,
) -> Word:
    """The big model's word, or that of the weighted mean of both models' probabilities.

    Args:
        weight: of the little model, in [0, 1).
        little: its probabilities by label, in which place and season count already; None: they are not this bundle's,
            and the big model's word stands alone.
        said: the big model's.
        naming: gives the word the name that is sure enough.
        placed: its probabilities given place and season; None: they do not count.
    """
    labels = said.server.labels
    if len(labels) != len(said.probabilities):
        return Word(said.label, said.confidence, said.label)
    chances = said.probabilities if placed is None else placed
    top_k = top_k_of(labels, chances)
    label, confidence = (said.label, said.confidence) if placed is None else top_k[0]
    if weight and little is not None:
        both = [
            weight * little.get(one, 0.0) + (1 - weight) * chance for one, chance in zip(labels, chances, strict=True)
        ]
        confidence, label = max(zip(both, labels, strict=True), key=lambda one: one[0])
        chances = both
    named = naming.of_cloud(labels, chances) or Named(label, "", confidence)
    return Word(named.label, named.confidence, label, named.level, top_k)
