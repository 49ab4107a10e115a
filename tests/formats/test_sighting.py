"""What is said of frames, events and videos."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from format_parts import BEGIN, LIVE, frame_id, read, said
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.formats.kinds import Kind, Taxa
from edge_sdk.formats.media import Media
from edge_sdk.formats.sighting import Sighting, Summary, sightings
from edge_sdk.store.journal import JournalEntry
from edge_sdk.types import Origin, Reason

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
