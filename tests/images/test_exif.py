from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.images.exif import Exif, parse_exif

Fields = dict[int, int | str]
ORIGINAL, DIGITIZED, CHANGED = 0x9003, 0x9004, 0x0132
OFFSET_ORIGINAL, FRACTION_ORIGINAL = 0x9011, 0x9291


def directory(order: str, at: int, fields: Fields) -> bytes:
    """A TIFF directory at offset `at`, with its texts behind it."""
    head, tail = struct.pack(order + "H", len(fields)), b""
    texts_at = at + 2 + 12 * len(fields) + 4
    for tag, value in sorted(fields.items()):
        if isinstance(value, int):
            kind = "I" if tag == 0x8769 else "H"
            entry = struct.pack(order + "HHI" + kind, tag, 4 if kind == "I" else 3, 1, value).ljust(12, b"\0")
        else:
            text = value.encode() + b"\0"
            entry = struct.pack(order + "HHI", tag, 2, len(text))
            if len(text) <= 4:
                entry += text.ljust(4, b"\0")
            else:
                entry += struct.pack(order + "I", texts_at + len(tail))
                tail += text
        head += entry
    return head + bytes(4) + tail


def block(order: str = "<", main: Fields | None = None, shot: Fields | None = None) -> bytes:
    main = dict(main or {})
    if shot:
        main[0x8769] = 0
        main[0x8769] = 8 + len(directory(order, 8, main))
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8) + directory(order, 8, main)
    return start + (directory(order, len(start), shot) if shot else b"")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_in_both_byte_orders(order: str, orientation: int) -> None:
    assert parse_exif(block(order, {0x0112: orientation})).orientation == orientation


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_impossible_orientation_is_upright(orientation: int) -> None:
    assert parse_exif(block(main={0x0112: orientation})).orientation == 1


@given(
    moment=st.datetimes(min_value=datetime(1990, 1, 2), max_value=datetime(2100, 1, 1)).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_time_fraction_and_offset_are_read_back(moment: datetime, minutes: int) -> None:
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    shot: Fields = {
        ORIGINAL: moment.strftime("%Y:%m:%d %H:%M:%S").rjust(19, "0"),
        FRACTION_ORIGINAL: f"{moment.microsecond // 1000:03d}",
        OFFSET_ORIGINAL: f"{sign}{hours:02d}:{rest:02d}",
    }
    expected = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_exif(block(shot=shot)).captured_at == expected


def test_a_time_without_offset_is_in_the_given_zone_or_the_local_one() -> None:
    data = block(shot={ORIGINAL: "2024:05:01 10:11:12"})
    zone = timezone(timedelta(hours=5))
    assert parse_exif(data, zone=zone).captured_at == datetime(2024, 5, 1, 10, 11, 12, tzinfo=zone)
    assert parse_exif(data).captured_at == datetime(2024, 5, 1, 10, 11, 12).astimezone()


def test_the_moment_of_capture_comes_before_other_times() -> None:
    times: Fields = {DIGITIZED: "2024:05:02 00:00:00", ORIGINAL: "2024:05:01 00:00:00"}
    both = block(main={CHANGED: "2024:05:03 00:00:00"}, shot=times)
    assert parse_exif(both, zone=UTC).captured_at == datetime(2024, 5, 1, tzinfo=UTC)
    only_changed = block(main={CHANGED: "2024:05:03 00:00:00"})
    assert parse_exif(only_changed, zone=UTC).captured_at == datetime(2024, 5, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "2024:13:01 00:00:00",
        "x",
        "\xff" * 19,
        "",
        "1970:01:01 00:00:00",
        "1980:01:01 00:00:00",
        "0001:01:01 00:00:00",
    ],
)
def test_an_unset_clock_gives_no_time_and_is_told(text: str) -> None:
    exif = parse_exif(block(shot={ORIGINAL: text}))
    assert exif.captured_at is None
    assert exif.unset
    assert not parse_exif(block(main={0x0112: 1})).unset


@pytest.mark.parametrize(
    "offset", ["+02:00", "+0200", "+02", "+2", "UTC+2", "GMT+02:00", " +02:00 ", "+02:00:00", "02:00"]
)
@pytest.mark.parametrize("tag", [OFFSET_ORIGINAL, 0x9012, 0x9010])
def test_offsets_in_the_forms_that_cameras_write(tag: int, offset: str) -> None:
    data = block(shot={ORIGINAL: "2024:05:01 12:00:00", tag: offset})
    assert parse_exif(data, zone=timezone(timedelta(hours=-8))).captured_at == datetime(2024, 5, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("offset", ["", "   :  ", "\0\0\0\0\0\0", "+99:00", "local", "+", "2"])
def test_an_offset_that_says_nothing_gives_way_to_the_next_one_or_to_the_zone(offset: str) -> None:
    fields: Fields = {ORIGINAL: "2024:05:01 12:00:00", OFFSET_ORIGINAL: offset}
    assert parse_exif(block(shot=fields), zone=UTC).captured_at == datetime(2024, 5, 1, 12, tzinfo=UTC)
    later = block(shot={**fields, 0x9010: "-03:00"})
    assert parse_exif(later, zone=UTC).captured_at == datetime(2024, 5, 1, 15, tzinfo=UTC)


def test_the_whole_hours_of_older_cameras() -> None:
    data = bytearray(block(main={0x882A: 0xFFFD}, shot={ORIGINAL: "2024:05:01 12:00:00"}))
    at = data.index(struct.pack("<HH", 0x882A, 3))
    data[at + 2] = 8  # a signed short: -3
    assert parse_exif(bytes(data), zone=UTC).captured_at == datetime(2024, 5, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fraction", "microseconds"), [("25", 250_000), (" 25 ", 250_000), ("007", 7_000), ("", 0), ("   ", 0)]
)
def test_fractions_of_the_second(fraction: str, microseconds: int) -> None:
    data = block(shot={ORIGINAL: "2024:05:01 12:00:00", FRACTION_ORIGINAL: fraction})
    assert parse_exif(data, zone=UTC).captured_at == datetime(2024, 5, 1, 12, 0, 0, microseconds, tzinfo=UTC)


def test_a_camera_without_a_set_clock_may_know_the_time_of_gps() -> None:
    date, numbers = b"2024:05:01\0", struct.pack("<6I", 10, 1, 11, 1, 125, 10)
    gps = struct.pack("<H", 2)
    gps += struct.pack("<HHII", 0x07, 5, 3, 26 + 2 + 24 + 4)
    gps += struct.pack("<HHII", 0x1D, 2, len(date), 26 + 2 + 24 + 4 + 24) + bytes(4) + numbers + date
    head = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 0x8825, 4, 1, 26) + bytes(4)
    assert parse_exif(head + gps).captured_at == datetime(2024, 5, 1, 10, 11, 12, 500_000, tzinfo=UTC)


def test_no_exif_is_upright_and_without_time() -> None:
    assert parse_exif(b"") == Exif(orientation=1, captured=None)


@given(st.data())
def test_a_damaged_block_never_raises(data: st.DataObject) -> None:
    whole = bytearray(block(main={0x0112: 6, CHANGED: "2024:05:03 00:00:00"}, shot={ORIGINAL: "2024:05:01 10:11:12"}))
    for _ in range(data.draw(st.integers(0, 8))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    exif = parse_exif(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    assert 1 <= exif.orientation <= 8
