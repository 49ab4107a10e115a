from __future__ import annotations

import pytest

from cloud_server.fleet.exit_accuracy import exit_accuracy
from cloud_server.fleet.labelled_audits import LabelledAudit
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.model.evidence import weigh
from edge_sdk.model.policy import Policy
from edge_sdk.store.audits import AuditCounts, Audits


def test_it_says_what_the_device_says() -> None:
    counts = (AuditCounts(0.01, 9000, 90, 88, 2, 3), AuditCounts(0.2, 1000, 200, 199, 0, 30, 20, 9, 6, 5, 18))
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


def test_labels_made_here_count_as_those_imported_on_the_device() -> None:
    audit = LabelledAudit("trailcam 3", 0.5, False, "fox", "deer", "fox")
    reported = ReportedAudits("trailcam 3", (AuditCounts(0.5, 100, 50, 50, differ=2, open=2),))
    imported = ReportedAudits("trailcam 3", (AuditCounts(0.5, 100, 50, 50, differ=2, labelled=1, won=1, open=1),))
    here, there = exit_accuracy(reported, (audit,)), exit_accuracy(imported)
    assert here == there == exit_accuracy(imported, (audit,))
    assert here.right is not None and here.agree is not None
    assert (here.labelled, here.right.share, here.agree.share) == (1, 1.0, 0.96)
