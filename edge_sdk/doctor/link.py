"""The way to the server, one step after the other: keys, name, connection, packet size."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_sdk.doctor.finding import Asked, Case, Check, Finding, fault, note, ok, together, warning
from edge_sdk.errors import ConfigError
from edge_sdk.security.credentials import TOKEN_VARIABLE, check_private, host_of, is_loopback
from edge_sdk.security.pem import client_context
from edge_sdk.security.place import authority
from edge_sdk.security.proxy import LONGEST_HEAD, HttpProxy

SUBJECT = "link"
CONNECT_S = 5.0
_SLOW_MS = 1_000.0
_IP_MTU, _IPV6_MTU = 14, 24  # linux/in.h, linux/in6.h
_LEAST_MTU = 1_280


@dataclass(frozen=True, slots=True)
class Place:
    """What is dialled: the server, or the proxy that leads to it.

    Attributes:
        host: name or IP address, without brackets.
        port: its port.
        what: "cloud server" or "proxy".
    """

    host: str
    port: int
    what: str

    def __str__(self) -> str:
        return authority(self.host, self.port)


def dialled(asked: Asked) -> Place:
    """What is dialled; a server was named."""
    if asked.proxy is not None:
        proxy = HttpProxy.parse(asked.proxy)
        return Place(proxy.host, proxy.port, "proxy")
    assert asked.cloud is not None
    return Place(host_of(asked.cloud), int(asked.cloud.rpartition(":")[2]), "cloud server")


def _keys(case: Case) -> Finding | None:
    asked, security = case.asked, case.asked.security
    if asked.cloud is None:
        return None
    loopback = is_loopback(host_of(asked.cloud))
    if not security.encrypted and not security.insecure and not loopback:
        return fault(
            f"the link to {asked.cloud} would be unencrypted, which the device refuses",
            "name the server's authority (--ca FILE; `edge-sdk keys make` makes one), or --insecure inside a private "
            "network",
        )
    try:
        token = bool(security.metadata())
        if security.ca is not None:
            client_context(security.ca, security.cert, security.key)
            if security.key is not None:
                check_private(Path(security.key), "key")
    except ConfigError as error:
        said, _, cure = str(error).partition(": run ")
        return fault(said, f"run {cure}" if cure else "`edge-sdk keys` makes certificates and tokens")
    parts = [
        f"authority {security.ca}" if security.ca else "unencrypted",
        f"device certificate {security.cert}" if security.cert else "",
        f"token of {security.token_file or TOKEN_VARIABLE}" if token else "no token",
    ]
    wrong = [
        warning(told, "`edge-sdk keys make --replace` renews it")
        for told in security.date_faults(datetime.fromtimestamp(case.machine.wall_s(), UTC))
    ]
    if token and not security.encrypted and not loopback:
        wrong.append(warning("the token travels unencrypted: anyone on the way can use it", "name --ca"))
    values = {"encrypted": security.encrypted, "token": token, "certificate": security.cert is not None}
    return together(", ".join(part for part in parts if part), *wrong, **values)


def _name(case: Case) -> Finding | None:
    if case.asked.cloud is None:
        return None
    place = dialled(case.asked)
    with suppress(ValueError):
        ipaddress.ip_address(place.host.partition("%")[0])
        return ok(f"{place.host} is an address: no name server is needed", addresses=[place.host], ms=0.0)
    begin_s = time.monotonic()
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return fault(
            f"the address of {place.host} cannot be looked up ({why})",
            "check the spelling, the network (`ip route`) and the name server (/etc/resolv.conf, `resolvectl`); an IP "
            "address in place of the name needs none",
            addresses=[],
        )
    ms = 1e3 * (time.monotonic() - begin_s)
    addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
    said = f"{place.host} is {', '.join(addresses[:4])}, {ms:.0f} ms"
    if ms > 2 * _SLOW_MS:
        return warning(said, "a name server is slow or dead: look at /etc/resolv.conf", addresses=addresses, ms=ms)
    return ok(said, addresses=addresses, ms=round(ms, 1))


def _connection(case: Case) -> Finding | None:
    if case.asked.cloud is None or case.failed("name"):
        return None
    place, failures, reached = dialled(case.asked), list[str](), dict[str, float]()
    refused = False
    for address in _one_of_each_family(case.value("name", "addresses") or [place.host]):
        try:
            with socket.create_connection((address, place.port), timeout=CONNECT_S) as opened:
                reached[address] = _round_trip_ms(opened)
        except OSError as error:
            refused = refused or isinstance(error, ConnectionRefusedError)
            failures.append(f"{address}: {error.strerror or 'nothing answers'}")
    if not reached:
        cure = (
            f"start the {place.what} there (`cloud-server --host 0.0.0.0` listens on all addresses), or check the port"
            if refused
            else "check the address, this device's network (`ip route`, `ping`), and the firewalls on the way"
        )
        return fault(f"no connection to port {place.port} ({'; '.join(failures)})", cure, reached=[])
    ms = min(reached.values())
    said = f"{' and '.join(reached)} port {place.port}, round trip {ms:.3g} ms"
    values = {"reached": list(reached), "round_trip_ms": round(ms, 2)}
    if failures:
        return note(f"{said}; not by {'; '.join(failures)}", "the device goes by the one that answers", **values)
    if ms > _SLOW_MS:
        return note(f"{said}: a slow link", "frames take their time; nothing is lost by it", **values)
    return ok(said, **values)


def _one_of_each_family(addresses: list[str]) -> list[str]:
    first: dict[bool, str] = {}
    for address in addresses:
        first.setdefault(":" in address, address)
    return list(first.values())


def _round_trip_ms(connection: socket.socket) -> float:
    """The round trip as the kernel has measured it with the first packets."""
    if sys.platform.startswith("linux"):
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        if len(info) >= 72:
            return float(struct.unpack_from("=I", info, 68)[0]) / 1e3
    return 0.0


def open_way(case: Case, limit_s: float) -> socket.socket:
    """A connection to the server, through the proxy where there is one.

    Raises:
        OSError: there is none.
    """
    asked, place = case.asked, dialled(case.asked)
    address = (case.value("connection", "reached") or [place.host])[0]
    opened = socket.create_connection((address, place.port), timeout=limit_s)
    if asked.proxy is None:
        return opened
    try:
        assert asked.cloud is not None
        proxy, head = HttpProxy.parse(asked.proxy), b""
        opened.sendall(proxy.request(asked.cloud))
        while b"\r\n\r\n" not in head and len(head) < LONGEST_HEAD:
            if not (more := opened.recv(1)):  # what follows the head is the server's
                raise ConnectionError(f"the proxy {place} closed the connection")
            head += more
        if said := proxy.refusal(head, asked.cloud):
            raise ConnectionError(said)
    except BaseException:
        opened.close()
        raise
    return opened


def _packets(case: Case) -> Finding | None:
    large_ms, large_bytes = case.value("server", "large_ms"), case.value("server", "large_bytes")
    if case.value("server", "round_trip_ms") is None:
        return None
    mtu = _path_mtu(case)
    values = {"mtu": mtu, "large_bytes": large_bytes, "large_ms": large_ms}
    said = f"packets of {mtu} bytes" if mtu else "the kernel does not tell the packets' size"
    cure = "sudo ip link set INTERFACE mtu 1280, and look at tunnels and modems on the way"
    if large_ms is None:
        return fault(
            f"small calls are answered, one of {large_bytes / 1e3:.0f} kB is not: large packets are lost on the way",
            f"{cure}; the device's link makes its packets smaller by itself where it meets this",
            **values,
        )
    said += f"; {large_bytes / 1e3:.0f} kB there and back in {large_ms:.0f} ms"
    if mtu is not None and mtu < _LEAST_MTU:
        return note(f"{said}: small packets, each with its headers", "look at tunnels on the way", **values)
    return ok(said, **values)


def _path_mtu(case: Case) -> int | None:
    """The largest packet that the kernel holds possible to the place that is dialled; None: it does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError), open_way(case, CONNECT_S) as opened:
        is_v6 = opened.family == socket.AF_INET6
        return int(opened.getsockopt(41 if is_v6 else socket.IPPROTO_IP, _IPV6_MTU if is_v6 else _IP_MTU))
    return None


CHECKS = (
    Check("keys", SUBJECT, _keys),
    Check("name", SUBJECT, _name, limit_s=12.0),
    Check("connection", SUBJECT, _connection, limit_s=2 * CONNECT_S + 2),
)
PACKETS = Check("packets", SUBJECT, _packets, limit_s=CONNECT_S + 2)
