"""One alert: what happened, by which rule, on which device. Its JSON is what every channel sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from edge_sdk.durable.database import storable
from edge_sdk.terminal.line import one_line
from edge_sdk.types import Answer, Origin, new_frame_id


class Kind(StrEnum):
    """What an alert is about."""

    CLASS = "class"
    """An answer names a class."""
    FAULT = "fault"
    """The link, a camera or another part does not work."""
    BUDGET = "budget"
    """A budget is nearly or wholly spent."""
    DRIFT = "drift"
    """The frames are no longer as at calibration."""
    AUDIT = "audit"
    """Audits say that exits agree with the big model less often than calibration promised."""
    TEST = "test"
    """Somebody tries the channel (`edge-sdk alerts test`)."""


class Phase(StrEnum):
    """Whether an alert tells of a moment, or of the beginning or end of something that lasts."""

    HAPPENED = "happened"
    BEGAN = "began"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Alert:
    """What happened. Delivered at least once: a receiver that must not act twice compares `alert_id`.

    Attributes:
        kind: what it is about.
        device: name of the device.
        text: one sentence for a person.
        at: when the device noticed it, UTC.
        alert_id: unique for ever, 32 hexadecimal digits.
        rule: name of the rule that asked for it.
        phase: a moment, or the beginning or end of what lasts.
        about: of what lasts: its name, the same in both; "link", "drift", "audit", a budget, a fault's name.
        label: of a class alert: the class.
        confidence: of a class alert: probability of `label`, in [0, 1].
        origin: of a class alert: which model says so.
        frame_id: of a class alert: the frame.
        captured_at: of a class alert: the frame's capture time.
        source: of a class alert: the frame's source.
    """

    kind: Kind
    device: str
    text: str
    at: datetime
    alert_id: str = field(default_factory=new_frame_id)
    rule: str = ""
    phase: Phase = Phase.HAPPENED
    about: str | None = None
    label: str | None = None
    confidence: float | None = None
    origin: Origin | None = None
    frame_id: str | None = None
    captured_at: datetime | None = None
    source: str | None = None

    @classmethod
    def of_answer(cls, answer: Answer, *, device: str, rule: str, wall_s: float) -> Alert:
        """The alert that an answer gives rise to.

        Args:
            answer: with a label.
            device: name of the device.
            rule: name of the rule.
            wall_s: the moment, seconds since 1970.
        """
        label = storable(answer.label or "")
        return cls(
            Kind.CLASS,
            device,
            f"{one_line(label)}, {answer.confidence:.0%} sure ({answer.origin})",
            datetime.fromtimestamp(wall_s, UTC),
            rule=rule,
            label=label,
            confidence=answer.confidence,
            origin=answer.origin,
            frame_id=answer.frame_id,
            captured_at=answer.captured_at,
            source=storable(answer.source),
        )

    def to_json(self) -> bytes:
        """UTF-8 JSON, one object with the attributes' names."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, content: bytes) -> Alert:
        """The alert that `to_json` wrote.

        Raises:
            ValueError: it is none.
        """
        return msgspec.json.decode(content, type=cls)
