from __future__ import annotations

import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.config import check_address
from edge_sdk.errors import ConfigError
from edge_sdk.redaction import scrub, secrets_of, without_secrets

# A secret that is in no address by chance: letters that nothing else here uses, around whatever a password may hold.
MARK = "zQ7"
ODD = st.text("/#[]@%:?&=;+ !$'()*,~|\"<>\\^`{}éß漢\u200b" + string.ascii_letters + string.digits, max_size=12)
SECRETS = st.builds(lambda left, right: f"{MARK}{left}{MARK}{right}{MARK}", ODD, ODD)
SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "HTTP", "rtmp", "mqtt", "thermal", "ftp", "x-y+z"])
WAYS = st.sampled_from([str, quote, lambda text: quote(text, safe=""), quote_plus])
FORMS = (
    "{scheme}://admin:{secret}@cam.example:554/stream1?channel=2",
    "{scheme}://{secret}@cam.example/stream1",
    "{scheme}://{secret}:{secret}@[2001:db8::1]:80/",
    "{scheme}://cam.example/flv?stream=main&user=admin&password={secret}",
    "{scheme}://cam.example/v.cgi?usr={secret}&pwd={secret}&channel=1",
    "{scheme}://cam.example/x?TOKEN={secret}#t=1",
    "{scheme}://cam.example/x?whatever={secret}",
    "{scheme}://cam.example/x?{secret}",
    "{scheme}://cam.example/x#{secret}",
    "{scheme}://cam.example:554/user=admin&password={secret}&channel=1&stream=0.sdp?real_stream",
    "{scheme}://cam.example:554/user=admin_password={secret}_channel=1_stream=0.sdp",
    "{scheme}://admin:{secret}@cam.example:port/x",
    "{scheme}://admin:{secret}@[cam.example/x",
    "{scheme}://admin:{secret}@",
)


@given(st.sampled_from(FORMS), SCHEMES, SECRETS, WAYS)
def test_no_part_of_a_secret_is_shown(form: str, scheme: str, secret: str, way: object) -> None:
    assert callable(way)
    assert MARK not in without_secrets(form.format(scheme=scheme, secret=way(secret)))


@given(st.sampled_from(["admin:{}@cam:554/x", "{}:{}@cam", "rtsp:/admin:{}@cam", "cam/x?user=a&password={}"]), SECRETS)
def test_nor_where_the_scheme_was_forgotten(form: str, secret: str) -> None:
    assert MARK not in without_secrets(form.format(secret, secret))


@given(st.text())
def test_any_text_has_a_form_to_be_shown(text: str) -> None:
    shown = without_secrets(text)
    assert without_secrets(shown) == shown


@given(st.sampled_from(FORMS[:9]), SECRETS)
def test_another_programs_words_are_scrubbed(form: str, secret: str) -> None:
    address = form.format(scheme="thermal", secret=quote(secret, safe=""))
    for said in (f"cannot open {address}: refused", f"bad password {secret}", f"401 for {quote(secret, safe='')}"):
        assert MARK not in scrub(said, address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:se@cret@cam:554/a?channel=1&subtype=0", "rtsp://cam:554/a?channel=1&subtype=0"),
        ("rtsp://cam/Streaming/Channels/101", "rtsp://cam/Streaming/Channels/101"),
        ("http://cam/flv?stream=main&user=admin&password=x", "http://cam/flv?stream=main&user=***&password=***"),
        ("rtsp://cam:554/user=a_password=b_channel=3_stream=0.sdp", "rtsp://cam:554/user=***&password=***&channel=3&stream=0.sdp"),
        ("rtsp://cam/user=a&password=b/c&channel=3", "rtsp://cam/user=***&password=***/***&channel=3"),
        ("http://cam/x?seat=12&pin=12", "http://cam/x?seat=12&***"),
        ("rtsp://me:se/cret@cam/x", "rtsp://***"),
        ("rtsp://admin:secret", "rtsp://***"),
        ("rtsp://cam/x\ny", "rtsp://***"),
        ("simulated://trailcam?seed=1&size=640x480", "simulated://trailcam?seed=1&size=640x480"),
        ("thermal://serial:AB-12/left", "thermal://serial:AB-12/left"),
        ("photos/me@home/a?b.jpg", "photos/me@home/a?***"),
        ("clip.mp4?start=2026-05-01T12:00:00Z&zone=Europe", "clip.mp4?start=2026-05-01T12:00:00Z&zone=Europe"),
        ("admin:pw@cam/x", "***"),
        ("photos/2026", "photos/2026"),
    ],
)  # fmt: skip
def test_what_is_shown(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


def test_short_secrets_are_not_looked_for_in_other_texts() -> None:
    assert secrets_of("x://a:ab@cam/") == ["a%3Aab", "a:ab"]
    assert scrub("a cab", "x://a:ab@cam/") == "a cab"
    assert scrub("nothing to hide", "photos/2026") == "nothing to hide"


@given(SECRETS)
def test_the_clouds_address_shows_no_user_info(secret: str) -> None:
    for text in (f"me:{secret}@vm.example:50051", f"https://me:{secret}@vm.example:50051"):
        with pytest.raises(ConfigError, match="expected the cloud's address as host:port") as caught:
            check_address(text)
        assert MARK not in str(caught.value)
