"""Group split: records are divided by their source into a selection part and an evaluation part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools

SELECTION_TENTHS = 4


def selection_part(sources: Sequence[str], *, fewest: int) -> Bools:
    """`bool (N,)`: the selection part, about four tenths of N records; the rest is the evaluation part.

    A hash of the source decides for each record, so pictures of one camera stay together and the split is always the
    same.

    Args:
        sources: of each record.
        fewest: smallest number of records in each part.

    Raises:
        WorkbenchError: a part would have fewer.
    """
    buckets = {name: hashlib.sha256(name.encode()).digest()[0] * 10 // 256 for name in set(sources)}
    chosen = np.array([buckets[name] < SELECTION_TENTHS for name in sources], np.bool_)
    if min(chosen.sum(), (~chosen).sum()) < fewest:
        raise WorkbenchError(
            f"expected pictures of more sources, to fit on some and evaluate on others; got {len(buckets)} sources"
        )
    return chosen
