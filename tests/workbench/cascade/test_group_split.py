"""Records of one source stay together."""

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.group_split import selection_part


def test_a_source_is_never_split_and_the_split_is_always_the_same() -> None:
    sources = [f"camera {index % 200}" for index in range(2000)]
    part = selection_part(sources, fewest=10)
    for name in set(sources):
        mine = part[[source == name for source in sources]]
        assert mine.all() or not mine.any()
    assert 0.25 < part.mean() < 0.55
    assert np.array_equal(part, selection_part(sources, fewest=10))
    assert np.array_equal(part[::-1], selection_part(sources[::-1], fewest=10))


def test_too_few_sources_are_refused() -> None:
    with pytest.raises(WorkbenchError, match=r"expected pictures of more sources.*got 1 sources"):
        selection_part(["one camera"] * 500, fewest=10)
