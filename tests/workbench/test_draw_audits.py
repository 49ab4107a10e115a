"""The drawing of audits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_sdk.model.agreement import Agreement
from edge_sdk.model.policy import Policy
from edge_sdk.store.audits import AuditCounts, Audits, Difference
from edge_sdk.workbench.draw_audits import draw_audits

PROMISE = Policy(agreement=Agreement(edges=(), exits=(1000,), differ=(5,), at_most=0.01))


@pytest.mark.parametrize("policy", [PROMISE, Policy()])
def test_a_drawing_is_made_of_any_evidence(tmp_path: Path, policy: Policy) -> None:
    moment = datetime(2027, 1, 15, 12, tzinfo=UTC)
    found = tuple(Difference(str(n), 50 + 20 * n, 0.1, moment, "fox", "deer", None, None) for n in range(1, 31))
    gone = (AuditCounts(0.05, 50, 5, 5, differ=1),)
    counts = (*gone, AuditCounts(0.1, 900, 90, 90, differ=30))
    for number, audits in enumerate((Audits(counts, gone, found, ((1, 400, 0),)), Audits((), (), ()))):
        path = tmp_path / f"{number}.png"
        draw_audits(path, audits, policy, "audits")
        assert path.read_bytes()[:4] == b"\x89PNG"
