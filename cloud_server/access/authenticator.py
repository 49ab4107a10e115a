"""Who calls: the device's name from its token or certificate, and how many streams it may have open."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cloud_server.access.issued_tokens import IssuedTokens
from cloud_server.access.known_tokens import KnownTokens
from edge_sdk.errors import EdgeError
from edge_sdk.security.tokens import hash_token
from edge_sdk.terminal.line import one_line

_SCHEME = "bearer "


class Unauthenticated(EdgeError):
    """A call has no token, or one that the server does not know, or one that was revoked.

    Args:
        message: for the device.
        shown: what the call showed, for the log: a token's fingerprint, and whose it was.
        device: who had the token before it was revoked; empty where that is not known.
    """

    def __init__(self, message: str = "", *, shown: str = "", device: str = "") -> None:
        super().__init__(message)
        self.shown, self.device = shown, device


class TooManyStreams(EdgeError):
    """The device, or all devices together, have as many streams open as is allowed."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call.

    Attributes:
        name: "token NAME", "certificate NAME" or "address ADDRESS": what limits count by.
        is_proven: whether a token or a certificate proves the name.
        token_hash: SHA-256 of the token; None where calls need none.
    """

    name: str
    is_proven: bool
    token_hash: str | None = None

    @property
    def device(self) -> str:
        """The bare NAME or ADDRESS."""
        return self.name.partition(" ")[2]


class Authenticator:
    """Tells which device a call comes from, and turns away calls without a known token.

    Attributes:
        issued: as it was given.

    Args:
        tokens: the tokens file; None: there is none. It is read again whenever it changes.
        issued: tokens that people issue while the server runs; None: there are none. Without either calls need no
            token.
        max_streams: open streams of all devices together.
        max_streams_per_device: open streams of one device.

    Raises:
        ConfigError: the tokens file cannot be read, or a line of it.
    """

    def __init__(
        self,
        tokens: Path | None = None,
        issued: IssuedTokens | None = None,
        *,
        max_streams: int = 1000,
        max_streams_per_device: int = 16,
    ) -> None:
        self._tokens = None if tokens is None else KnownTokens(tokens)
        self.issued = issued
        self._sources = [source for source in (self._tokens, issued) if source is not None]
        self._max_streams, self._max_streams_per_device = max_streams, max_streams_per_device
        self._streams: Counter[str] = Counter()

    def authenticate(self, context: Any) -> Caller:
        """The caller behind a gRPC servicer context.

        Raises:
            Unauthenticated: calls need a token, and this one has no known one.
        """
        known = self.token_of(context.invocation_metadata())
        return known or _by_certificate(context) or Caller(f"address {address_of(context.peer())}", is_proven=False)

    def token_of(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> Caller | None:
        """The caller by the token in a call's metadata; None where calls need no token.

        Raises:
            Unauthenticated: calls need a token, and this one has no known one.
        """
        if not self._sources:
            return None
        headers = [value for key, value in metadata or () if key == "authorization"]
        if len(headers) != 1 or not isinstance(headers[0], str) or headers[0][: len(_SCHEME)].lower() != _SCHEME:
            raise Unauthenticated(
                "expected `authorization: Bearer TOKEN` with the call; got none: give the device its token "
                "(`edge-sdk keys token` makes one)",
                shown="no token",
            )
        token_hash = hash_token(headers[0][len(_SCHEME) :].strip())
        device = self._device_of(token_hash)
        if device is None:
            raise self._unknown(token_hash)
        return Caller(f"token {device}", is_proven=True, token_hash=token_hash)

    def check(self, caller: Caller) -> None:
        """Refuse a caller whose token has been removed or revoked since its call began; costs one `stat`.

        Raises:
            Unauthenticated: its token was removed.
        """
        if caller.token_hash is not None and self._sources and self._device_of(caller.token_hash) is None:
            raise self._unknown(caller.token_hash)

    def reload(self) -> str:
        """Read the tokens file now; returns what changed, empty where nothing did.

        Raises:
            ConfigError: it cannot be read; the tokens known before stay valid.
        """
        return "" if self._tokens is None else self._tokens.reload()

    @contextmanager
    def stream(self, caller: Caller) -> Iterator[None]:
        """Counts an open stream of the caller within the block.

        Raises:
            TooManyStreams: the caller, or all devices together, have as many open as is allowed.
        """
        if self._streams[caller.name] >= self._max_streams_per_device:
            raise TooManyStreams(f"expected at most {self._max_streams_per_device} streams of one device; got another")
        if self._streams.total() >= self._max_streams:
            raise TooManyStreams(f"expected at most {self._max_streams} streams; got another: come again later")
        self._streams[caller.name] += 1
        try:
            yield
        finally:
            self._streams[caller.name] -= 1
            self._streams += Counter()  # drops names without streams

    def change_streams(self, max_streams: int, max_streams_per_device: int) -> None:
        """Other limits for streams to come; those that are open stay."""
        self._max_streams, self._max_streams_per_device = max_streams, max_streams_per_device

    def open_streams(self) -> int:
        """Open streams of all devices; may be called from any thread."""
        return sum(tuple(self._streams.values()))

    def _device_of(self, token_hash: str) -> str | None:
        return next((one for source in self._sources if (one := source.device_of(token_hash)) is not None), None)

    def _unknown(self, token_hash: str) -> Unauthenticated:
        device = next((one for source in self._sources if (one := source.ended_device_of(token_hash))), "")
        return Unauthenticated(
            "expected a token that this server knows; got another, or one that was revoked: make a new one with "
            "`edge-sdk keys token`",
            shown=f"the token with the SHA-256 {token_hash[:12]}..." + (f", once that of {device}" if device else ""),
            device=device,
        )


def _by_certificate(context: Any) -> Caller | None:
    names = context.auth_context().get("x509_common_name")
    return Caller(f"certificate {one_line(names[0].decode(errors='replace'), 200)}", is_proven=True) if names else None


def address_of(peer: str) -> str:
    """The address in gRPC's "ipv4:1.2.3.4:5678" or "ipv6:%5B2001:db8::1%5D:5678"; of IPv6 the /64 that one site has."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    try:
        address = ipaddress.ip_address(rest.rpartition(":")[0].strip("[]"))
    except ValueError:
        return rest
    if address.version == 4:
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address)
