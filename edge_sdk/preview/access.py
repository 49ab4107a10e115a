"""Who may look: a token for all but this machine, and no page of another site that a browser was led to."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import ConfigError
from edge_sdk.security.credentials import check_private
from edge_sdk.security.files import read_given_text
from edge_sdk.security.place import in_url
from edge_sdk.security.tokens import check_token, new_token

FILE = "preview.token"
_COOKIE_S = 90 * 86_400


class Access:
    """Decides on requests.

    Args:
        token: what a browser must show; "": nothing need be shown.
        names: host names that this machine is called by.
        port: that it is served at: cookies of one machine's ports are kept apart by it.
    """

    def __init__(self, token: str, names: Iterable[str], port: int) -> None:
        self._token = token
        self._names = {name.lower() for name in names}
        self._cookie = f"edge-sdk-preview-{port}"

    @property
    def needs_token(self) -> bool:
        """Whether a browser must show one."""
        return bool(self._token)

    def knows_host(self, header: str | None) -> bool:
        """Whether a request's Host is this machine.

        A page of another site can make a browser believe that its name has this machine's address (DNS rebinding), but
        not that its name is an address.
        """
        if not header:
            return False
        host, _, end = header.rpartition(":")
        if not end.isdigit():
            host = header
        try:
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return host.lower().rstrip(".") in self._names
        return True

    def admits(self, headers: Message) -> bool:
        """Whether the request shows the token, in its cookie or as a bearer."""
        if not self._token:
            return True
        scheme, _, shown = (headers.get("Authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(shown.strip()):
            return True
        try:
            cookies = SimpleCookie(headers.get("Cookie") or "")
        except CookieError:
            return False
        return self._cookie in cookies and self.is_token(cookies[self._cookie].value)

    def is_token(self, text: str) -> bool:
        """Whether a text is the token; takes as long whatever it is."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._token.encode())

    @property
    def cookie(self) -> str:
        """The header that lets a browser in from now on."""
        return f"{self._cookie}={self._token}; Path=/; Max-Age={_COOKIE_S}; HttpOnly; SameSite=Strict"


def token_of(path: Path) -> tuple[str, bool]:
    """The token in a file, and whether it was made now.

    Raises:
        ConfigError: others may read the file, it cannot be read or written, or it holds no token.
    """
    if path.exists():
        check_private(path, "preview's token file")
        return check_token(read_given_text(path, "preview's token file"), f"{path}"), False
    token = new_token()
    try:
        write_whole(path, f"{token}\n", durable=True, mode=0o600)
    except OSError as error:
        raise ConfigError(f"cannot write the preview's token file {path}: {error.strerror}") from error
    return token, True


def own_names() -> list[str]:
    """The names of this machine that need no look-up."""
    name = socket.gethostname().rstrip(".")
    short = name.partition(".")[0]
    return list(dict.fromkeys(["localhost", name, short, f"{short}.local"]))


def shown_host(host: str) -> str:
    """The host for an address that people open: of all interfaces, the one that leads out."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as probe:
                    probe.connect((far, 9))  # sends nothing
                    return in_url(probe.getsockname()[0])
            except OSError:
                continue
        return own_names()[-1]
    return in_url(host)
