"""The way to the server: keys, name, connection, packets."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from doctor_parts import board, found, look
from emulated_link.namespaces import CLOUD_ADDRESS, Way, emulated_link, veth_link

from edge_sdk.doctor.finding import Asked, Case, Finding, Level
from edge_sdk.doctor.link import dialled, open_way
from edge_sdk.doctor.machine import Machine
from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority
from edge_sdk.security.credentials import Security

OUTSIDE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from doctor_parts import look
from edge_sdk.doctor.finding import Asked, Case
from edge_sdk.doctor.machine import Machine
case = Case(Machine(), Asked(cloud=sys.argv[2]))
for name in ("keys", "name", "connection", "encryption", "server", "packets")[int(sys.argv[3]):]:
    look(name, case)
print(json.dumps({name: [one.level, one.found, dict(one.values)] for name, one in case.found.items()}))
"""
TESTS = Path(__file__).resolve().parent.parent


def test_nothing_is_checked_without_a_server() -> None:
    case = Case(Machine(), Asked())
    assert [look(name, case) for name in ("keys", "name", "connection", "encryption", "packets")] == [None] * 5
    with pytest.raises(ConfigError, match="host:port"):
        Asked(cloud="somewhere")


def test_keys_that_are_missing_open_to_others_or_soon_over(tmp_path: Path) -> None:
    old = Authority(tmp_path / "keys", now=datetime(2026, 11, 20, tzinfo=UTC))
    pair, ca = old.issue_device("cam", days=10), old.files.cert
    machine = board("pi_5", tmp_path / "root")

    def keys(security: Security, target: str = "vm.example:50051") -> Finding:
        return found("keys", machine, Asked(cloud=target, security=security))

    assert keys(Security()).level is Level.FAULT and "--insecure" in keys(Security()).do
    assert keys(Security(), "127.0.0.1:5").level is Level.OK
    assert "no-such.pem" in keys(Security(ca=tmp_path / "no-such.pem")).found
    soon = keys(Security(ca=ca, cert=pair.cert, key=pair.key))
    assert soon.level is Level.WARNING and "it expires in" in soon.found
    pair.key.chmod(0o644)
    others = keys(Security(ca=ca, cert=pair.cert, key=pair.key))
    assert others.level is Level.FAULT and others.do == f"run `chmod 600 {pair.key}`"
    token = tmp_path / "token"
    token.write_text("short")
    token.chmod(0o600)
    assert keys(Security(ca=ca, token_file=token)).level is Level.FAULT
    token.write_text("a" * 43)
    assert keys(Security(ca=ca, token_file=token)).values["token"]
    open_way = keys(Security(insecure=True, token_file=token))
    assert open_way.level is Level.WARNING and "unencrypted" in open_way.found


def test_a_name_that_nobody_knows_ends_the_way_and_nothing_else_is_tried() -> None:
    case = Case(Machine(), Asked(cloud="no-such-host.invalid:50051", security=Security(insecure=True)))
    name = look("name", case)
    assert name is not None and name.level is Level.FAULT and "no-such-host.invalid" in name.found
    assert look("connection", case) is None and look("server", case) is None


def test_a_closed_port() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    connection = found("connection", Machine(), Asked(cloud=f"127.0.0.1:{port}"), "name")
    assert connection.level is Level.FAULT and "refused" in connection.found and "0.0.0.0" in connection.do


def test_one_family_that_answers_is_enough() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        case = Case(Machine(), Asked(cloud=f"localhost:{server.getsockname()[1]}"))
        case.found["name"] = Finding(Level.OK, "", "", {"addresses": ["::1", "127.0.0.1"]})
        connection = look("connection", case)
    assert connection is not None and connection.level is Level.NOTE and connection.values["reached"] == ["127.0.0.1"]


def test_a_way_on_which_packets_vanish() -> None:
    with veth_link() as (device, _), device.start("-c", OUTSIDE, TESTS, "10.9.0.77:50051", 1) as process:
        assert process.stdout is not None
        said = process.stdout.read()
    assert '"connection": ["fault"' in said and ("nothing answers" in said or "No route" in said)


def test_a_way_that_loses_large_packets() -> None:
    """Small calls are answered; a larger one is lost without a word, as behind a tunnel whose ICMP is filtered."""
    with emulated_link(Way(largest=1_000)) as (device, cloud, _):
        server_file = TESTS / "emulated_link" / "cloud.py"
        with cloud.start(server_file, CLOUD_ADDRESS, 50051) as server:
            assert server.stdout is not None and server.stdout.readline() == "ready\n"
            with device.start("-c", OUTSIDE, TESTS, f"{CLOUD_ADDRESS}:50051", 1) as process:
                assert process.stdout is not None
                said = process.stdout.read()
            server.kill()
    assert '"server": ["ok"' in said and '"packets": ["fault"' in said, said


def proxy(answer: bytes) -> tuple[socket.socket, list[bytes]]:
    """A proxy that gives one answer to each request, and what it was asked."""
    listener, asked = socket.create_server(("127.0.0.1", 0)), list[bytes]()

    def serve() -> None:
        while True:
            try:
                opened, _ = listener.accept()
            except OSError:
                return
            with opened:
                asked.append(opened.recv(4096))
                opened.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return listener, asked


def test_the_way_leads_through_the_proxy() -> None:
    listener, asked = proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
    with closing(listener):
        address = f"http://me:secret@127.0.0.1:{listener.getsockname()[1]}"
        case = Case(Machine(), Asked(cloud="vm.example:50051", proxy=address, security=Security(insecure=True)))
        assert dialled(case.asked).what == "proxy" and "secret" not in repr(case.asked)
        for name in ("name", "connection"):
            finding = look(name, case)
            assert finding is not None and finding.level is Level.OK
        with pytest.raises(ConnectionError, match="does not accept the user"):
            open_way(case, 5.0)
    assert any(one.startswith(b"CONNECT vm.example:50051 ") for one in asked)


def test_packets_are_judged_by_what_the_server_answered() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        case = Case(Machine(), Asked(cloud=f"127.0.0.1:{server.getsockname()[1]}"))
        case.found["server"] = Finding(Level.OK, "", "", {"round_trip_ms": 3.0, "large_bytes": 12_000, "large_ms": 5.0})
        packets = look("packets", case)
    assert packets is not None and packets.level is Level.OK and (os.name != "posix" or packets.values["mtu"])
