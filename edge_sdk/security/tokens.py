"""Device tokens: random bearer tokens, and the server's file of their hashes.

Each line of the file holds a device's name and the SHA-256 of its token. A slow password hash is not needed: a token
has 256 random bits, too many to guess, and the server checks one with every frame.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.durable.files import rewrite
from edge_sdk.durable.lock import turn
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.security.files import BYTE_ORDER_MARK, read_given

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{32,512}")
_HEAD = "# One line per device: its name and the SHA-256 of its token. Remove a line to lock its device out.\n"


def new_token() -> str:
    """A fresh token: 256 random bits, 43 characters that are safe in URLs, headers and shells."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """The SHA-256 of a token, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_token(text: str, where: str) -> str:
    """Return the token in `text`, or raise `ConfigError`, which names `where` and never repeats the text."""
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise ConfigError(f"expected one token of 32 to 512 letters, digits and ._~+/=- in {where}; got another text")
    return token


def check_device_name(name: str) -> str:
    """Return `name` unchanged, or raise `ConfigError` unless it is 1 to 64 letters, digits, dots and dashes."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"expected a device name of 1 to 64 letters, digits, dots and dashes; got {name!r}")
    return name


@dataclass(frozen=True, slots=True)
class TokenList:
    """The devices that may call, each with a token of its own.

    Attributes:
        hashes: name -> SHA-256 of its token, hexadecimal.
        faults: a message for each invalid line, with its number. Devices of these lines may not call.
    """

    hashes: dict[str, str]
    faults: tuple[str, ...] = ()

    def device_of(self, token_hash: str) -> str | None:
        """The device whose token has this hash, or None.

        All hashes are compared, each in constant time, so the duration reveals nothing about a match.
        """
        found = None
        for name, known in self.hashes.items():
            if hmac.compare_digest(known, token_hash):
                found = name
        return found


def read_tokens(path: Path) -> TokenList:
    """Read the server's tokens file.

    Raises:
        ConfigError: the file cannot be read.
    """
    return parse_tokens(read_given(path, "tokens file"), path)


def parse_tokens(content: bytes, path: Path) -> TokenList:
    """Read the content of a tokens file; a byte order mark and any line ends are taken.

    Args:
        content: of the file.
        path: named in the messages.
    """
    hashes: dict[str, str] = {}
    names: dict[str, str] = {}
    faults = []
    for number, line in enumerate(_lines(content), 1):
        words = _words(line)
        if not words:
            continue
        name, digest = words[0], words[-1].lower()
        if len(words) != 2 or not _NAME.fullmatch(name) or not _HASH.fullmatch(digest):
            faults.append(f"{path}, line {number}: expected a device name and 64 hexadecimal digits")
        elif name in hashes:
            faults.append(f"{path}, line {number}: expected each device once; {name} stands above already")
        elif digest in names:
            faults.append(
                f"{path}, line {number}: expected a token for each device; {name} has the same token as "
                f"{names[digest]}: make it one with `edge-sdk keys token {name} --replace`"
            )
        else:
            hashes[name], names[digest] = digest, name
    return TokenList(hashes, tuple(faults))


def add_token(path: Path, device: str, token: str, *, replace: bool = False) -> None:
    """Add a device and the hash of its token to the server's file, which is created with mode 0600 if missing.

    All other lines stay as they are, comments included, and so do the file's owner, group and mode.

    Raises:
        ConfigError: the device has a token already and `replace` is not set, or another line of the file is invalid.
        StorageError: the file cannot be written.
    """
    check_device_name(device)
    entry = f"{device} {hash_token(token)}".encode()
    with _turn(path):
        content = read_given(path, "tokens file") if path.exists() else _HEAD.encode()
        lines = _lines(content)
        theirs = [number for number, line in enumerate(lines) if device in _words(line)[:1]]
        if theirs and not replace:
            raise ConfigError(f"expected a device that {path} does not know; {device} has a token: --replace ends it")
        if theirs:
            first, *more = theirs
            lines[first] = entry + lines[first][_end_of_entry(lines[first]) :]
            lines = [line for number, line in enumerate(lines) if number not in more]
        else:
            if lines and not lines[-1].endswith((b"\n", b"\r")):
                lines[-1] += b"\n"
            lines.append(entry + (b"\r\n" if lines and lines[-1].endswith(b"\r\n") else b"\n"))
        _write(path, lines, check=True)


def remove_token(path: Path, device: str) -> tuple[str, ...]:
    """Remove a device from the server's file; its next frame is refused. All other lines stay as they are.

    Returns:
        Names of other devices that have the same token, which therefore goes on being let in.

    Raises:
        ConfigError: the file does not name the device.
        StorageError: the file cannot be written.
    """
    with _turn(path):
        lines = _lines(read_given(path, "tokens file"))
        words = [_words(line) for line in lines]
        if not any(device in said[:1] for said in words):
            known = sorted({said[0] for said in words if said and _NAME.fullmatch(said[0])})
            raise ConfigError(f"expected a device of {path} ({', '.join(known) or 'it has none'}); got {device!r}")
        _write(path, [line for line, said in zip(lines, words, strict=True) if device not in said[:1]])
    ended = {said[1].lower() for said in words if device in said[:1] and len(said) > 1}
    return tuple(said[0] for said in words if device not in said[:1] and len(said) == 2 and said[1].lower() in ended)


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Let one process at a time change the file, so that no change is lost."""
    try:
        with turn(Path(os.path.realpath(path)).parent):
            yield
    except OSError as error:
        raise StorageError(f"cannot write the tokens file {path}: {error}") from error


def _lines(content: bytes) -> list[bytes]:
    """The lines with their ends, the byte order mark at the head of the first."""
    return content.splitlines(keepends=True)


def _words(line: bytes) -> list[str]:
    """The words of a line before its comment."""
    return line.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").split("#", 1)[0].split()


def _end_of_entry(line: bytes) -> int:
    """Where the blanks, the comment or the end of the line begin that follow a line's last word."""
    return len(line.split(b"#", 1)[0].rstrip())


def _write(path: Path, lines: list[bytes], *, check: bool = False) -> None:
    """Replace the file in one step, so that a server never reads half of it."""
    content = b"".join(lines)
    if not content.strip():  # an empty file could be one that is being written
        content = _HEAD.encode()
    if check and (faults := parse_tokens(content, path).faults):
        raise ConfigError(faults[0])
    try:
        rewrite(path, content)
    except OSError as error:
        raise StorageError(f"cannot write the tokens file {path}: {error}") from error
