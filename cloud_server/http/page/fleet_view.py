"""What the page shows of devices, from their latest reports: each cell in words, and whether it needs a look."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cloud_server.devices_command import health_words, settings_words
from cloud_server.fleet.database.cards import Card
from cloud_server.fleet.labelled_audits import LabelledAudit
from cloud_server.fleet.report_queries import HistoryRow
from cloud_server.http.page.audit_words import audits_in_short, audits_words, count_of
from cloud_server.http.page.drawing import DAY_MS, Dot
from edge_sdk.fleet.report_file import BATTERY, DeviceRow, Status, Tally

FRESH_S, SILENT_S = 26 * 3_600.0, 3 * 86_400.0
"""Seconds since the last report up to which a device is fresh, and from which on it is silent: one a day is due."""
HOT, LOW_BATTERY, FULL = 75.0, 0.2, 0.9
_RATE_MS = 600_000
"""Milliseconds between reports that say how much is sent in a day: of moments a day would be made up."""
_COORDINATES = ("latitude", "longitude")
_STATES = {"fresh": "reports", "late": "report overdue", "silent": "silent"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that is shown.

    Attributes:
        name: of it.
        text: in words.
        is_bad: it needs a look.
        more: what stands below it, smaller; "": nothing.
    """

    name: str
    text: str
    is_bad: bool = False
    more: str = ""


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A budget of bytes.

    Attributes:
        text: what is spent of how much.
        share: spent / limit, up to 1.
    """

    text: str
    share: float


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device.

    Attributes:
        name: its name.
        state: "fresh", "late" or "silent".
        state_text: the same in words.
        seen: how long ago it reported.
        cells: what is shown, by name.
        budgets: of its upload.
        said: its latest report, the counts of its audits and events, and its audits that people labelled.
        place: latitude and longitude; None: not known.
        first_ms: its first report, milliseconds since 1970.
    """

    name: str
    state: str
    state_text: str
    seen: str
    cells: Mapping[str, Cell]
    budgets: tuple[BudgetView, ...]
    said: tuple[Status, Tally, tuple[LabelledAudit, ...]]
    place: tuple[float, float] | None
    first_ms: int

    @property
    def audits(self) -> str:
        """What audits say of its exits; weighed where it is shown, since it takes milliseconds."""
        return audits_words(*self.said)

    @property
    def audits_in_short(self) -> list[tuple[str, str]]:
        """The same for a list: shares, each with what it is of."""
        return audits_in_short(*self.said)

    @property
    def rank(self) -> tuple[bool, str]:
        """Its place in the list: those in trouble first."""
        return self.state == "fresh" and not self.troubles, self.name

    @property
    def troubles(self) -> list[Cell]:
        """What needs a look."""
        return [cell for cell in self.cells.values() if cell.is_bad]


class FleetView:
    """Makes views.

    Args:
        clock: seconds since 1970.

    Attributes:
        now_s: the same.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.now_s = clock

    def of(
        self, row: DeviceRow, tally: Tally | None, card: Card | None, labelled: tuple[LabelledAudit, ...] = ()
    ) -> DeviceView:
        """A device's view.

        Args:
            row: what its reports say.
            tally: its audits; None: it has none.
            card: what people say of it; coordinates that it reports itself go before theirs.
            labelled: its audits that people labelled.
        """
        place = None
        if card is not None and card.latitude is not None and card.longitude is not None:
            place = card.latitude, card.longitude
        now_s = self.now_s()
        silent_s = max(0.0, now_s - row.last_ms / 1000)
        state = "fresh" if silent_s < FRESH_S else "late" if silent_s < SILENT_S else "silent"
        health = row.status.health
        told = [health.own.get(name) for name in _COORDINATES]
        if told[0] is not None and told[1] is not None and abs(told[0]) <= 90 and abs(told[1]) <= 180:
            place = told[0], told[1]
        budgets = tuple(
            BudgetView(
                f"{size(one.spent)} of {one.budget.describe()}",
                min(1.0, one.share),
            )
            for one in row.status.usage.budgets
        )
        cells = {cell.name: cell for cell in self._cells(row)}
        said = row.status, tally or Tally(), labelled
        return DeviceView(row.device, state, _STATES[state], ago(silent_s), cells, budgets, said, place, row.first_ms)

    def _cells(self, row: DeviceRow) -> list[Cell]:
        usage, health, status = row.status.usage, row.status.health, row.status
        ratio = f"{usage.exit_ratio:.1%}" if usage.frames else "no frames yet"
        of_day = f"last day: {row.day[1] / row.day[0]:.1%}" if row.day and 0 < row.day[0] >= row.day[1] else ""
        battery = health.own.get(BATTERY)
        wrong_s = abs(status.sent_ms - row.last_ms) / 1000 if status.sent_ms else 0.0
        clock = "not set" if health.clock_unset else f"wrong by {span(wrong_s)}" if wrong_s > 300 else "right"
        throttled = health_words(row) if health.throttled else ""
        cells = [
            Cell("exit ratio", ratio, more=of_day),
            Cell("frames", f"{usage.frames:,}"),
            Cell("queue", count_of(status.waiting, "frame", "frames") if status.waiting else "empty"),
            Cell(
                "battery",
                "not told" if battery is None else f"{battery:.0%}" if battery <= 1.5 else f"{battery:g}",
                battery is not None and battery <= LOW_BATTERY,
            ),
            Cell(
                "temperature",
                "not told" if health.celsius is None else f"{health.celsius:.0f} °C",
                health.celsius is not None and health.celsius >= HOT,
            ),
            Cell("clock", clock, clock != "right"),
            Cell("sent", size(usage.bytes_sent)),
        ]
        if health.disk_free is not None:
            cells.append(Cell("free disk", size(health.disk_free), health.disk_free < 500_000_000))
        if throttled:
            cells.append(Cell("processor", throttled, True))
        cells += [
            Cell("software", health.bundle, more=f"sdk {health.sdk}" if health.sdk else ""),
            Cell(
                "settings",
                settings_words(row) if status.held.takes else "its own; takes none from here",
                bool(status.held.refused or status.held.reason),
            ),
        ]
        full = [one for one in usage.budgets if one.share >= FULL]
        if full:
            cells.append(Cell("budget", f"{full[0].share:.0%} spent", True))
        taken = {cell.name for cell in cells}
        for name, value in health.own.items():
            if name not in (BATTERY, *_COORDINATES):  # one that is named as what stands above hides nothing of it
                cells.append(Cell(f"{name}, as it measures" if name in taken else name, f"{value:g}"))
        return cells


def dots_of(views: list[DeviceView]) -> list[Dot]:
    """Those whose place is known, for the map."""
    return [Dot(one.name, *one.place, one.state) for one in views if one.place is not None]


Points = list[tuple[int, float]]


def curves_of(rows: list[HistoryRow]) -> list[tuple[str, str, Points]]:
    """Title, unit and points of each curve that has two points or more."""
    found: dict[tuple[str, str], Points] = {
        ("Exit ratio", "%"): [],
        ("Sent per day", "B"): [],
        ("Frames that wait", ""): [],
        ("Temperature", "°C"): [],
        ("Battery", "%"): [],
    }
    start = rows[0] if rows else None
    for row in rows[1:]:
        assert start is not None
        frames, exits, span_ms = row.frames - start.frames, row.exits - start.exits, row.at_ms - start.at_ms
        if frames > 0 and span_ms > 0 and 0 <= exits <= frames:
            found["Exit ratio", "%"].append((row.at_ms, 100 * exits / frames))
        start = row
    start = rows[0] if rows else None
    for row in rows[1:]:
        assert start is not None
        sent, span_ms = row.bytes_sent - start.bytes_sent, row.at_ms - start.at_ms
        if sent < 0:  # the device began anew
            start = row
        elif span_ms >= _RATE_MS:
            found["Sent per day", "B"].append((row.at_ms, sent / span_ms * DAY_MS))
            start = row
    for row in rows:
        for key, value, factor in (
            (("Frames that wait", ""), row.waiting, 1.0),
            (("Temperature", "°C"), row.celsius, 1.0),
            (("Battery", "%"), row.battery, 100.0 if row.battery is not None and row.battery <= 1.5 else 1.0),
        ):
            if value is not None:
                found[key].append((row.at_ms, value * factor))
    return [(*key, thinned(points)) for key, points in found.items() if len(points) > 1]


def thinned(points: Points, most: int = 400) -> Points:
    """Means of neighbours, where there are more points than can be seen."""
    if len(points) <= most:
        return points
    each = -(-len(points) // most)
    groups = [points[at : at + each] for at in range(0, len(points), each)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def size(count: float) -> str:
    """Bytes in words."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:.0f} B"


def span(seconds: float) -> str:
    """A stretch of time in words."""
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    if seconds >= 60:
        return "1 minute"
    return count_of(int(seconds), "second", "seconds") if seconds >= 1 else "a moment"


def ago(seconds: float) -> str:
    """How long ago, in words."""
    return f"{span(seconds)} ago"


def moment(at_ms: int) -> str:
    """A time in UTC, for people."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
