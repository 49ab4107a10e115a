"""Where the preview is served, and how much of it, as the config file says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

from edge_sdk.errors import ConfigError
from edge_sdk.security.credentials import host_of, is_loopback
from edge_sdk.security.place import read_host

_ADDRESS = re.compile(r"(.+):(\d{1,5})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
_SIDES = 160, 1920
_MOST_VIEWERS = 16


@dataclass(frozen=True, slots=True)
class PreviewSettings:
    """A page on which the camera's picture, its latest visits and the device's health are seen.

    Attributes:
        http: address that it is served at: "127.0.0.1:8080" for this machine alone; "0.0.0.0:8080" for its network,
            which takes a token. None: there is no preview.
        token_file: file with the token, which its owner alone may read; it is made where it is not there. None:
            preview.token in the state folder.
        names: further names by which browsers call this machine; its own name, with and without .local, and its
            addresses are known.
        fps: most pictures per second.
        side: longer side of the pictures, pixels.
        viewers: most live pictures at once.

    Raises:
        ConfigError: a value is not as described.
    """

    http: str | None = None
    token_file: str | None = None
    names: tuple[str, ...] = ()
    fps: float = 5.0
    side: int = 640
    viewers: int = 4

    def __post_init__(self) -> None:
        if self.http is not None:
            check_http(self.http)
        for name in self.names:
            if not _NAME.fullmatch(name):
                raise ConfigError(f'expected names without port, such as "cam-7.example"; got {name!r}')
        if not (isfinite(self.fps) and 0 < self.fps <= 30):
            raise ConfigError(f"expected fps above 0 and at most 30; got {self.fps!r}")
        if not _SIDES[0] <= self.side <= _SIDES[1]:
            raise ConfigError(f"expected side from {_SIDES[0]} to {_SIDES[1]} pixels; got {self.side!r}")
        if not 1 <= self.viewers <= _MOST_VIEWERS:
            raise ConfigError(f"expected viewers from 1 to {_MOST_VIEWERS}; got {self.viewers!r}")

    @property
    def host(self) -> str:
        """Where it listens, without brackets; "" where there is no preview."""
        return "" if self.http is None else host_of(self.http)

    @property
    def port(self) -> int:
        """The port; 0: one that is free."""
        return 0 if self.http is None else int(self.http.rpartition(":")[2])

    @property
    def needs_token(self) -> bool:
        """Whether others than this machine can reach it."""
        return not is_loopback(self.host)


def check_http(text: str) -> str:
    """Return `host:port` unchanged.

    Raises:
        ConfigError: it is none.
    """
    match = _ADDRESS.fullmatch(text)
    try:
        if match is None or int(match[2]) > 65535:
            raise ValueError("no host and port")
        read_host(match[1])
    except ValueError as error:
        port = text.lstrip(":")
        meant = f"; did you mean 127.0.0.1:{port} or 0.0.0.0:{port}?" if port.isdigit() else f" ({error})"
        raise ConfigError(f'expected http as host:port, such as "127.0.0.1:8080"; got {text!r}{meant}') from None
    return text
