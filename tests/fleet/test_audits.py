from __future__ import annotations

import pytest

from edge_sdk.fleet.audits import MOST_CHANCES, ReportedAudits, pack_audits, unpack_audits
from edge_sdk.fleet.columns import MalformedReport
from edge_sdk.fleet.words import WordList
from edge_sdk.store.audits import AuditCounts
from edge_sdk.wire import offload_pb2 as wire

COUNTS = (
    AuditCounts(0.25, 900, 210, 200, 4, 10, 8, 3),
    AuditCounts(0.5, 100, 50, 49, differ=9, labelled=5, wrong=3, lost=2, won=1, open=5),
    AuditCounts(0.125, 40, 5, 5, events=True),
)


def test_counts_come_back_and_cost_little() -> None:
    words = WordList()
    packed = pack_audits(ReportedAudits("trailcam 3", COUNTS), words)
    came = wire.ReportedAudits.FromString(packed.SerializeToString())
    assert unpack_audits(came, words.words) == ReportedAudits("trailcam 3", COUNTS)
    assert packed.ByteSize() <= 30 * len(COUNTS)
    assert unpack_audits(wire.ReportedAudits(), []) == ReportedAudits("")


@pytest.mark.parametrize(
    "message",
    [
        wire.ReportedAudits(chance=[0.0], exits=[1]),
        wire.ReportedAudits(chance=[1.5], exits=[1]),
        wire.ReportedAudits(chance=[float("nan")], exits=[1]),
        wire.ReportedAudits(chance=[0.5] * (MOST_CHANCES + 1)),
        wire.ReportedAudits(chance=[0.5, 0.5]),
        wire.ReportedAudits(chance=[0.5, 0.25, 0.1], exits=[1, 2]),
        wire.ReportedAudits(chance=[0.5], exits=[1], drawn=[2]),
        wire.ReportedAudits(chance=[0.5], exits=[9], drawn=[2], answered=[2], waiting=[1]),
        wire.ReportedAudits(chance=[0.5], exits=[9], drawn=[2], differ=[1]),
        wire.ReportedAudits(chance=[0.5], exits=[9], drawn=[2], labelled=[1], wrong=[2]),
        wire.ReportedAudits(chance=[0.5], exits=[9], drawn=[2], answered=[2], differ=[1], open=[1], won=[1]),
        wire.ReportedAudits(chance=[0.5], exits=[1 << 63]),
        wire.ReportedAudits(model=3),
    ],
)
def test_what_cannot_be_is_refused(message: wire.ReportedAudits) -> None:
    with pytest.raises(MalformedReport, match="expected"):
        unpack_audits(message, ["fox"])
