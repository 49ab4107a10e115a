"""The devices of the tokens file, read again whenever it changes, and never lost to a file that is being written."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from edge_sdk.durable.files import file_version
from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_given
from edge_sdk.security.tokens import TokenList, parse_tokens

_log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Seconds until the content is compared again, although nothing shows that the file has changed."""
SETTLE_S = 1.0
"""Seconds that a file must stay as it is until tokens that an edit in place took out of it end."""
SAY_AGAIN_S = 600.0
_NONE = TokenList({})
_SHOWN = 8
_REMEMBERED = 1000


class KnownTokens:
    """The tokens that are let in; used on one thread.

    A file that takes another's place (as `edge-sdk keys` writes it) counts at once. Of one that is edited in place, new
    tokens count at once, and tokens that it lost end after `SETTLE_S`: an editor may be in the middle of it. Where it
    cannot be read, is empty, or ends in the middle of a line, nothing ends, and the log says so again and again.

    Args:
        path: the file.
        clock: seconds, monotonic.

    Raises:
        ConfigError: the file cannot be read, or a line of it.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._version = file_version(path)
        self._content = read_given(path, "tokens file")
        self._list = parse_tokens(self._content, path)
        if faults := self._list.faults:
            raise ConfigError(faults[0] + (f" (and {len(faults) - 1} more lines)" if faults[1:] else ""))
        if not self._list.hashes:
            _log.warning("the tokens file %s names no device: every call is refused until it does", path)
        self._taken = self._version
        self._lost = _NONE  # tokens that an edit took out which may not be finished: still let in
        self._ended: dict[str, str] = {}  # hash -> name of tokens that were let in once
        self._seen_at = self._looked_at = clock()
        self._said = ("", 0.0)

    def device_of(self, token_hash: str) -> str | None:
        """The device whose token has this hash, or None."""
        self._look()
        found = self._list.device_of(token_hash)
        return self._lost.device_of(token_hash) if found is None else found

    def ended_device_of(self, token_hash: str) -> str | None:
        """The device that had the token before it was revoked or replaced, as far as this process knows."""
        return self._ended.get(token_hash)

    def reload(self) -> str:
        """Read the file now, and take it as finished; returns what changed, empty where nothing did.

        Raises:
            ConfigError: it cannot be read, or is not whole; what was known goes on to count.
        """
        before = {**self._list.hashes, **self._lost.hashes}
        self._version, self._seen_at = file_version(self._path), -SETTLE_S + self._clock()
        content = read_given(self._path, "tokens file")
        found = parse_tokens(content, self._path)
        if why := _doubt_of(content, found):
            raise ConfigError(f"{self._path}: {why}")
        self._content = content
        self._take(found)
        return _difference(before, found.hashes)

    def _look(self) -> None:
        """Read the file where it has changed, or might have."""
        now, version = self._clock(), file_version(self._path)
        if version == self._version and now - self._looked_at < LOOK_S:
            return
        self._version, self._looked_at = version, now
        if version is None:
            self._taken = None  # the next one is another file, though it may get the same inode
        try:
            content = read_given(self._path, "tokens file")
        except ConfigError as error:
            self._say(f"{error}: the tokens known before stay valid until it can be read again")
            return
        if content != self._content:
            self._content, self._seen_at = content, now
        elif not self._lost.hashes and not self._said[0]:
            return
        before = {**self._list.hashes, **self._lost.hashes}
        found = parse_tokens(content, self._path)
        lost = {name: known for name, known in before.items() if known not in set(found.hashes.values())}
        why = _doubt_of(content, found)
        is_in_place = version is not None and self._taken is not None and version[:2] == self._taken[:2]
        if why:
            self._say(f"the tokens file {self._path}: {why}: the tokens known before stay valid")
        if why or (lost and is_in_place and now - self._seen_at < SETTLE_S):
            self._list, self._lost = found, TokenList(lost)
            return
        self._take(found)
        if change := _difference(before, found.hashes):
            _log.info("the tokens file %s: %s", self._path, change)

    def _take(self, found: TokenList) -> None:
        before = {**self._list.hashes, **self._lost.hashes}
        for name, known in before.items():
            self._ended[known] = name
        for known in found.hashes.values():
            self._ended.pop(known, None)
        while len(self._ended) > _REMEMBERED:
            del self._ended[next(iter(self._ended))]
        self._list, self._lost, self._taken = found, _NONE, self._version
        if found.faults:
            self._say("; ".join(found.faults[:_SHOWN]))
        elif self._said[0]:
            _log.info("the tokens file %s is whole again: %d devices", self._path, len(found.hashes))
            self._said = ("", 0.0)

    def _say(self, text: str) -> None:
        now = self._clock()
        if text != self._said[0] or now - self._said[1] >= SAY_AGAIN_S:
            _log.error("%s", text)
            self._said = (text, now)


def _doubt_of(content: bytes, found: TokenList) -> str:
    """Why this content may not be what its author means; empty where it may."""
    if not content.strip():
        return "it is empty (a comment line alone would lock all devices out)"
    if found.faults and not found.hashes:
        return f"no line of it can be read ({found.faults[0]})"
    if (found.faults or not found.hashes) and not content.endswith((b"\n", b"\r")):
        return f"it seems cut off ({found.faults[-1] if found.faults else 'its last line has no end'})"
    return ""


def _difference(before: dict[str, str], after: dict[str, str]) -> str:
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    renewed = [name for name in after if name in before and before[name] != after[name]]
    parts = (("new", added), ("removed", removed), ("with another token", renewed))
    told = [f"{len(names)} {what} ({_listed(names)})" for what, names in parts if names]
    return f"{len(after)} devices, {', '.join(told)}" if told else ""


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
