"""The encryption of the link: a handshake as the device makes it, and why the server's certificate is refused."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime

from edge_sdk.doctor.finding import Case, Check, Finding, fault, note, ok, warning
from edge_sdk.doctor.link import CONNECT_S, SUBJECT, open_way
from edge_sdk.errors import ConfigError
from edge_sdk.redaction import without_secrets
from edge_sdk.security.credentials import host_of, is_loopback
from edge_sdk.security.pem import client_context
from edge_sdk.security.validity import Validity, read_validities

_HANDSHAKE_S = 8.0
_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
_OTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def _encryption(case: Case) -> Finding | None:
    asked, security = case.asked, case.asked.security
    if asked.cloud is None or case.failed("name") or case.failed("connection") or case.failed("keys"):
        return None
    if security.ca is None:
        return None if is_loopback(host_of(asked.cloud)) else note("the link is not encrypted (insecure)")
    context = client_context(security.ca, security.cert, security.key)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as gRPC checks
    context.set_alpn_protocols(["h2"])
    begin_s = time.monotonic()
    try:
        with _handshake(case, context) as opened:
            ms = 1e3 * (time.monotonic() - begin_s)
            dates, protocol = _dates(opened), opened.version()
    except ssl.SSLCertVerificationError as error:
        return _not_accepted(case, error)
    except TimeoutError:
        return fault(
            f"{asked.cloud} takes the connection and then stays silent",
            "it may be that a firewall holds back the answer, that packets are too large for the way (a smaller MTU), "
            "or that the server hangs: look at its log",
        )
    except ssl.SSLError as error:
        return fault(
            f"{asked.cloud} does not speak TLS ({error.reason or error})",
            "start cloud-server with --tls-cert and --tls-key, or check the port; without TLS leave out --ca",
        )
    except OSError as error:
        return fault(
            f"{asked.cloud} ends the connection within the TLS handshake ({without_secrets(str(error))})",
            "is it a cloud server that speaks TLS (--tls-cert, --tls-key)? look at its log",
        )
    now = datetime.fromtimestamp(case.machine.wall_s(), UTC)
    said = f"{protocol}, {ms:.0f} ms"
    if dates is None:
        return ok(said, protocol=protocol, ms=round(ms, 1))
    days = (dates.ends - now).days
    said += f", the server's certificate holds until {dates.ends:%Y-%m-%d} ({days} days)"
    values = {"protocol": protocol, "ms": round(ms, 1), "ends": dates.ends.isoformat(), "days": days}
    if told := dates.fault(now):
        return warning(f"{said}: {told.partition(':')[0]}", "renew it on the server: `edge-sdk keys make`", **values)
    return ok(said, **values)


def _handshake(case: Case, context: ssl.SSLContext) -> ssl.SSLSocket:
    assert case.asked.cloud is not None
    opened = open_way(case, CONNECT_S)
    try:
        opened.settimeout(_HANDSHAKE_S)
        return context.wrap_socket(opened, server_hostname=host_of(case.asked.cloud))
    except BaseException:
        opened.close()
        raise


def _dates(opened: ssl.SSLSocket) -> Validity | None:
    content = opened.getpeercert(binary_form=True)
    found = read_validities(ssl.DER_cert_to_PEM_cert(content).encode()) if content else []
    return found[0] if found else None


def _not_accepted(case: Case, error: ssl.SSLCertVerificationError) -> Finding:
    """Why the server's certificate is refused; its dates are read over a connection that trusts nobody."""
    asked = case.asked
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    dates = None
    with suppress(OSError, ConfigError):
        if asked.security.cert is not None and asked.security.key is not None:
            context.load_cert_chain(asked.security.cert, asked.security.key)
        with _handshake(case, context) as opened:
            dates = _dates(opened)
    now = datetime.fromtimestamp(case.machine.wall_s(), UTC)
    until = f" (it holds from {dates.begins:%Y-%m-%d} to {dates.ends:%Y-%m-%d})" if dates else ""
    clock = f"this device's clock says {now:%Y-%m-%d %H:%M} UTC"
    values = {"ends": dates.ends.isoformat() if dates else None, "verify_code": error.verify_code}
    if error.verify_code in (_EXPIRED, _NOT_YET):
        what = "has expired" if error.verify_code == _EXPIRED else "is not yet valid"
        return fault(
            f"the certificate of {asked.cloud} {what}{until}; {clock}",
            "set the clock if that is wrong; else renew the server's certificate: `edge-sdk keys make --server "
            f"{host_of(asked.cloud or '')} --replace`",
            **values,
        )
    if error.verify_code in _OTHER_NAME:
        return fault(
            f"the certificate of {asked.cloud} is for another host",
            f"dial the server by a name of its certificate, or make one for this: `edge-sdk keys make --server "
            f"{host_of(asked.cloud or '')} --replace`; a captive portal of the network shows so too",
            **values,
        )
    return fault(
        f"the certificate of {asked.cloud} is not of the authority in {asked.security.ca} ({error.verify_message})",
        "copy ca.pem anew from where the server's keys were made; a captive portal or a proxy that breaks TLS shows so "
        "too",
        **values,
    )


CHECKS = (Check("encryption", SUBJECT, _encryption, limit_s=2 * (CONNECT_S + _HANDSHAKE_S) + 2),)
