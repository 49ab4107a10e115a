from __future__ import annotations

import re

import pytest

from edge_sdk.camera.http_auth import Authorization

# RFC 7616, 3.9.1, but for the client's own nonce, which is random here.
ASKED = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
NONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_as_in_the_standard(monkeypatch: pytest.MonkeyPatch, algorithm: str, response: str) -> None:
    monkeypatch.setattr("edge_sdk.camera.http_auth.secrets.token_hex", lambda _: NONCE)
    who = Authorization("Mufasa", "Circle of Life")
    assert who.header("GET", "/dir/index.html") is None
    assert who.take([ASKED.format(algorithm)])
    header = who.header("GET", "/dir/index.html") or ""
    assert f'response="{response}"' in header
    assert "nc=00000001" in header and 'opaque="FQhe' in header
    assert "nc=00000002" in (who.header("GET", "/dir/index.html") or "")
    assert "Circle" not in header + repr(who)


def test_the_old_digest_without_qop() -> None:
    who = Authorization("Mufasa", "Circle Of Life")
    assert who.take(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'])
    header = who.header("GET", "/dir/index.html") or ""
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in header
    assert "qop" not in header


def test_digest_goes_before_basic_and_basic_where_the_digest_is_unknown() -> None:
    who = Authorization("Aladdin", "open sesame")
    assert who.take(['Basic realm="x", Digest realm="y", nonce="n"'])
    assert (who.header("GET", "/") or "").startswith("Digest ")
    who = Authorization("Aladdin", "open sesame")
    assert who.take(['Digest realm="y", nonce="n", algorithm=NEW', 'Basic realm="x"'])
    assert who.header("GET", "/") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_a_refusal_is_final_unless_the_nonce_was_old() -> None:
    asked = 'Digest realm="y", nonce="n{}", qop="auth"'
    who = Authorization("me", "cret")
    assert who.take([asked.format(1)])
    assert not who.take([asked.format(2)])
    assert who.take([asked.format(3) + ", stale=TRUE"])
    who.accepted()
    assert who.take([asked.format(4)])  # a camera that has restarted
    assert not who.take([asked.format(5)])
    basic = Authorization("me", "cret")
    assert basic.take(["Basic"])
    assert not basic.take(["Basic"])
    assert not Authorization("me", "cret").take(["Negotiate", ""])


def test_odd_names_stay_within_their_header() -> None:
    who = Authorization('m"e\\ß', "pässword")
    assert who.take(['Digest realm="y", nonce="n"'])
    header = who.header("GET", "/") or ""
    assert re.search(r'username="m\\"e\\\\Ã\x9f"', header)
    header.encode("latin-1")
