"""A device's state folder with every kind of frame, for the tests of the export formats."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from edge_sdk.config import StorageSettings
from edge_sdk.formats.kinds import Taxa
from edge_sdk.formats.media import Media
from edge_sdk.formats.sighting import Sighting, sightings
from edge_sdk.images.encode import encode
from edge_sdk.images.rendition import Upload
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.journal import Journal
from edge_sdk.store.schema import FrameRecord, State, TopK
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Origin, Reason, Region

BEGIN = datetime(2026, 6, 1, 12, tzinfo=timezone(timedelta(hours=2)))
LIVE = "rtsp://camera/stream"
TAXA = Taxa({"fox": "Vulpes vulpes", "deer": "Cervidae", "shed": "unknown"})


def frame_id(number: int) -> str:
    return f"{number:032x}"


def said(
    number: int,
    label: str | None,
    confidence: float = 0.75,
    *,
    at_s: float = 0.0,
    source: str = LIVE,
    final: bool = True,
    reason: Reason = Reason.CONFIDENT,
    trigger: str = "motion",
    top_k: TopK = (),
    truth: str | None = None,
    note: str = "",
    event: str = "",
    region: Region | None = None,
) -> FrameRecord:
    """The device's word on a frame."""
    moment = BEGIN + timedelta(seconds=at_s)
    answer = Answer(frame_id(number), moment, source, label, confidence, Origin.DEVICE, final, reason)
    return FrameRecord(
        answer,
        "trailcam 2 0a1b2c",
        top_k,
        trigger=trigger,
        truth=truth,
        note=note,
        event=event,
        gain=-0.25,
        region=region,
        frame_size=(640, 480),
    )


def picture(record: FrameRecord, region: Region | None = None) -> SpoolItem:
    """The frame with a picture of 64x48 pixels, and where in it something moved."""
    answer = record.answer
    image = encode(np.full((48, 64, 3), 90, np.uint8), Upload(64, 80))
    chances = np.array([0.25, 0.75], np.float32)
    return SpoolItem(answer.frame_id, image, chances, 0.5, answer.captured_at, answer.source, region=region)


def fill(folder: Path) -> Path:
    """A state folder: two visits at a live camera, a card of photos, a video, and frames without a last word."""
    with Store(folder, StorageSettings(archive="10MB")) as store:
        fox = said(1, "fox", top_k=(("fox", 0.75), ("deer", 0.25)), truth="fox")
        store.exit(fox, picture(fox))
        store.exit(said(2, "empty", 0.9, at_s=10))
        waits = said(3, "deer", 0.5, at_s=20, final=False, reason=Reason.UNSURE)
        store.spool.put(picture(waits), waits)
        # What travelled, and is kept, is the surroundings of a region.
        unsure = said(4, "fox", 0.5, at_s=500, final=False, reason=Reason.UNSURE, region=Region(320, 240, 64, 48, 1.0))
        store.spool.put(picture(unsure, Region(16, 12, 32, 24, 1.0)), unsure)
        answer = Answer(frame_id(4), unsure.answer.captured_at, LIVE, "deer", 0.9, Origin.CLOUD, True, Reason.CLOUD)
        store.spool.answer(answer, model="vit 7", top_k=(("deer", 0.9), ("fox", 0.1)))
        store.exit(said(5, None, 0.0, at_s=1000, reason=Reason.COMPUTE_SPENT))
        store.exit(said(6, "empty", 0.8, at_s=2000, trigger="heartbeat"))
        for number in range(3):  # a burst of a card, and a person
            source, moved = f"/card/DCIM/{number}.JPG", Region(600, 440, 40, 40, 0.5) if number == 1 else None
            store.exit(said(10 + number, "person", at_s=3000 + number, source=source, trigger="photo", region=moved))
        store.exit(said(20, None, 0.0, at_s=4000, source="/card/DCIM/bad.jpg", reason=Reason.COMPUTE_SPENT))
        for number in range(5):  # a video of 4 frames a second; one frame was still and passed over
            label = "truck" if number in (1, 2) else "empty"
            at_s = 5000 + 0.25 * (number + (number > 3))
            store.exit(said(30 + number, label, 0.5 + 0.1 * number, at_s=at_s, source="/card/DCIM/v.MP4"))
        store.exit(said(40, "=shed|1", 0.6, at_s=6000, source='=cmd, "a".jpg', note="@note"))
        store.exit(said(41, "shed", 0.6, at_s=7000, source="/card/a..b\n.jpg", event="visit"), state=State.LOST)
    return folder


def read(
    folder: Path, *, base: Path | None = None, copies: Path | None = None, taxa: Taxa = TAXA, gap_s: float = 60
) -> Iterator[Sighting]:
    """What is said of each frame of a state folder."""
    with Journal(folder) as journal:
        yield from sightings(journal.query(), Media(folder, base=base, copies=copies), taxa, event_gap_s=gap_s)
