"""The contact sheet of a run: one tile an event, on a page of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import StorageError
from edge_sdk.report.contact_sheet import ContactSheet, when
from edge_sdk.types import Answer, Event, Frame, Origin, Reason, Region

NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)


def frame(number: int = 0, truth: str | None = None, region: Region | None = None) -> Frame:
    image = np.full((240, 320, 3), 100, np.uint8)
    return Frame(image, NOON + timedelta(seconds=number), truth=truth, regions=(region,) if region else ())


def event(best: Frame, label: str = "fox", confidence: float = 0.9, name: str = "a") -> Event:
    began = best.captured_at
    return Event(name * 32, "a camera", began, began + timedelta(seconds=6), 14, label, confidence, best.frame_id)


def answer(frame: Frame, of: Event | None) -> Answer:
    known = frame.frame_id, frame.captured_at, frame.source
    return Answer(*known, "fox", 0.9, Origin.DEVICE, of is None, Reason.EVENT, event=of)


def shown(sheet: ContactSheet, label: str, confidence: float, name: str, number: int = 0) -> None:
    one = frame(number)
    said = event(one, label, confidence, name)
    sheet.see(one, answer(one, said))
    sheet.hear(said)


def test_the_best_frame_stands_for_its_event_with_the_latest_word() -> None:
    sheet = ContactSheet()
    first, best, last = frame(0), frame(1, truth="bird", region=Region(100, 80, 60, 50, 1.0)), frame(2)
    open_event = event(first)
    sheet.see(first, answer(first, open_event))
    decided = replace(open_event, best_frame_id=best.frame_id, final=False)
    sheet.see(best, answer(best, decided))
    sheet.see(last, answer(last, decided))
    sheet.hear(decided)
    sheet.hear(replace(decided, label="bird", origin=Origin.CLOUD, final=True, revision=2))
    (tile,) = sheet.tiles()
    assert (tile.event.label, tile.event.origin, tile.truth) == ("bird", Origin.CLOUD, "bird")
    box = tile.image[75:140, 95:170].astype(int)
    assert (box[..., 0] - box[..., 2]).max() > 80  # the yellow box


def test_frames_that_are_answered_one_by_one_have_events_too() -> None:
    sheet = ContactSheet()
    one = frame()
    sheet.see(one, answer(one, None))
    sheet.hear(event(one))
    assert len(sheet) == 1


def test_an_event_of_an_earlier_run_is_left_out() -> None:
    sheet = ContactSheet()
    sheet.hear(event(frame()))
    assert len(sheet) == 0


def test_the_chosen_show_every_label_before_any_twice_and_empty_ones_last() -> None:
    sheet = ContactSheet()
    for number, (label, confidence) in enumerate(
        [("empty", 0.99), ("fox", 0.9), ("fox", 0.8), ("fox", 0.7), ("deer", 0.6), ("empty", 0.9)]
    ):
        shown(sheet, label, confidence, f"{number:x}", number)
    assert [tile.event.label for tile in sheet.chosen(2)] == ["fox", "deer"]
    assert sorted(tile.event.label for tile in sheet.chosen(5)) == ["deer", "empty", "fox", "fox", "fox"]
    assert [tile.event.began_at for tile in sheet.chosen(9)] == sorted(tile.event.began_at for tile in sheet.chosen(9))
    assert len(sheet.chosen(9)) == 6
    assert sheet.chosen(0) == []


def test_the_page_is_one_file_and_text_of_others_stays_text(tmp_path: Path) -> None:
    class Seen(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.sources: list[str] = []
            self.anchors: list[str | None] = []
            self.text = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)
            self.anchors += [value for name, value in attrs if name == "id"]
            self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

        def handle_data(self, data: str) -> None:
            self.text += data

    sheet, evil = ContactSheet(), '"><script>alert("$title")</script>'
    shown(sheet, evil, 0.9, "a")
    sheet.write(tmp_path / "events.html", evil)
    seen = Seen()
    seen.feed((tmp_path / "events.html").read_text())
    assert seen.tags.count("script") == 1  # the page's own
    assert seen.tags.count("figure") == 1
    assert all(source.startswith("data:image/jpeg;base64,") for source in seen.sources) and seen.sources
    assert evil in seen.text
    assert "a" * 32 in seen.text and "a" * 32 in seen.anchors
    with pytest.raises(StorageError, match="cannot write"):
        sheet.write(tmp_path / "none" / "events.html", "a run")


def test_when_an_event_was() -> None:
    one = event(frame())
    assert when(one) == "2026-06-03 12:00:00 to 12:00:06"
    assert when(replace(one, ended_at=one.began_at)) == "2026-06-03 12:00:00"
