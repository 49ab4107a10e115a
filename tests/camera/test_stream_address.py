from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_sdk.camera.address import parse_address
from edge_sdk.camera.stream_address import StreamAddress
from edge_sdk.errors import ConfigError

MARK = "zQ7"
ODD = st.text("/#[]@%:?&=; +é漢!'$\n" + "ab1", max_size=10).map(lambda text: f"{MARK}{text}{MARK}")


def test_the_parts_of_an_address() -> None:
    address = StreamAddress.parse("RTSP://me:se@cret@Cam.example:8554/a b?channel=1&token=x#t")
    assert (address.scheme, address.user, address.password) == ("rtsp", "me", "se@cret")
    assert (address.host, address.port, address.target) == ("Cam.example", 8554, "/a%20b?channel=1&token=x")
    assert address.url == "rtsp://me:se%40cret@Cam.example:8554/a%20b?channel=1&token=x"
    assert address.name == "RTSP://Cam.example:8554/a b?channel=1&token=***"
    assert "cret" not in repr(address)
    assert StreamAddress.parse("http://[::1]").url == "http://[::1]"
    assert StreamAddress.parse("https://cam:443/x").place == "cam"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("se[cret", "se[cret"),
        ("se:cret", "se:cret"),
        ("100%", "100%"),
        ("%2F%23%3f", "/#?"),
        ("a b", "a b"),
        ("ß", "ß"),
    ],
)
def test_passwords_as_they_are_written_and_meant(written: str, meant: str) -> None:
    address = StreamAddress.parse(f"rtsp://me:{written}@cam/x")
    assert address.password == meant
    assert address.url == f"rtsp://me:{quote(meant, safe='')}@cam/x"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("rtsp://admin:se/cret@cam/s", "an @ behind the first"),
        ("rtsp://admin:se#cret@cam/s", "%23"),
        ("rtsp://admin:123/cret@cam/s", "an @ behind the first"),
        ("http://cam/x?user=me@cret.org&password=cret", "behind the host as %40"),
        ("rtsp://admin:cret", "a port that is no number"),
        ("rtsp://cam:0/", "a port that is no number"),
        ("rtsp://cam:65536/", "a port that is no number"),
        ("rtsp://cam:٣/", "a port that is no number"),
        ("rtsp://cret@/x", "no host"),
        ("rtsp:///x", "no host"),
        ("rtsp://me:cret@[::1/x", "a host with signs that no name has"),
        ("rtsp://me:pw@[cret]/x", "brackets that hold no IPv6 address"),
        ("rtsp://me:pw@cr et/x", "a host with a blank in it"),
        ("rtsp://me:cret@cam/x\nHost: y", "a line break"),
        ("rtsp://me:cret\0@cam/x", "a control character"),
    ],
)
def test_what_is_malformed_is_refused_and_not_shown(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"expected a camera's address such as .*{why}") as caught:
        parse_address(url)
    assert "cret" not in str(caught.value).replace("://user:password@", "")
    assert caught.value.__cause__ is None and caught.value.__context__ is None


@given(
    ODD,
    st.sampled_from(["rtsp://me:{}@cam/x", "http://{}@cam:80/", "https://cam/x?pwd={}", "rtsp://me:{}", "http:/{}"]),
)
def test_no_address_shows_its_secret(secret: str, form: str) -> None:
    assume(not (form == "rtsp://me:{}" and "@" in secret))  # a password, and a host behind it
    url = form.format(secret)
    try:
        address = parse_address(url)
    except ConfigError as error:
        said = f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    else:
        said = f"{address!r} {StreamAddress.parse(url)!r} {StreamAddress.parse(url).name}"
    assert MARK not in said


@given(st.text(min_size=1), st.text())
def test_an_encoded_secret_comes_back_whole(user: str, password: str) -> None:
    address = StreamAddress.parse(f"rtsp://{quote(user, safe='')}:{quote(password, safe='')}@cam/")
    assert (address.user, address.password) == (user, password)
    assert StreamAddress.parse(address.url) == StreamAddress.parse(StreamAddress.parse(address.url).url)
