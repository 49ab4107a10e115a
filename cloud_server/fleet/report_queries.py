"""What the page asks of the file of reports: the latest frames, those to be labelled, the history of a device."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cloud_server.fleet.report_pages import Place, conditions_of
from edge_sdk.fleet.answers import milliseconds, moment_of
from edge_sdk.fleet.report_file import ReportFile
from edge_sdk.types import Origin

_COLUMNS = (
    "device, frame_id, captured_ms, utc_offset, source, event_id, label, confidence, origin, reason, device_label, "
    "device_confidence, audit, number, audit_chance"
)


@dataclass(frozen=True, slots=True)
class FrameRow:
    """A frame that was reported.

    Attributes:
        device: whose it is.
        frame_id: its id.
        captured_at: in the zone of the device.
        source: the camera.
        event_id: the visit that it belongs to.
        label: the last word; None: there is none.
        confidence: of it.
        is_cloud: the cloud has answered it.
        reason: of the last word; "": not known.
        device_label: what the device says; None: nothing.
        device_confidence: of that.
        audit: a confident frame that was sent all the same.
        number: of its row.
        chance: with which the audit was drawn; None: it is none, or the device does not tell it.
    """

    device: str
    frame_id: str
    captured_at: datetime
    source: str
    event_id: str
    label: str | None
    confidence: float
    is_cloud: bool
    reason: str
    device_label: str | None
    device_confidence: float
    audit: bool
    number: int = 0
    chance: float | None = None

    @property
    def place(self) -> Place:
        """Where a page of frames ends with it."""
        return Place(milliseconds(self.captured_at), self.number)

    @property
    def differs(self) -> bool:
        """Whether the cloud says another label than the device."""
        return self.is_cloud and self.label != self.device_label


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """Counters and measures at a report; None: not told.

    Attributes:
        at_ms: when it came, milliseconds since 1970.
        frames: since the device's first day.
        exits: of these, those that the device answered.
        bytes_sent: since its first day.
        waiting: frames that wait for the cloud.
        celsius: of its processor.
        battery: as the application measures it.
    """

    at_ms: int
    frames: int
    exits: int
    bytes_sent: int
    waiting: int | None
    celsius: float | None
    battery: float | None


class ReportQueries(ReportFile):
    """Reads the file for the page."""

    def latest(
        self,
        limit: int,
        *,
        device: str = "",
        only_cloud: bool = False,
        only_audits: bool = False,
        before: Place | None = None,
        after: Place | None = None,
    ) -> list[FrameRow]:
        """The frames that were captured last, the latest first.

        Args:
            limit: of frames.
            device: of this device alone; "": of all.
            only_cloud: those that the cloud answered.
            only_audits: those that are audits.
            before: earlier ones than this.
            after: the next later ones than this.
        """
        conditions, values = conditions_of("captured_ms", device, before, after)
        if only_cloud:
            conditions.append(f"origin = '{Origin.CLOUD.value}'")
        if only_audits:
            conditions.append("audit <> 0")
        order = "DESC" if after is None else "ASC"
        where = " AND ".join(conditions)
        sql = f"SELECT {_COLUMNS} FROM answers WHERE {where} ORDER BY captured_ms {order}, number {order} LIMIT ?"
        found = [_frame(*row) for row in self._rows(sql, *values, limit)]
        return found if after is None else found[::-1]

    def frame(self, device: str, frame_id: str) -> FrameRow | None:
        """One frame; None: it was not reported."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM answers WHERE device = ? AND frame_id = ?", device, frame_id)
        return _frame(*rows[0]) if rows else None

    def history(self, device: str, since_ms: int) -> list[HistoryRow]:
        """What a device's reports said since then, the oldest first, and the one before for the differences."""
        sql = (
            "SELECT at_ms, frames, exits, bytes_sent, waiting, celsius, battery FROM history WHERE device = ? AND "
            "at_ms >= coalesce((SELECT max(at_ms) FROM history WHERE device = ? AND at_ms < ?), 0) ORDER BY at_ms"
        )
        return [HistoryRow(*row) for row in self._rows(sql, device, device, since_ms)]


def _frame(
    device: str,
    frame_id: str,
    captured_ms: int,
    offset: int,
    source: str,
    event_id: str,
    label: str | None,
    confidence: float,
    origin: str,
    reason: str,
    device_label: str | None,
    device_confidence: float,
    audit: int,
    number: int,
    chance: float | None,
) -> FrameRow:
    moment = moment_of(captured_ms, offset)
    is_cloud = origin == Origin.CLOUD.value
    said = label, confidence, is_cloud, reason, device_label, device_confidence, bool(audit)
    return FrameRow(device, frame_id, moment, source, event_id, *said, number, chance)
