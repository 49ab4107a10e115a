from __future__ import annotations

from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.camera.address import Address, parse_address
from edge_sdk.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("simulated://trailcam?seed=1", Address("simulated", "simulated://trailcam?seed=1")),
        ("rtsp://user:pw@cam/1?a=b", Address("rtsp", "rtsp://user:pw@cam/1?a=b")),
        ("HTTP://cam/mjpeg", Address("http", "HTTP://cam/mjpeg")),
        (0, Address("device", "0")),
        ("2", Address("device", "2")),
        ("/dev/video10?size=1280x720&encoding=MJPG", Address("device", "10", {"size": "1280x720", "encoding": "MJPG"})),
        ("picamera2", Address("picamera2", "picamera2")),
        ("picamera2?size=640x480", Address("picamera2", "picamera2", {"size": "640x480"})),
        ("picamera2://?size=640x480", Address("picamera2", "picamera2", {"size": "640x480"})),
        ("clip.mp4?realtime=yes", Address("path", "clip.mp4", {"realtime": "yes"})),
        ("photos/2024", Address("path", "photos/2024")),
        (Path("what?.jpg"), Address("path", "what?.jpg")),
    ],
)
def test_addresses(url: str | int | Path, expected: Address) -> None:
    assert parse_address(url) == expected


def test_an_existing_name_with_a_question_mark_is_taken_literally(tmp_path: Path) -> None:
    odd = tmp_path / "a?b=c"
    odd.mkdir()
    assert parse_address(str(odd)) == Address("path", str(odd))


@pytest.mark.parametrize("url", ["", -1, True, None, 1.5, b"0"])
def test_what_is_no_address(url: Any) -> None:
    with pytest.raises(ConfigError, match="expected a"):
        parse_address(url)


def test_an_unknown_scheme_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"expected simulated://, picamera2://, rtsp://, .*; got ftp://host/x"):
        parse_address("ftp://host/x")


def test_options_that_cannot_be_read() -> None:
    with pytest.raises(ConfigError, match="expected camera options as name=value"):
        parse_address("0?size")


def test_size_number_and_flag() -> None:
    address = parse_address("0?size=640x480&number=3&realtime=yes")
    assert address.size() == (640, 480)
    assert address.number("number") == 3
    assert address.flag("realtime") is True
    nothing = parse_address("0")
    assert (nothing.size(), nothing.number("number"), nothing.flag("realtime")) == (None, 0, False)


@pytest.mark.parametrize("size", ["640", "0x480", "640x", "-1x2", "640x480x3"])
def test_impossible_sizes(size: str) -> None:
    with pytest.raises(ConfigError, match=f"expected size as WIDTHxHEIGHT, such as 640x480; got '{size}'"):
        parse_address(f"0?size={size}").size()


def test_impossible_numbers_flags_and_options() -> None:
    address = parse_address("0?number=-1&realtime=maybe")
    with pytest.raises(ConfigError, match="expected number as a whole number from 0; got '-1'"):
        address.number("number")
    with pytest.raises(ConfigError, match="expected realtime=yes or realtime=no; got realtime=maybe"):
        address.flag("realtime")
    with pytest.raises(ConfigError, match="unknown camera option number, realtime for 0: expected size"):
        address.check_options("size")
    with pytest.raises(ConfigError, match="expected no options"):
        address.check_options()


@pytest.mark.parametrize("url", ["rtsp:cam/x", "rtsp:/me:cret@cam/x", "rtsp//me:cret@cam/x", " rtsp://me:cret@cam/x"])
def test_almost_an_address(url: str) -> None:
    with pytest.raises(ConfigError, match="without the two slashes ://") as caught:
        parse_address(url)
    assert "cret" not in str(caught.value)


def test_no_message_and_no_repr_shows_a_password() -> None:
    address = parse_address("rtsp://me:cret@cam/1?channel=1&token=cret")
    assert repr(address) == "Address('rtsp', 'rtsp://cam/1?channel=1&token=***', {})"
    for url in ("ftp://me:cret@cam/x", "ftp://me:c/cret@cam/x", "0?password:cret"):
        with pytest.raises(ConfigError) as caught:
            parse_address(url)
        assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("+3600s", 3600), ("-1h", -3600), (" 90min", 5400), ("3600", 3600), ("2d", 172_800), ("12.5s", 12.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert Address("path", "x", {"clock_offset": text}).duration("clock_offset") == timedelta(seconds=seconds)
    assert Address("path", "x").duration("clock_offset") == timedelta(0)


@pytest.mark.parametrize("text", ["", "fast", "1e9h", "9" * 9 + "d", "1 week", "--1s"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(ConfigError, match="expected clock_offset as a time such as"):
        Address("path", "x", {"clock_offset": text}).duration("clock_offset")


@pytest.mark.parametrize("query", ["zone=+02:00", "zone=%2B02:00", "zone=UTC+2", "zone=UTC%2B2"])
def test_zones(query: str) -> None:
    assert parse_address(f"nowhere?{query}").zone() == timezone(timedelta(hours=2))


def test_the_zone_of_this_machine_unless_one_is_named() -> None:
    assert Address("path", "x").zone() is None
    with pytest.raises(ConfigError, match="expected zone as a name"):
        Address("path", "x", {"zone": "Berlin"}).zone()


def test_a_name_too_long_for_the_disk_is_a_path() -> None:
    assert parse_address("x" * 5000 + "?truth=folders").target == "x" * 5000
