"""Agreement of exits with the big model, as a policy has it."""

from __future__ import annotations

import pytest

from edge_sdk.model.agreement import Agreement


def test_numbers_that_do_not_fit_are_refused() -> None:
    Agreement(edges=(0.9,), exits=(1, 2), differ=(0, 2), at_most=0.9)
    with pytest.raises(ValueError, match="rising `edges`"):
        Agreement(edges=(0.9, 0.8), exits=(1, 2, 3), differ=(0, 0, 0), at_most=0.1)
    with pytest.raises(ValueError, match="expected 2 `exits`"):
        Agreement(edges=(0.9,), exits=(1,), differ=(0,), at_most=0.1)
    with pytest.raises(ValueError, match="from 0 to `exits`"):
        Agreement(edges=(), exits=(1,), differ=(2,), at_most=0.1)
