"""What is said of frames, events and videos."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from format_parts import BEGIN, LIVE, frame_id, picture, read, said
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.config import StorageSettings
from edge_sdk.formats.camtrap_dp import write_camtrap_dp
from edge_sdk.formats.coco import write_coco
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.kinds import Kind, Taxa
from edge_sdk.formats.media import Media, box_of
from edge_sdk.formats.sighting import Sighting, Summary, sightings
from edge_sdk.store.journal import JournalEntry
from edge_sdk.store.store import Store
from edge_sdk.types import Origin, Reason, Region

LABELS = st.sampled_from(["fox", "deer", "empty", "person", None, " "])


def entry(label: str | None, *, at_s: float = 0, number: int = 1, event: str = "", final: bool = True) -> JournalEntry:
    answer = said(number, label, at_s=at_s, final=final).answer
    return JournalEntry(answer, answer, None, None, "", model="trailcam 2 0a1b2c", event=event)


def seen(*entries: JournalEntry, gap_s: float = 60) -> list[Sighting]:
    return list(sightings(entries, Media(Path("state")), Taxa(), event_gap_s=gap_s))


def test_the_last_word_and_who_said_it(state: Path) -> None:
    found = {one.frame_id: one for one in read(state)}
    fox, deer, waits = (found[frame_id(number)] for number in (1, 4, 3))
    assert (fox.label, fox.kind, fox.scientific_name, fox.model) == (
        "fox",
        Kind.ANIMAL,
        "Vulpes vulpes",
        "trailcam 2 (device)",
    )
    assert (deer.label, deer.confidence, deer.model) == ("deer", 0.9, "vit 7 (cloud)")
    assert deer.top_k == (("deer", 0.9), ("fox", 0.1))
    assert (waits.label, waits.kind, waits.subject) == ("deer", Kind.UNCLASSIFIED, Kind.ANIMAL)
    assert waits.top_k == (("deer", 0.5),)
    assert found[frame_id(5)].kind is Kind.UNCLASSIFIED


def test_the_box_is_where_the_model_looked_in_the_picture_that_is_exported(state: Path, tmp_path: Path) -> None:
    boxes = {int(one.frame_id, 16): one.box for one in read(state) if one.box is not None}
    assert boxes == {4: (0.5, 0.5, 0.1, 0.1), 11: pytest.approx((0.9375, 0.916667, 0.0625, 0.083333))}
    copied = {int(one.frame_id, 16): one.box for one in read(state, copies=tmp_path) if one.box is not None}
    assert copied == {4: (0.25, 0.25, 0.5, 0.5), 11: boxes[11]}


def test_a_copy_of_a_frame_that_was_seen_whole_has_no_box_unless_the_cloud_answered_it(tmp_path: Path) -> None:
    moved = Region(16, 12, 32, 24, 1.0)
    with Store(tmp_path / "state", StorageSettings(archive="10MB")) as store:
        exits, waits = said(1, "fox"), said(2, "fox", 0.5, at_s=1, final=False, reason=Reason.UNSURE)
        store.exit(exits, picture(exits, moved))
        store.spool.put(picture(waits, moved), waits)
        answer = replace(waits.answer, label="deer", origin=Origin.CLOUD, final=True, reason=Reason.CLOUD)
        store.spool.answer(answer, model="vit 7")
    found = {int(one.frame_id, 16): one.box for one in read(tmp_path / "state", copies=tmp_path)}
    assert found == {1: None, 2: (0.25, 0.25, 0.5, 0.5)}


@given(st.integers(1, 9000), st.integers(1, 9000), st.data())
def test_a_box_lies_within_its_picture(width: int, height: int, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    wide, high = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    box = box_of(Region(x, y, wide, high, 1.0), (width, height))
    assert box == pytest.approx((x / width, y / height, wide / width, high / height), abs=2e-6)
    assert min(box) >= 0 and min(box[2:]) > 0 and box[0] + box[2] <= 1 + 1e-9 and box[1] + box[3] <= 1 + 1e-9


def test_frames_that_follow_one_another_are_an_event(state: Path) -> None:
    events = {int(one.frame_id, 16): one.event_id for one in read(state)}
    assert {events[1], events[2], events[3]} == {frame_id(1)}
    assert {events[10], events[11], events[12]} == {frame_id(10)}
    assert (events[4], events[41]) == (frame_id(4), "visit")


@given(st.lists(st.integers(0, 200), min_size=1, max_size=20), st.integers(0, 100))
def test_an_event_ends_where_the_gap_is_longer(steps: list[int], gap_s: int) -> None:
    at_s, entries = 0, []
    for number, step in enumerate(steps):
        at_s += step
        entries.append(entry("fox", at_s=at_s, number=number))
    found = seen(*entries, gap_s=gap_s)
    assert len({one.event_id for one in found}) == 1 + sum(step > gap_s for step in steps[1:])


def test_rows_that_are_damaged_are_left_out() -> None:
    damaged = entry(None)
    answer = replace(damaged.answer, captured_at=datetime(1970, 1, 1, tzinfo=UTC), reason=Reason.DAMAGED, source="")
    assert len(seen(replace(damaged, answer=answer, device=answer), entry("fox"))) == 1


def test_numbers_that_are_none_count_as_nothing() -> None:
    answer = replace(entry("fox").answer, confidence=float("nan"), origin=Origin.CLOUD)
    found = seen(replace(entry("fox"), answer=answer, cloud_top_k=(("", 0.5), ("fox", 7.0))))[0]
    assert (found.confidence, found.top_k, found.model) == (0.0, (("fox", 1.0),), "big model (cloud)")


def test_frames_of_two_cameras_are_two_events() -> None:
    other = replace(entry("fox", number=2).answer, source=f"{LIVE}2")
    found = seen(entry("fox"), replace(entry("fox"), answer=other, device=other))
    assert [one.event_id for one in found] == [frame_id(1), frame_id(2)]


def summed(*entries: JournalEntry) -> Summary:
    first, *others = seen(*entries)
    summary = Summary(first)
    for one in others:
        summary.add(one)
    return summary


def test_an_event_shows_what_was_seen_best() -> None:
    empty, fox = entry("empty"), entry("fox", at_s=5)
    assert summed(empty, fox).best.label == "fox"
    assert summed(empty, empty).best.kind is Kind.BLANK
    assert summed(empty, entry("fox", final=False)).best.kind is Kind.UNCLASSIFIED
    assert summed(empty, entry(None)).best.kind is Kind.UNCLASSIFIED
    both = summed(empty, fox)
    assert (both.start, both.end, both.frames) == (BEGIN, BEGIN + timedelta(seconds=5), 2)


@given(st.lists(st.tuples(LABELS, st.booleans()), min_size=1, max_size=6))
def test_the_order_of_frames_of_an_event_does_not_matter(frames: list[tuple[str | None, bool]]) -> None:
    entries = [entry(label, number=number, final=final) for number, (label, final) in enumerate(frames)]
    assert summed(*entries).best.kind is summed(*reversed(entries)).best.kind or {
        summed(*entries).best.kind,
        summed(*reversed(entries)).best.kind,
    } == {Kind.ANIMAL, Kind.HUMAN}  # as likely as one another


def test_a_group_stands_before_its_classes_and_the_root_is_an_unknown_thing() -> None:
    top_k = (("red fox", 0.5), ("arctic fox", 0.4))
    records = [
        replace(
            said(number, label, confidence, top_k=top_k),
            answer=replace(said(number, label, confidence).answer, level=level),
        )
        for number, (label, level, confidence) in enumerate([("vulpes", "genus", 0.9), ("not sure", "root", 0.5)])
    ]
    entries = [JournalEntry(one.answer, one.answer, None, None, "", top_k=top_k) for one in records]
    vulpes, root = seen(*entries)
    assert (vulpes.level, vulpes.kind, vulpes.top_k) == ("genus", Kind.ANIMAL, (("vulpes", 0.9), *top_k))
    assert (root.level, root.kind, root.top_k[0]) == ("root", Kind.UNKNOWN, ("not sure", 0.5))


@pytest.mark.parametrize("form", ["coco", "camtrap"])
def test_nothing_has_no_box(form: str, state: Path, tmp_path: Path) -> None:
    blank = [one for one in read(state) if one.subject is Kind.BLANK][:1]
    looked = [replace(one, box=(0.1, 0.1, 0.2, 0.2)) for one in blank]
    assert looked
    if form == "coco":
        write_coco(tmp_path / "coco.json", iter(looked), Deployment())
        assert all("bbox" not in one for one in json.loads((tmp_path / "coco.json").read_text())["annotations"])
    else:
        write_camtrap_dp(tmp_path / "out", iter(looked), Deployment(place="hide", latitude=1.0, longitude=2.0))
        with (tmp_path / "out" / "observations.csv").open() as file:
            assert all(row["bboxX"] == "" for row in csv.DictReader(file))
