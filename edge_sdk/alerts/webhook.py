"""Alerts by webhook: a signed POST of JSON, one request an alert."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from edge_sdk import __version__
from edge_sdk.alerts.alert import Alert
from edge_sdk.alerts.channel import Fate, Outcome, Status
from edge_sdk.alerts.signature import read_secret, sign
from edge_sdk.alerts.toll import Toll, opening_bytes, payload_bytes
from edge_sdk.camera.http_client import TimedSocket
from edge_sdk.errors import ConfigError
from edge_sdk.redaction import without_secrets
from edge_sdk.security.credentials import is_loopback
from edge_sdk.security.pem import client_context
from edge_sdk.security.place import read_place
from edge_sdk.terminal.line import one_line

_NEVER = frozenset({400, 410, 413, 415, 422})
_SHOWN_BYTES = 200


class Webhook:
    """Sends each alert as a POST of JSON, signed as Standard Webhooks has it (`edge_sdk.alerts.signature`).

    Certificates are checked; redirects are not followed; the environment's proxies are not used. An answer of 2xx is a
    delivery. 400, 410, 413, 415 and 422 refuse this alert for good; after all else it is tried again.

    Args:
        url: https://..., or http://... of this machine or of a private network.
        secret: signs the requests, "whsec_..." (`edge-sdk alerts secret` makes one); None: they are not signed.
        ca: PEM file of the authority of the server's certificate; None: the system's authorities.
        headers: further headers, such as {"Authorization": "Bearer ..."}.
        timeout_s: of one request, from name look-up to the answer.
        name: tells channels apart; None: made of the URL's host.
        clock: seconds since 1970, for the signature.

    Raises:
        ConfigError: a value cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | None = None,
        ca: str | Path | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        name: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        shown = without_secrets(url)
        try:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not (url.isascii() and url.isprintable()) or " " in url:
                raise ValueError("another scheme, a blank, or signs beyond ASCII")
            self._encrypted = parts.scheme == "https"
            host, port = read_place(parts.netloc.rpartition("@")[2], 443 if self._encrypted else 80)
        except ValueError as error:
            raise ConfigError(
                f"expected a webhook as https://host/path or http://host/path; got {shown!r}, {error}"
            ) from None
        if parts.username is not None or parts.password is not None:
            raise ConfigError(f"expected a webhook without user and password in it (use headers=...); got {shown!r}")
        if not 0 < timeout_s < float("inf"):
            raise ConfigError(f"expected timeout_s as seconds above 0; got {timeout_s!r}")
        self._host, self._port = host, port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._place = parts.netloc
        self._key = None if secret is None else read_secret(secret)
        self._headers = _checked(headers or {})
        if self._headers and not self._encrypted and not is_loopback(host):
            raise ConfigError(f"expected https:// where headers carry credentials; got {shown!r}")
        self._context = client_context(ca) if self._encrypted else None
        self._timeout_s, self._clock = timeout_s, clock
        self.name = name or f"webhook {parts.scheme}://{parts.netloc}"  # the path may hold a secret
        self._toll = Toll()
        self._plain: socket.socket | None = None
        self._closed = False

    def open(self, device: str, toll: Toll) -> None:
        """Nothing is dialled before the first alert."""
        self._toll = toll

    def show(self, status: Status) -> None:
        """A webhook shows nothing."""

    def deliver(self, alert: Alert) -> Outcome:
        """Post the alert and read the answer's status."""
        body = alert.to_json()
        headers = self._signed(alert, body)
        size = len(body) + len(self._target) + sum(len(name) + len(value) + 4 for name, value in headers.items()) + 30
        if not self._toll.pay(opening_bytes(encrypted=self._encrypted) + payload_bytes(size)):
            return Outcome(Fate.LATER, "the upload budget has no room for it now")
        end_s = time.monotonic() + self._timeout_s

        def left() -> float:
            left_s = end_s - time.monotonic()
            if left_s <= 0 or self._closed:
                raise TimeoutError
            return left_s

        connection = http.client.HTTPConnection(self._host, self._port)
        try:
            self._plain = plain = self._connect(left)
            connection.sock = TimedSocket(plain, left)
            connection.request("POST", self._target, body=body, headers=headers)
            reply = connection.getresponse()
            text = b"" if 200 <= reply.status < 300 else reply.read(_SHOWN_BYTES)
            outcome = _outcome(reply, text)
            reply.close()
            return outcome
        except TimeoutError:
            return Outcome(Fate.LATER, f"no answer within {self._timeout_s:g} s")
        except ssl.SSLError as error:
            said = getattr(error, "verify_message", "") or error.reason or "no encrypted connection"
            return Outcome(Fate.LATER, f"the server's certificate or encryption is not accepted: {said}")
        except OSError as error:
            return Outcome(Fate.LATER, f"cannot be reached: {error.strerror or type(error).__name__}")
        except http.client.HTTPException as error:
            return Outcome(Fate.LATER, f"no proper answer of HTTP ({type(error).__name__})")
        finally:
            self._toll.closed()
            connection.close()
            if self._plain is not None:
                self._plain.close()
                self._plain = None

    def close(self) -> None:
        """End a request that waits."""
        self._closed = True
        if (plain := self._plain) is not None:
            with suppress(OSError):
                plain.shutdown(socket.SHUT_RDWR)

    def _connect(self, left: Callable[[], float]) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), left())
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._toll.opened(plain)
            if self._context is not None:
                plain.settimeout(left())
                plain = self._context.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise
        return plain

    def _signed(self, alert: Alert, body: bytes) -> dict[str, str]:
        headers = {
            "Host": self._place,
            "User-Agent": f"edge-sdk/{__version__}",
            "Content-Type": "application/json",
            "Connection": "close",
            "webhook-id": alert.alert_id,
            "webhook-timestamp": str(stamp := int(self._clock())),
            **self._headers,
        }
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, alert.alert_id, stamp, body)
        return headers


def _outcome(reply: http.client.HTTPResponse, text: bytes) -> Outcome:
    said = one_line(f"{reply.status} {reply.reason} {text.decode('utf-8', 'replace')}".strip())
    if 200 <= reply.status < 300:
        return Outcome(Fate.DELIVERED, said)
    if 300 <= reply.status < 400:
        where = without_secrets(reply.getheader("Location", "nowhere"))
        return Outcome(Fate.LATER, one_line(f"{reply.status}: it leads to {where}, and redirects are not followed"))
    if reply.status in _NEVER:
        return Outcome(Fate.REFUSED, said)
    asked = reply.getheader("Retry-After", "")
    return Outcome(Fate.LATER, said, float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else None)


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not (name.isascii() and name.replace("-", "").isalnum() and value.isascii() and value.isprintable()):
            raise ConfigError(f"expected headers as printable ASCII; the one called {name!r} is not")
    return dict(headers)
