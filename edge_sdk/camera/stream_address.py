"""The URL of a network camera, read strictly: what could be meant in two ways is refused, and no message shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, unquote_to_bytes

from edge_sdk.errors import ConfigError
from edge_sdk.redaction import without_secrets
from edge_sdk.security.place import authority, in_url, read_host

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")
FORM = "rtsp://user:password@host:port/path"

_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """Where a network camera is, and who asks.

    Attributes:
        scheme: one of `STREAM_SCHEMES`.
        user: the user name, decoded; empty where there is none.
        password: likewise.
        host: a name, an IPv4 address, or an IPv6 address without brackets.
        port: from 1 to 65535.
        target: path and query, ASCII, as they stand in a request.
        name: the address as it may be shown.
    """

    scheme: str
    user: str = field(repr=False)
    password: str = field(repr=False)
    host: str
    port: int
    target: str = field(repr=False)
    name: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL.

        Raises:
            ConfigError: it is malformed. The message shows nothing that may be a part of a password.
        """
        scheme, _, rest = url.partition("://")
        scheme = scheme.lower()
        if scheme not in STREAM_SCHEMES:
            raise ConfigError(f"expected {', '.join(f'{name}://' for name in STREAM_SCHEMES)}; got {scheme}://")
        if any(ord(one) < 32 or ord(one) == 127 for one in rest):
            raise _refusal(scheme, "a control character or a line break in it")
        authority, target = re.fullmatch(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        if "@" in target:
            raise _refusal(
                scheme,
                "an @ behind the first / ? or #: write / ? # @ in a user name or password as %2F %3F %23 %40, and an @ "
                "behind the host as %40",
            )
        user_info, _, place = authority.rpartition("@")
        host, port = _place(scheme, place)
        user, _, password = user_info.partition(":")
        target = quote(
            _BAD_PERCENT.sub("%25", target.partition("#")[0]), "/?&=;:%,+!$'()*[]~|", errors="surrogateescape"
        )
        return cls(scheme, _decoded(user), _decoded(password), host, port, target, without_secrets(url))

    @property
    def url(self) -> str:
        """The address for FFmpeg, with user name and password, percent-encoded."""
        who = quote(self.user, "") + (f":{quote(self.password, '')}" if self.password else "")
        return f"{self.scheme}://{who}{'@' if who else ''}{self.place}{self.target}"

    @property
    def place(self) -> str:
        """`host`, or `host:port` where the port is not the scheme's own."""
        return in_url(self.host) if self.port == _PORTS[self.scheme] else authority(self.host, self.port)


def _place(scheme: str, text: str) -> tuple[str, int]:
    bracketed = re.fullmatch(r"(\[[^\]]*\])(?::(.*))?", text, re.DOTALL)
    name, colon, after = text.partition(":")
    written, port = bracketed.groups() if bracketed else (name, after if colon else None)
    host, why = "", ""
    try:
        host = read_host(written)
    except ValueError as error:
        why = str(error)
    if why:  # raised here, so that no chain of errors shows what was written
        cure = ": write special characters in a user name or password as %23, %2F, ..." if written else ""
        raise _refusal(scheme, f"{why}{cure}")
    if not port:
        return host, _PORTS[scheme]
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and 1 <= int(port) <= 65535):
        raise _refusal(
            scheme,
            "a port that is no number from 1 to 65535: write / ? # in a password as %2F %3F %23, and @ before the host",
        )
    return host, int(port)


def _refusal(scheme: str, why: str) -> ConfigError:
    return ConfigError(f"expected a camera's address such as {FORM}; got {scheme}://*** with {why}")


def _decoded(text: str) -> str:
    """Percent-decoded; a % that begins no code stands for itself."""
    return unquote_to_bytes(_BAD_PERCENT.sub("%25", text)).decode("utf-8", "surrogateescape")
