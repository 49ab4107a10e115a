"""What is kept of an event until it is over: how it stands, the frame that stands for it, what would become of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_sdk.model.policy import Decision
from edge_sdk.pipeline.audit import WORTH, Draw
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.schema import FrameRecord
from edge_sdk.types import Event, Frame, Prediction, Reason


@dataclass(slots=True)
class EventCase:
    """What is kept of an event.

    Attributes:
        record: the device's word on the frame that looks least empty.
        prediction: on that frame.
        frame: that frame with pixels of its own; None where `item` has its picture.
        item: that frame as it would travel.
        relative_gain: of its encoding.
        is_pending: its picture is in the store ...
        pending_draw: ... with this draw.
        event: as it stands.
        mean: the device's word on the event, `float32 (C,)`.
        decision: as it would be now.
        draw: whether it would be audited; None: it is not confident, or no audits were asked for.
        counted: frames of the event whose exit was counted.
        as_a_whole: the event exits or offloads as a whole; False: its frames do by themselves, and it sums them up.
    """

    record: FrameRecord
    prediction: Prediction
    event: Event
    mean: NDArray[np.float32]
    decision: Decision
    draw: Draw | None
    frame: Frame | None = None
    item: SpoolItem | None = None
    relative_gain: float = 1.0
    is_pending: bool = False
    pending_draw: Draw | None = None
    counted: int = 0
    as_a_whole: bool = False

    @property
    def is_drawn(self) -> bool:
        """Whether it would be audited."""
        return self.draw is not None and self.draw.drawn

    @property
    def audit_chance(self) -> float | None:
        """With which it was to be audited; None: as of `draw`."""
        return None if self.draw is None else self.draw.chance

    @property
    def worth(self) -> float:
        """The gain at which its frame would wait."""
        return WORTH if self.decision.reason is Reason.AUDIT else self.decision.gain

    @property
    def news(self) -> tuple[str, str, Reason, Draw | None]:
        """What is written down of an open event as soon as it changes."""
        return self.event.label, self.event.best_frame_id, self.event.reason, self.draw

    def likeliest(self, labels: Sequence[str]) -> str:
        """The device's likeliest class of the event, also where its name is that of a group."""
        return labels[int(self.mean.argmax())]

    def travelling(self, labels: Sequence[str]) -> FrameRecord:
        """The record of the frame that travels for the event."""
        return replace(
            self.record,
            answer=replace(self.record.answer, final=False, reason=self.decision.reason),
            gain=self.decision.gain,
            audit=self.is_drawn,
            audit_chance=self.audit_chance,
            event_class=self.likeliest(labels),
        )
