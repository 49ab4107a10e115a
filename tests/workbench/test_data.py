import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("simulated://zoo", "simulated://trailcam"),
        ("simulated://trailcam?colour=1", "seed, frames"),
        ("simulated://trailcam?seed=x", "numbers"),
        ("simulated://trailcam?frames=0", "frames of 1"),
        ("simulated://trailcam?frames=100001", "at most 100000"),
        ("/no/such/folder", "no/such/folder"),
    ],
)
def test_what_cannot_be_opened_is_told(address: str, message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        open_source(address, Split.TRAIN)
