"""Reports for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cloud_server.fleet.report_store import Report
from edge_sdk.budget.usage import Usage
from edge_sdk.fleet.answers import ReportedAnswer
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.events import ReportedEvent
from edge_sdk.fleet.report_file import Status
from edge_sdk.types import Origin, Reason

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def reported_answer(number: int, label: str | None = "fox") -> ReportedAnswer:
    """The answer of a frame that was captured that many minutes after noon."""
    frame_id, at = f"{number:032x}", NOON + timedelta(minutes=number)
    said = label, 0.5, Origin.DEVICE, Reason.CONFIDENT, label, 0.5
    return ReportedAnswer(frame_id, at, "cam", "trailcam 3", *said, frame_id)


def reported_event(number: int, label: str | None = "fox") -> ReportedEvent:
    """An event of one minute."""
    began = NOON + timedelta(minutes=number)
    said = label, 0.5, Origin.CLOUD, Reason.CLOUD
    return ReportedEvent(f"{number:032x}", "cam", began, began + timedelta(minutes=1), 5, *said)


def report_of(
    *numbers: int, label: str | None = "fox", usage: Usage | None = None, audits: ReportedAudits | None = None
) -> Report:
    """A report of an answer and an event for each number."""
    answers = [reported_answer(number, label) for number in numbers]
    status = Status(usage=usage or Usage(), audits=audits)
    return Report(status, answers, [reported_event(number, label) for number in numbers])
