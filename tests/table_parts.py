"""Records, priors and a taxonomy for the tests of their calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.priors import Box, ClassPrior, Priors
from edge_sdk.model.taxonomy import Taxonomy
from edge_sdk.workbench.records import Records, RecordsInfo, from_logits

LABELS = ("fox", "marmot", "reindeer")
SUMMER = (0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0)
TABLE = Priors(
    regions={"alps": (Box(44, 5, 48, 16),), "north": ()},
    classes={
        "fox": ClassPrior(),
        "marmot": ClassPrior(months=SUMMER, regions={"alps": 1}),
        "reindeer": ClassPrior(regions={"north": 1}),
    },
)
TREE = Taxonomy(classes={"red": ("fox", "canid"), "arctic": ("fox", "canid"), "wolf": ("canid",)})
TREE_LABELS = ("red", "arctic", "wolf", "jay")


def records_of(
    logits: NDArray[np.floating],
    truths: NDArray[np.integer],
    labels: tuple[str, ...] = LABELS,
    *,
    name: str = "m",
    macs: int = 1,
) -> Records:
    """Records of a model, ids "0", "1", ..."""
    info = RecordsInfo(model=name, labels=labels, macs=macs)
    return from_logits(info, [str(row) for row in range(len(truths))], truths.tolist(), logits)


def unsure_logits(
    truths: NDArray[np.integer], classes: int, seed: int, *, noise: float = 1.0, lift: float = 2.0
) -> NDArray[np.float64]:
    """Logits of normal noise, the true class lifted: `float64 (N, classes)`."""
    logits = np.random.default_rng(seed).normal(0, noise, (len(truths), classes))
    logits[np.arange(len(truths)), truths] += lift
    return logits
