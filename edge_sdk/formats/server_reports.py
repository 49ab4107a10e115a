"""What devices reported to a server (`cloud-server --reports`), as entries of a journal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from edge_sdk.fleet.answers import ReportedAnswer
from edge_sdk.fleet.report_file import ReportFile
from edge_sdk.store.schema import JournalEntry, State
from edge_sdk.types import Answer, Origin, Reason


def reported_entries(
    place: Path | str, device: str = "", *, since: datetime | None = None, until: datetime | None = None
) -> Iterator[JournalEntry]:
    """The final answers of one device by time of capture, the oldest first.

    A report carries times to the millisecond, confidences in steps of 1/255, and of a file its folder alone.

    Args:
        place: the server's folder with its reports, or the address of the database that has them.
        device: the device's name; "": the only one that has answers there.
        since: captured at this time or later, with a time zone.
        until: captured before this time, with a time zone.

    Raises:
        StorageError: there are no reports, or they cannot be read.
        ConfigError: there are answers of several devices, and none was named.
    """
    for one in ReportFile(place).answers(device, since=since, until=until):
        yield _entry(one)


def _entry(one: ReportedAnswer) -> JournalEntry:
    known = one.frame_id, one.captured_at, one.source
    is_cloud = one.origin is Origin.CLOUD
    why = one.reason or (Reason.CLOUD if is_cloud else Reason.CONFIDENT)
    last = Answer(*known, one.label, one.confidence, one.origin, True, why)
    device = last
    if is_cloud:
        device = Answer(*known, one.device_label, one.device_confidence, Origin.DEVICE, False, Reason.UNSURE)
    return JournalEntry(
        last,
        device,
        last if is_cloud else None,
        None,
        "",
        State.ANSWERED if is_cloud else State.FINAL,
        model=one.model,
        event=one.event_id,
        audit=one.audit,
        reported=True,
    )
