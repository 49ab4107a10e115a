"""The tokens that people issue on the page or by `cloud-server admin`: known here a second after, revoked as fast."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from cloud_server.fleet.database.opening import Unavailable

_log = logging.getLogger(__name__)

_REMEMBERED = 1000


class IssuedTokens:
    """What the database says of tokens, as of the last `refresh`; asked on the event loop, refreshed on a thread.

    Args:
        read: the tokens that hold: SHA-256 -> device.

    Raises:
        Unavailable: the database does not answer.
    """

    def __init__(self, read: Callable[[], Mapping[str, str]]) -> None:
        self._read = read
        self._hashes = dict(read())
        self._ended: dict[str, str] = {}
        self._is_down = False

    def device_of(self, token_hash: str) -> str | None:
        """The device whose token has this hash, or None."""
        return self._hashes.get(token_hash)

    def ended_device_of(self, token_hash: str) -> str | None:
        """The device that had the token before it was revoked or replaced, as far as this process knows."""
        return self._ended.get(token_hash)

    def refresh(self) -> None:
        """Read them again; while the database does not answer, those known before hold."""
        try:
            found = dict(self._read())
        except Unavailable as error:
            if not self._is_down:
                self._is_down = True
                _log.error("tokens cannot be read, those known before stay valid: %s", error)
            return
        self._is_down = False
        ended = {known: device for known, device in self._hashes.items() if known not in found}
        remembered = {known: device for known, device in (self._ended | ended).items() if known not in found}
        self._ended = dict(list(remembered.items())[-_REMEMBERED:])
        self._hashes = found
