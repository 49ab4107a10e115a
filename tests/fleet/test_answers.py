from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.fleet.answers import (
    MOST_ROWS,
    REASONS,
    AuditedAs,
    ReportedAnswer,
    meaning_of,
    moment_of,
    pack_answers,
    said_of,
    unpack_answers,
)
from edge_sdk.fleet.columns import MalformedReport, byte_of, share_of
from edge_sdk.fleet.words import WordList
from edge_sdk.types import Origin, Reason, new_frame_id
from edge_sdk.wire import offload_pb2 as wire

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_MS = 253_402_300_799_999 - 86_400_000

labels = st.sampled_from(["fox", "deer", "boar"])
shares = st.integers(0, 255).map(share_of)
ids = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")
moments = st.builds(
    lambda ms, offset: (EPOCH + timedelta(milliseconds=ms)).astimezone(timezone(timedelta(minutes=offset))),
    st.integers(-1_000_000_000_000, MOST_MS),
    st.sampled_from([0, 60, -330]),
)


audited = st.builds(
    AuditedAs, st.sampled_from([0.5, 0.125, 1.0]), st.just("") | labels, st.just("") | labels, st.booleans()
)


@st.composite
def answers(draw: st.DrawFn) -> ReportedAnswer:
    frame_id = draw(ids)
    cloud = draw(st.booleans())
    label = draw(labels if cloud else st.none() | labels)
    confidence = draw(shares)
    return ReportedAnswer(
        frame_id,
        draw(moments),
        draw(st.sampled_from(["", "picamera2"])),
        draw(st.sampled_from(["", "trailcam 3 fa4d9133"])),
        label,
        confidence,
        Origin.CLOUD if cloud else Origin.DEVICE,
        draw(st.sampled_from(REASONS)),
        draw(labels) if cloud else label,
        draw(shares) if cloud else confidence,
        draw(st.sampled_from([frame_id, "0" * 32, "f" * 32])),
        audit := draw(st.booleans()),
        draw(st.none() | audited) if audit else None,
    )


@given(st.lists(answers(), max_size=20))
def test_answers_come_back_as_they_were(rows: list[ReportedAnswer]) -> None:
    words = WordList()
    packed = wire.ReportedAnswers.FromString(pack_answers(rows, words).SerializeToString())
    assert unpack_answers(packed, words.words) == rows


def test_the_zone_of_a_capture_time_comes_back() -> None:
    at = datetime(2026, 11, 27, 8, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    one = answer(new_frame_id(), at)
    words = WordList()
    (back,) = unpack_answers(pack_answers([one], words), words.words)
    assert back.captured_at.isoformat() == at.isoformat()


def answer(frame_id: str, at: datetime, label: str = "fox", **given: object) -> ReportedAnswer:
    event_id = str(given.get("event_id", frame_id))
    model = "trailcam 3 fa4d9133"
    said = Origin.DEVICE, Reason.CONFIDENT
    return ReportedAnswer(frame_id, at, "picamera2", model, label, 1.0, *said, label, 1.0, event_id)


def test_a_hundred_answers_of_a_night_take_at_most_18_bytes_each() -> None:
    start = datetime(2026, 11, 27, 22, tzinfo=UTC)
    rows = []
    for number in range(100):
        at = start + timedelta(seconds=97 * number, milliseconds=number * 7 % 1000)
        ms = (at - EPOCH) // timedelta(milliseconds=1)
        rows.append(answer(f"{ms + number % 3:012x}{new_frame_id()[12:]}", at, ("fox", "deer", "empty")[number % 3]))
    words = WordList()
    size = pack_answers(rows, words).ByteSize()
    assert size <= 18 * len(rows), size


def test_every_reason_has_a_number_that_stays() -> None:
    assert set(REASONS) == set(Reason)
    for reason in Reason:
        for origin in Origin:
            assert meaning_of(said_of(origin, reason, audit=True)) == (origin, reason, True)
    assert said_of(Origin.DEVICE, Reason.CONFIDENT) == 0
    assert said_of(Origin.CLOUD, Reason.CLOUD) == 1 | 10 << 2
    assert meaning_of(0xFFFF_FFFF) == (Origin.CLOUD, None, True)


@pytest.mark.parametrize(
    "change",
    [
        {"id_rest": bytes(11)},
        {"id_rest": bytes(10 * (MOST_ROWS + 1))},
        {"id_time": [1]},
        {"id_time": [-1, 0]},
        {"id_time": [1 << 48, 0]},
        {"captured": [1 << 62, 0]},
        {"captured": [10**15, 0]},
        {"utc_offset": [1440]},
        {"label": [3]},
        {"label": [1, 1, 1]},
        {"confidence": bytes(3)},
        {"source": [99]},
        {"event": [1]},
        {"event_ids": bytes(15)},
    ],
    ids=str,
)
def test_rows_that_are_not_as_the_wire_says_are_refused(change: dict[str, object]) -> None:
    words = WordList(words=["fox", "deer"])
    rows = pack_answers([answer(new_frame_id(), EPOCH), answer(new_frame_id(), EPOCH)], words)
    for name, value in change.items():
        rows.ClearField(name)
        rows.MergeFrom(wire.ReportedAnswers(**{name: value}))  # type: ignore[arg-type]
    with pytest.raises(MalformedReport, match="expected"):
        unpack_answers(rows, ["fox", "deer"])


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_any_number_is_a_time_or_refused(ms: int, offset: int) -> None:
    try:
        at = moment_of(ms, offset)
    except MalformedReport:
        return
    assert at.tzinfo is not None
    assert (at - EPOCH) // timedelta(milliseconds=1) == ms


def test_nan_is_no_confidence() -> None:
    assert byte_of(math.nan) == 0
