from __future__ import annotations

import pytest

from cloud_server.fleet.exit_accuracy import exit_accuracy
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.model.evidence import weigh
from edge_sdk.model.policy import Policy
from edge_sdk.store.audits import AuditCounts, Audits


def test_it_says_what_the_device_says() -> None:
    counts = (AuditCounts(0.01, 9000, 90, 88, 2, 3), AuditCounts(0.2, 1000, 200, 199, 0, 30, labelled=20, wrong=4))
    found = exit_accuracy(ReportedAudits("trailcam 3", counts))
    own = weigh(Audits(counts, (), ()), Policy())
    assert (found.exits, found.audits, found.answered) == (own.exits, own.drawn, own.answered) == (10_000, 290, 287)
    assert found.agree is not None and own.differs is not None and found.right is not None and own.wrong is not None
    for ours, theirs in ((found.agree, own.differs), (found.right, own.wrong)):
        assert ours.frames == theirs.frames
        assert (ours.share, ours.low, ours.high) == pytest.approx((1 - theirs.share, 1 - theirs.high, 1 - theirs.low))


def test_without_audits_nothing_is_said() -> None:
    found = exit_accuracy(ReportedAudits("trailcam 3"))
    assert (found.exits, found.agree, found.right) == (0, None, None)
