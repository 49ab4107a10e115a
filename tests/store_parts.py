"""Frames and answers for the tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.schema import FrameRecord
from edge_sdk.types import Answer, Origin, Reason

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def item(frame_id: str, gain: float = 0.5, *, minute: int = 0, size: int = 1000) -> SpoolItem:
    """A frame that waits."""
    return SpoolItem(
        frame_id=frame_id,
        image=(frame_id.encode() * size)[:size],
        probabilities=np.array([0.25, 0.75], np.float32),
        gain=gain,
        captured_at=NOON + timedelta(minutes=minute),
        source="cam",
    )


def device(frame_id: str, label: str | None = "fox", *, final: bool = True, minute: int = 0) -> Answer:
    """The device's answer."""
    reason = Reason.CONFIDENT if final else Reason.UNSURE
    return Answer(frame_id, NOON + timedelta(minutes=minute), "cam", label, 0.5, Origin.DEVICE, final, reason)


def cloud(frame_id: str, label: str = "deer", confidence: float = 0.9) -> Answer:
    """The cloud's answer."""
    return Answer(frame_id, NOON, "cam", label, confidence, Origin.CLOUD, True, Reason.CLOUD)


def record(frame_id: str, label: str | None = "fox", *, final: bool = False, truth: str | None = None) -> FrameRecord:
    """The device's word on a frame, as `Store` takes it."""
    return FrameRecord(
        device(frame_id, label, final=final),
        model="trailcam 2",
        top_k=(("fox", 0.5), ("deer", 0.25)),
        gain=0.5,
        trigger="motion",
        event="e1",
        truth=truth,
    )


def frame_files(folder: Path, place: str = "frames") -> set[str]:
    """The names of the frames' files."""
    return {path.stem for path in (folder / place).iterdir()}
