"""The server: it knows this device, answers, and its big model fits the bundle."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from edge_sdk.doctor.child import Tell
from edge_sdk.doctor.finding import Case, Check, Finding, fault, note, ok, together, unended, warning
from edge_sdk.doctor.link import SUBJECT

_CONNECT_S, _REPLY_S, _LARGE_S = 10.0, 10.0, 15.0
_LIMIT_S = _CONNECT_S + _REPLY_S + _LARGE_S + 60.0
_LARGE_BYTES = 12_000
_CALLS = 3
_PADDING_FIELD = b"\xfa\x7f"  # field 2047, length-delimited: no server knows it, and each passes it over
_SLOW_MS = 3_000.0


def call_server(given: dict[str, Any], tell: Tell) -> None:
    """Probe: connect as the device does, ask the server what it is, and time a small and a large call."""
    asyncio.run(_call(given, tell))


async def _call(given: dict[str, Any], tell: Tell) -> None:
    import grpc

    from edge_sdk.budget.ledger import Ledger
    from edge_sdk.durable.database import MEMORY
    from edge_sdk.link.grpc_transport import GrpcTransport
    from edge_sdk.link.relay import Relay
    from edge_sdk.link.wire_account import WireAccount
    from edge_sdk.model.big_reference import label_difference
    from edge_sdk.model.bundle import open_bundle
    from edge_sdk.security.credentials import Security, open_channel
    from edge_sdk.security.proxy import HttpProxy

    target, security = given["target"], Security(**given["security"])
    proxy = HttpProxy.parse(given["proxy"]) if given["proxy"] else None
    with Ledger(MEMORY) as ledger:
        async with Relay(target, WireAccount(ledger), timeout_s=_CONNECT_S, proxy=proxy) as relay:
            transport = GrpcTransport(target, security, connect_timeout_s=_CONNECT_S, reply_timeout_s=_REPLY_S)
            begin_s = time.monotonic()
            async with transport.connect(relay) as connection:
                server = connection.server
            tell(
                connect_ms=round(1e3 * (time.monotonic() - begin_s), 1),
                model=server.model,
                labels=len(server.labels),
                macs=server.macs,
            )
            try:
                policy, labels = (opened := open_bundle(given["bundle"])).policy, opened.manifest.labels
                lacks = [label for label in labels if label not in frozenset(server.labels)]
                tell(
                    labels_missing=len(lacks),
                    labels_differ=label_difference(labels, server.labels),
                    calibrated_for=policy.big.name if policy.big is not None else "",
                )
            except Exception as error:  # the bundle has a check of its own
                tell(bundle_error=str(error)[:200])
            options = [("grpc.enable_http_proxy", 0), ("grpc.address_http_proxy_enabled_addresses", "")]
            async with open_channel(relay.address, target, security, options) as channel:
                call, token = channel.unary_unary("/edge_sdk.v1.Offload/Describe"), security.metadata()
                taken_ms = []
                for _ in range(_CALLS):
                    begin_s = time.monotonic()
                    await call(b"", timeout=_REPLY_S, metadata=token)
                    taken_ms.append(1e3 * (time.monotonic() - begin_s))
                tell(round_trip_ms=round(min(taken_ms), 2), large_bytes=_LARGE_BYTES, large_ms=None)
                begin_s = time.monotonic()
                try:
                    await call(_padded(_LARGE_BYTES), timeout=_LARGE_S, metadata=token)
                except grpc.aio.AioRpcError as error:
                    tell(large_error=f"{error.code().name}: {error.details()}"[:200])
                else:
                    tell(large_ms=round(1e3 * (time.monotonic() - begin_s), 2))
        tell(bytes_sent=ledger.snapshot().bytes_sent)


def _padded(size: int) -> bytes:
    """A `DescribeRequest` of about this many bytes, with a field that servers ignore."""
    length = bytes([size & 0x7F | 0x80, size >> 7])
    return _PADDING_FIELD + length + bytes(size)


def _server(case: Case) -> Finding | None:
    asked, security = case.asked, case.asked.security
    if asked.cloud is None:
        return note("no cloud server was named: the link was not checked", "edge-sdk doctor --cloud HOST:PORT")
    if any(case.failed(one) for one in ("keys", "name", "connection", "encryption")):
        return None
    files = {name: getattr(security, name) for name in ("ca", "cert", "key", "token_file")}
    given = {
        "target": asked.cloud,
        "proxy": asked.proxy,
        "bundle": asked.little,
        "security": {name: None if path is None else str(Path(path)) for name, path in files.items()}
        | {"insecure": security.insecure},
    }
    told = case.machine.ask("edge_sdk.doctor.server:call_server", given, limit_s=_LIMIT_S - 5)
    values = {key: value for key, value in told.values.items() if not key.startswith("labels_")}
    values |= {"labels_differ": told.values.get("labels_differ"), "labels_missing": told.values.get("labels_missing")}
    if told.crashed:
        return fault(
            f"calling the server kills the process ({told.kind})", "pip install --force-reinstall grpcio", **values
        )
    if "round_trip_ms" not in values:
        if told.kind == "timeout":
            return unended(f"asking {asked.cloud}", _LIMIT_S - 5)
        if told.kind == "Denied":
            return fault(
                f"{asked.cloud} does not let this device in: {told.error}",
                "give it a token of the server's file (`edge-sdk keys token NAME --tokens FILE`, --token-file) or the "
                "certificate that it demands (--cert, --key)",
                **values,
            )
        return fault(
            told.error or f"{asked.cloud} does not answer",
            "look at the server's log; docs/troubleshooting.md has what the link says",
            **values,
        )
    ms = values["round_trip_ms"]
    said = f"{values['model']} answers in {ms:.3g} ms, after {values['connect_ms']:.0f} ms to connect"
    if "bytes_sent" in values:
        said += f" ({values['bytes_sent'] / 1e3:.1f} kB were sent for this check)"
    if ms > _SLOW_MS:
        return warning(said, "is the link overloaded, or the server? its /metrics tell", **values)
    return ok(said, **values)


def _labels(case: Case) -> Finding | None:
    if case.value("server", "labels_differ") is None:
        return None
    differ, missing = case.value("server", "labels_differ"), case.value("server", "labels_missing")
    known, served = case.value("server", "calibrated_for"), case.value("server", "model")
    if missing:
        return fault(
            f"the server's labels do not fit the bundle: {differ}",
            "serve the big model that the bundle was made with, or give cloud-server a --label-map",
        )
    said = "the server knows all labels of the bundle" + (f"; {differ}" if differ else "")
    if known and served and known != served:
        return together(
            said,
            warning(
                f"the bundle was calibrated with {known}, and the server has {served}: its promise is of another pair",
                "serve that model, or `edge-sdk calibrate` with this one",
            ),
            calibrated_for=known,
            served=served,
        )
    return ok(said, calibrated_for=known, served=served)


CHECKS = (Check("server", SUBJECT, _server, limit_s=_LIMIT_S), Check("labels", SUBJECT, _labels))
