from __future__ import annotations

import msgspec

from cloud_server.fleet.labelled_audits import UNTOLD, LabelledAudit
from cloud_server.http.page.audit_words import audits_in_short, audits_words
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.health import Health
from edge_sdk.fleet.report_file import Status, Tally
from edge_sdk.store.audits import AuditCounts


def test_a_device_that_does_not_tell_its_chances_has_the_agreement_of_its_audits_alone() -> None:
    known = "; of all its exits nothing can be said: its older software does not tell its audits' chances"
    assert audits_words(Status(), Tally(audits=1)) == f"1 audit waits for the cloud{known}"
    text = audits_words(Status(), Tally(audits=400, answered=400, differ=8))
    assert text.startswith("98.0% of 400 audits agree (9") and text.endswith(known)
    assert audits_words(Status(), Tally(audits=2, answered=1)).startswith("100.0% of 1 audit agrees (0.0% to 100.0%);")


def test_labels_of_audits_without_chances_count_among_these_alone() -> None:
    chances = (UNTOLD, UNTOLD, UNTOLD, 0.1)
    labelled = tuple(
        LabelledAudit("m 3", one, False, "fox", "deer", truth) for one, truth in zip(chances, "adfd", strict=True)
    )
    right = (*labelled, LabelledAudit("m 3", UNTOLD, False, "fox", "deer", "fox"))
    older = audits_words(Status(), Tally(audits=5, answered=5, differ=5), right)
    assert "; right on 1 of 4 audits that people labelled; of all its exits nothing can be said: " in older
    assert audits_in_short(Status(), Tally(), right) == [("25.0% right", "4 labels, audits alone")]
    counts = (AuditCounts(0.1, 100, 10, 10, differ=1, open=1),)
    told = Status(audits=ReportedAudits("m 3", counts))
    text = audits_words(told, Tally(), right)
    assert "; 4 labels of audits whose chances it did not tell yet do not count" in text
    assert "by 1 of 10 audits" in text


def test_audits_with_their_chances_say_how_accurate_all_exits_are() -> None:
    counts = (AuditCounts(0.01, 9000, 90, 90), AuditCounts(0.1, 1000, 100, 100, differ=10, labelled=10, wrong=5))
    status = Status(health=Health(bundle="trailcam 3"), audits=ReportedAudits("trailcam 3", counts))
    text = audits_words(status, Tally(audits=190, answered=190, differ=10))
    assert text.startswith("the cloud agrees on 99.0% (") and " of 10,000 exits, by 190 audits" in text
    assert "; right by people's labels: 50.0% (" in text and text.endswith(", by 10 of 190 audits")
    few = ReportedAudits("trailcam 3", (AuditCounts(0.1, 200, 25, 25, differ=1, labelled=5, wrong=1),))
    assert "96.0% (too few to be sure of anything), by 5 of 25 audits" in audits_words(Status(audits=few), Tally())
    short = audits_in_short(status, Tally())
    assert [share for share, _ in short] == ["99.0% agree", "50.0% right"]
    assert short[1][1] == "10 labels"
    later = msgspec.structs.replace(status, health=Health(bundle="trailcam 4"))
    assert audits_words(later, Tally()).endswith(" (of trailcam 3, before trailcam 4)")
    none = Status(audits=ReportedAudits("trailcam 3", (AuditCounts(0.5, 3, 1, 0, 1),)))
    assert audits_words(none, Tally(audits=1)) == "of 3 exits 1 audit and no answer yet"
    assert audits_in_short(none, Tally(audits=1)) == []
    assert audits_in_short(Status(), Tally(audits=4, answered=4, differ=1)) == [("75.0% agree", "4 audits alone")]
