"""What a calibration is asked for, and how it puts its result into words."""

import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.calibration import Rule


def test_a_rule_has_one_limit() -> None:
    assert Rule(eps=0.01).name == "eps" and Rule(macs=1e6, delta=0.1).name == "macs"
    with pytest.raises(WorkbenchError, match=r"expected one of eps, as_right, drop, .*; got none"):
        Rule()
    with pytest.raises(WorkbenchError, match="got drop, offload_ratio"):
        Rule(drop=0.0, offload_ratio=0.5)
