"""An HTTP proxy on the way to the server: its address with a secret in it, and what it is asked."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from edge_sdk.errors import ConfigError
from edge_sdk.security.place import read_place

LONGEST_HEAD = 8_192
"""Most bytes of a proxy's answer before the tunnel begins."""
_FORM = "expected the proxy as http://host:port or http://user:password@host:port"


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """A proxy that opens tunnels (`CONNECT`, RFC 9110, section 9.3.6).

    Attributes:
        host: its name or IP address, without brackets.
        port: its port.
        credentials: "user:password", never shown; None: it asks for none.
    """

    host: str
    port: int
    credentials: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, address: str) -> HttpProxy:
        """Read `http://[user:password@]host:port`.

        Everything up to the last "@" is user and password, so that these may hold "/", "#", "@" and "[" as they are,
        or as percent escapes ("%25" for "%").

        Raises:
            ConfigError: the address has another form. The message shows no user and no password.
        """
        scheme, mark, rest = address.partition("://")
        if not mark or not scheme.isalnum():
            raise ConfigError(f"{_FORM}; got an address that does not begin with http://")
        if scheme.lower() != "http":
            raise ConfigError(f"{_FORM}, since only plain HTTP proxies are spoken to; got {scheme.lower()[:10]}://")
        secret, at, place = rest.rpartition("@")
        try:
            host, port = read_place(place.removesuffix("/"))
        except ValueError as error:
            raise ConfigError(f"{_FORM}, with a port from 1 to 65535; got an address with {error}") from None
        credentials = unquote(secret) if at else None
        if credentials is not None and not (credentials.isprintable() and ":" in credentials):
            raise ConfigError(f"{_FORM}; got a user without a password, or control characters in them")
        return cls(host, port, credentials)

    def request(self, target: str) -> bytes:
        """The request for a tunnel to `target`, "host:port"."""
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self.credentials is not None:
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(self.credentials.encode()).decode()}")
        return "\r\n".join((*lines, "", "")).encode()

    def refusal(self, head: bytes, target: str) -> str:
        """Why the proxy opens no tunnel, for a person; empty: it opens one.

        Args:
            head: its answer, up to the empty line.
            target: "host:port" of the server.
        """
        line = head.partition(b"\r\n")[0][:100].decode("latin-1")
        status = re.match(r"HTTP/1\.[01] (\d{3})\b", line)
        if status and status[1].startswith("2"):
            return ""
        said = ascii(line)[1:-1]
        if status and status[1] == "407":
            state = "does not accept the user and password given" if self.credentials else "demands a user and password"
            return f"the proxy {self.host}:{self.port} {state} ({said}): name it as http://user:password@host:port"
        if not status:
            return f"what answers at {self.host}:{self.port} is no HTTP proxy ({said}): check its address"
        return f"the proxy {self.host}:{self.port} opens no way to {target} ({said}): ask who runs it to allow it"
