"""What the device says of itself and believes of the server."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority
from edge_sdk.security.credentials import (
    TOKEN_VARIABLE,
    Denied,
    Security,
    explain_failure,
    host_of,
    is_loopback,
    local_channel,
)
from edge_sdk.security.tokens import new_token
from edge_sdk.testing import ScriptedServer
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


@pytest.fixture(autouse=True)
def no_token_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("target", "host", "here"),
    [
        ("127.0.0.1:50051", "127.0.0.1", True),
        ("127.8.9.1:1", "127.8.9.1", True),
        ("[::1]:50051", "::1", True),
        ("localhost:50051", "localhost", True),
        ("unix:/run/relay", "unix:", True),
        ("10.0.0.5:50051", "10.0.0.5", False),
        ("0.0.0.0:50051", "0.0.0.0", False),
        ("[2001:db8::1]:50051", "2001:db8::1", False),
        ("vm.example:50051", "vm.example", False),
        ("localhost.example:1", "localhost.example", False),
    ],
)
def test_what_stays_on_this_machine(target: str, host: str, here: bool) -> None:
    assert host_of(target) == host
    assert is_loopback(host) == here


def test_an_unencrypted_link_to_another_machine_is_refused_with_the_ways_out() -> None:
    Security().check("127.0.0.1:50051")
    Security(insecure=True).check("vm.example:50051")
    with pytest.raises(ConfigError, match=r"expected an encrypted link to vm\.example:50051") as caught:
        Security().check("vm.example:50051")
    for way in ("--ca", "edge-sdk keys make", "--insecure"):
        assert way in str(caught.value)


def test_values_that_do_not_go_together() -> None:
    some = Path("some.pem")
    with pytest.raises(ConfigError, match="cert and key together"):
        Security(ca=some, cert=some)
    with pytest.raises(ConfigError, match="expected ca, the server's authority"):
        Security(cert=some, key=some)
    with pytest.raises(ConfigError, match=r"expected ca or insecure, not both; got ca some\.pem"):
        Security(ca=some, insecure=True)


def test_files_are_judged_before_dialling(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    ca, device, stranger = authority.files.cert, authority.issue_device("cam"), other.issue_device("cam")
    Security(ca=ca, cert=device.cert, key=device.key).check("vm.example:1")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for security, message in (
        (Security(ca=tmp_path / "none"), "cannot read the ca"),
        (Security(ca=empty), "expected PEM in the ca"),
        (Security(ca=device.key), "expected PEM certificates of an authority"),
        (Security(ca=ca, cert=device.cert, key=stranger.key), "the key is that of another certificate"),
        (Security(ca=ca, cert=device.key, key=device.key), "expected a PEM certificate"),
        (Security(ca=ca, cert=device.cert, key=tmp_path / "none"), "cannot read the key"),
    ):
        with pytest.raises(ConfigError, match=message):
            security.check("vm.example:1")
    device.key.chmod(0o640)
    with pytest.raises(ConfigError, match=r"its mode is 0640: run `chmod 600 .*cam\.key`"):
        Security(ca=ca, cert=device.cert, key=device.key).check("vm.example:1")


def test_the_token_comes_from_the_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Security().metadata() == ()
    one, other = new_token(), new_token()
    monkeypatch.setenv(TOKEN_VARIABLE, one)
    assert Security().metadata() == (("authorization", f"Bearer {one}"),)
    path = tmp_path / "token"
    path.write_text(f"{other}\n")
    path.chmod(0o600)
    security = Security(token_file=path)
    assert security.metadata() == (("authorization", f"Bearer {other}"),)
    assert other not in repr(security)
    monkeypatch.setenv(TOKEN_VARIABLE, "no token")
    with pytest.raises(ConfigError, match=TOKEN_VARIABLE):
        Security().check("localhost:1")


def test_a_token_in_the_clear_is_warned_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token := new_token())
    Security(insecure=True).check("127.0.0.1:1")
    assert not caplog.records
    Security(insecure=True).check("vm.example:1")
    assert "vm.example:1 unencrypted" in caplog.text
    assert token not in caplog.text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    path.write_text(new_token())
    path.chmod(mode)
    with pytest.raises(ConfigError, match="accessible to its owner only") as caught:
        Security(token_file=path).check("127.0.0.1:1")
    assert f"{stat.S_IMODE(mode):04o}: run `chmod 600 {path}`" in str(caught.value)
    with pytest.raises(ConfigError, match="cannot read the token file"):
        Security(token_file=tmp_path / "none").check("127.0.0.1:1")


def test_a_failure_says_whether_a_person_must_act() -> None:
    tls, plain = Security(ca=Path("ca.pem")), Security()
    for details, security, kind, words in (
        ("SSL: CERTIFICATE_VERIFY_FAILED: certificate has expired: OK", tls, Denied, "(certificate has expired)"),
        ("Hostname Verification Check failed.", tls, Denied, "--server vm --replace"),
        ("Peer name vm is not in peer certificate", tls, Denied, "--server vm --replace"),
        (
            "all addresses; last error: Ssl handshake failed: odd",
            tls,
            ConnectionError,
            "vm:1: Ssl handshake failed: odd",
        ),
        ("SSL_ERROR_SSL: WRONG_VERSION_NUMBER: Invalid", tls, Denied, "does not speak TLS"),
        ("last error: UNAVAILABLE: Socket closed", tls, ConnectionError, "demands a device certificate"),
        ("last error: UNAVAILABLE: Socket closed", plain, ConnectionError, "speaks TLS"),
        ("Connection refused", tls, ConnectionError, "no cloud server answers at vm:1"),
        ("", plain, ConnectionError, "no cloud server answers at vm:1"),
    ):
        told = explain_failure(details, "vm:1", security)
        assert type(told) is kind
        assert words in str(told)


@pytest.mark.parametrize("reason", ["certificate has expired", "certificate is not yet valid"])
def test_a_certificate_out_of_its_days_is_told_with_this_devices_clock(reason: str) -> None:
    earliest = datetime.now(UTC)
    told = explain_failure(f"error:1000007d:SSL routines:CERTIFICATE_VERIFY_FAILED: {reason}", "vm:1", Security(ca="x"))
    assert type(told) is Denied
    days = {f"{moment:%Y-%m-%d}" for moment in (earliest, datetime.now(UTC))}  # it may be midnight
    assert any(f"({reason}) by this device's clock, which says {day}" in str(told) for day in days)
    assert "set the clock" in str(told)


def test_the_devices_own_certificate_is_told_before_it_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority, now = Authority(tmp_path), datetime.now(UTC)
    device = authority.issue_device("cam", days=100)
    security = Security(ca=authority.files.cert, cert=device.cert, key=device.key)
    security.check("vm.example:1")
    assert security.date_faults() == caplog.messages == []
    (soon,) = security.date_faults(now + timedelta(days=90))
    assert soon.startswith(f"this device's certificate ({device.cert}): it expires in 9 days")
    (early,) = security.date_faults(datetime(1970, 1, 1, tzinfo=UTC))[:1]
    assert "not yet valid" in early and "clock, 1970-01-01" in early
    assert len(security.date_faults(now + timedelta(days=5000))) == 2  # the authority's too

    old = Authority(tmp_path / "old", now=now - timedelta(days=60))
    expired = old.issue_device("cam", days=30)
    security = Security(ca=old.files.cert, cert=expired.cert, key=expired.key)
    security.check("vm.example:1")
    assert "it has expired on" in caplog.text
    told = explain_failure("Socket closed", "vm:1", security)
    assert "ends each connection at once: this device's certificate" in str(told)


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_server_on_this_machine_is_not_looked_for_through_a_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with ScriptedServer(labels=("fox",)) as server, local_channel(server.target) as channel:
        assert wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest(), timeout=120).labels == ["fox"]
