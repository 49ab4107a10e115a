"""The seam between alerts and whatever carries them: `Channel`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from edge_sdk.alerts.alert import Alert
from edge_sdk.alerts.toll import Toll


class Fate(Enum):
    """What became of a try to deliver."""

    DELIVERED = "delivered"
    """The other side has it."""
    LATER = "later"
    """It may be delivered at another time."""
    REFUSED = "refused"
    """The other side will never take this alert: it is not tried again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try to deliver.

    Attributes:
        fate: what became of the alert.
        said: what the other side answered or why there was no answer, on one line; it may be the other side's text.
        wait_s: seconds that the other side asks to wait; None: it says nothing.
    """

    fate: Fate
    said: str
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What the device is doing, for channels that show it.

    Attributes:
        link: state of the way to the cloud, as `LinkState`.
        problem: what is wrong now, one sentence each; empty: nothing is.
        last_class: the latest class that a rule names; None: none yet.
        confidence: of that answer, in [0, 1].
        captured_at: of that answer's frame.
    """

    link: str = "off"
    problem: tuple[str, ...] = ()
    last_class: str | None = None
    confidence: float | None = None
    captured_at: datetime | None = None


class Channel(Protocol):
    """Carries alerts to one place. One thread calls `open`, `deliver` and `show`; `close` may come from another.

    Attributes:
        name: tells the channels of one `Alerts` apart and stays the same over restarts: what waits, waits for it.
    """

    name: str

    def open(self, device: str, toll: Toll) -> None:
        """Make ready; called once, before all else. It does not wait for the other side.

        Args:
            device: name of the device.
            toll: pays for the bytes that leave.
        """

    def deliver(self, alert: Alert) -> Outcome:
        """Try once to deliver an alert, within some seconds."""

    def show(self, status: Status) -> None:
        """Show what the device is doing, where the channel can; called when it changes, and about once a minute."""

    def close(self) -> None:
        """End within a second; a `deliver` that waits returns."""
