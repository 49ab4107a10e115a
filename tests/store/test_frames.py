"""A frame's picture as a file."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_parts import item, record

from edge_sdk.store.frames import decode_frame, encode_frame, put_aside, rank_of, write_frame
from edge_sdk.types import Region

FRAME = "a" * 32


def test_a_frame_comes_back_whole() -> None:
    sent, said = item(FRAME), record(FRAME, truth="deer")
    found = decode_frame(encode_frame(said, sent, 7), FRAME)
    assert found.record == said
    assert found.handled_ns == 7
    assert found.item is not None
    assert (found.item.image, found.item.captured_at, found.item.source) == (sent.image, sent.captured_at, sent.source)
    assert found.item.probabilities.tolist() == sent.probabilities.tolist()


def test_what_it_says_of_its_event_and_its_note_come_back() -> None:
    said = replace(record(FRAME), audit=True, audit_chance=0.25, event_class="deer", note="the clock was not set")
    found = decode_frame(encode_frame(said, replace(item(FRAME), event="e1"), 7), FRAME)
    assert found.record == said
    assert found.item is not None and (found.item.event, found.item.note) == ("e1", said.note)


def test_where_something_moved_comes_back_in_the_frame_and_in_the_picture_that_travels() -> None:
    said = replace(record(FRAME), region=Region(320, 240, 64, 48, 0.5, True), frame_size=(640, 480))
    sent = replace(item(FRAME), region=Region(16, 12, 32, 24, 0.5, True))
    found = decode_frame(encode_frame(said, sent, 7), FRAME)
    assert (found.record.region, found.record.frame_size) == (said.region, (640, 480))
    assert found.item is not None and found.item.region == sent.region


@given(st.data())
def test_a_zeroed_sector_is_never_taken_for_a_frame(data: st.DataObject) -> None:
    content = bytearray(encode_frame(record(FRAME), item(FRAME, size=5000), 7))
    at = data.draw(st.integers(0, len(content) // 512)) * 512
    spoilt = bytes(content[:at]) + bytes(len(content[at : at + 512])) + bytes(content[at + 512 :])
    if spoilt == bytes(content):
        return
    try:
        found = decode_frame(spoilt, FRAME)
    except ValueError:
        return  # the record is damaged
    assert found.record == record(FRAME)
    assert found.item is None  # the picture alone is


@given(st.integers(0, 6000))
def test_a_file_cut_short_is_damaged(length: int) -> None:
    content = encode_frame(record(FRAME), item(FRAME, size=5000), 7)
    if length >= len(content):
        return
    with contextlib.suppress(ValueError):
        assert decode_frame(content[:length], FRAME).item is None


def test_another_frames_file_is_refused() -> None:
    with pytest.raises(ValueError, match="holds frame"):
        decode_frame(encode_frame(record(FRAME), item(FRAME), 7), "b" * 32)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 10**7), st.integers(0, 10**18))
def test_a_day_of_waiting_counts_twice_as_much(one: float, two: float, size: int, now_ns: int) -> None:
    day_ns = int(timedelta(days=1).total_seconds() * 1e9)
    assert rank_of(one, size, now_ns) == pytest.approx(rank_of(one * 2, size, now_ns + day_ns)) or one < 1e-6
    assert (rank_of(one, size, now_ns) >= rank_of(two, size, now_ns)) == (max(one, 1e-6) >= max(two, 1e-6))


def test_a_file_is_there_in_full_or_not_at_all(tmp_path: Path) -> None:
    write_frame(tmp_path / "one", b"content", durable=True)
    assert (tmp_path / "one").read_bytes() == b"content"
    with pytest.raises(OSError, match="No such file"):
        write_frame(tmp_path / "nowhere" / "two", b"content", durable=True)
    assert os.listdir(tmp_path) == ["one"]


def test_damaged_files_are_kept_aside_but_not_without_end(tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for number in range(20):
        path = tmp_path / f"{number}"
        path.write_bytes(b"spoilt")
        os.utime(path, (number, number))
        put_aside(path, folder, "checksum")
    assert {path.name for path in folder.iterdir()} == {str(number) for number in range(4, 20)}
