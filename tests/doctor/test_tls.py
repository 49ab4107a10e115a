"""Servers whose encryption is right, wrong, old, another's, or missing."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from doctor_parts import look
from link_parts import tls

from edge_sdk.doctor import tls as examined
from edge_sdk.doctor.finding import Asked, Case, Finding, Level
from edge_sdk.doctor.machine import Machine
from edge_sdk.security.certificates import Authority
from edge_sdk.security.credentials import Security
from edge_sdk.testing import ScriptedServer


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "keys")


def encryption(target: str, security: Security) -> Finding | None:
    case = Case(Machine(), Asked(cloud=target, security=security))
    for name in ("keys", "name", "connection"):
        look(name, case)
    return look("encryption", case)


def days_ago(authority: Authority, days: int) -> Authority:
    return Authority(authority.files.cert.parent, now=datetime.now(UTC) - timedelta(days=days))


def test_a_sound_certificate_and_its_end(authority: Authority) -> None:
    with ScriptedServer(credentials=tls(authority)) as server:
        finding = encryption(server.target, Security(ca=authority.files.cert))
    assert finding is not None and finding.level is Level.OK and finding.values["protocol"] == "TLSv1.3"
    assert 300 < finding.values["days"] < 1000


def test_a_certificate_that_ends_soon(authority: Authority) -> None:
    with ScriptedServer(credentials=tls(days_ago(authority, 815))) as server:
        finding = encryption(server.target, Security(ca=authority.files.cert))
    assert finding is not None and finding.level is Level.WARNING and "it expires in" in finding.found


@pytest.mark.parametrize(
    ("served", "said", "cure"),
    [
        (lambda one: tls(Authority(one.files.cert.parent.parent / "other")), "not of the authority", "copy ca.pem"),
        (lambda one: tls(days_ago(one, 900)), "has expired (it holds from", "set the clock"),
        (lambda one: tls(days_ago(one, -30)), "is not yet valid", "set the clock"),
        (lambda one: tls(one, "vm.example"), "is for another host", "keys make --server 127.0.0.1"),
        (lambda one: None, "TLS", "--tls-cert"),
    ],
    ids=["other-authority", "expired", "not-yet", "other-host", "no-tls"],
)
def test_encryption_that_cannot_be_trusted(
    authority: Authority, served: Callable[[Authority], object], said: str, cure: str
) -> None:
    with ScriptedServer(credentials=served(authority)) as server:
        finding = encryption(server.target, Security(ca=authority.files.cert))
    assert finding is not None and finding.level is Level.FAULT
    assert said in finding.found and cure in finding.do


def test_a_server_that_takes_the_connection_and_stays_silent(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examined, "_HANDSHAKE_S", 0.3)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        finding = encryption(f"127.0.0.1:{silent.getsockname()[1]}", Security(ca=authority.files.cert))
    assert finding is not None and finding.level is Level.FAULT and "stays silent" in finding.found


def test_a_link_without_encryption_is_noted_where_it_leaves_the_machine() -> None:
    assert encryption("127.0.0.1:1", Security()) is None
    case = Case(Machine(), Asked(cloud="vm.example:50051", security=Security(insecure=True)))
    finding = look("encryption", case)
    assert finding is not None and finding.level is Level.NOTE
