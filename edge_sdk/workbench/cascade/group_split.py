"""Dealing records into those that choices are made on and those that judge them, by their source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools

SELECTION_TENTHS = 4


def selection_part(sources: Sequence[str], *, fewest: int) -> Bools:
    """`bool (N,)`: about four tenths of N records, to choose on; the rest judges.

    A hash of its source deals each record: pictures of one camera stay together, and the part is always the same.

    Args:
        sources: of each record.
        fewest: records that each part needs.

    Raises:
        WorkbenchError: a part would have fewer.
    """
    buckets = {name: hashlib.sha256(name.encode()).digest()[0] * 10 // 256 for name in set(sources)}
    chosen = np.array([buckets[name] < SELECTION_TENTHS for name in sources], np.bool_)
    if min(chosen.sum(), (~chosen).sum()) < fewest:
        raise WorkbenchError(
            f"expected pictures of more sources, to fit on some and judge on others; got {len(buckets)} sources"
        )
    return chosen
