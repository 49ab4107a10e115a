from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.fleet.answers import REASONS
from edge_sdk.fleet.columns import MalformedReport, share_of
from edge_sdk.fleet.events import ReportedEvent, pack_events, unpack_events
from edge_sdk.fleet.words import WordList
from edge_sdk.types import Origin, Reason, new_frame_id
from edge_sdk.wire import offload_pb2 as wire

START = datetime(2026, 11, 27, 22, tzinfo=timezone(timedelta(hours=1)))


@st.composite
def events(draw: st.DrawFn) -> ReportedEvent:
    began = START + timedelta(milliseconds=draw(st.integers(-(10**12), 10**12)))
    return ReportedEvent(
        f"{draw(st.integers(0, 2**128 - 1)):032x}",
        draw(st.sampled_from(["", "picamera2"])),
        began,
        began + timedelta(milliseconds=draw(st.integers(0, 2**32 - 1))),
        draw(st.integers(0, 1_000)),
        draw(st.none() | st.sampled_from(["fox", "deer"])),
        share_of(draw(st.integers(0, 255))),
        draw(st.sampled_from(Origin)),
        draw(st.sampled_from(REASONS)),
        draw(st.booleans()),
    )


@given(st.lists(events(), max_size=10))
def test_events_come_back_as_they_were(rows: list[ReportedEvent]) -> None:
    words = WordList()
    packed = wire.ReportedEvents.FromString(pack_events(rows, words).SerializeToString())
    assert unpack_events(packed, words.words) == rows


def test_an_event_takes_at_most_28_bytes() -> None:
    said = Origin.DEVICE, Reason.CONFIDENT
    rows = [
        ReportedEvent(
            new_frame_id(),
            "picamera2",
            START + timedelta(minutes=7 * n),
            START + timedelta(minutes=7 * n, seconds=n),
            n,
            ("fox", "deer")[n % 2],
            0.01 * n,
            *said,
        )
        for n in range(1, 51)
    ]
    assert pack_events(rows, WordList()).ByteSize() <= 28 * len(rows)


@pytest.mark.parametrize(
    "change", [{"event_ids": bytes(15)}, {"began": []}, {"label": [9]}, {"frames": [1, 2, 3]}, {"began": [1 << 60]}]
)
def test_rows_that_are_not_as_the_wire_says_are_refused(change: dict[str, object]) -> None:
    one = ReportedEvent(new_frame_id(), "", datetime(2026, 1, 1, tzinfo=UTC), START, 1, "fox", 1.0, Origin.CLOUD, None)
    words = WordList()
    rows = pack_events([one], words)
    for name, value in change.items():
        rows.ClearField(name)
        rows.MergeFrom(wire.ReportedEvents(**{name: value}))  # type: ignore[arg-type]
    with pytest.raises(MalformedReport):
        unpack_events(rows, words.words)
