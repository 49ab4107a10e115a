"""Device tokens: random bearer tokens, and the server's file of their hashes.

Each line of the file holds a device's name and the SHA-256 of its token. A slow password hash is not needed: a token
has 256 random bits, too many to guess, and the server checks one with every frame.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.durable.files import write_whole
from edge_sdk.durable.lock import turn
from edge_sdk.errors import ConfigError, StorageError

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
    """The devices that may call.

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
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read the tokens file {path}: {error.strerror}") from error
    hashes: dict[str, str] = {}
    faults = []
    for number, line in enumerate(lines, 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) != 2 or not _NAME.fullmatch(words[0]) or not _HASH.fullmatch(words[1]):
            faults.append(f"{path}, line {number}: expected a device name and 64 hexadecimal digits")
        elif words[0] in hashes:
            faults.append(f"{path}, line {number}: expected each device once; {words[0]} stands above already")
        else:
            hashes[words[0]] = words[1]
    return TokenList(hashes, tuple(faults))


def add_token(path: Path, device: str, token: str, *, replace: bool = False) -> None:
    """Add a device and the hash of its token to the server's file, which is created with mode 0600 if missing.

    Raises:
        ConfigError: the device has a token already and `replace` is not set, or a line of the file is invalid.
        StorageError: the file cannot be written.
    """
    check_device_name(device)
    with _turn(path):
        known = _read_to_change(path) if path.exists() else {}
        if device in known and not replace:
            raise ConfigError(f"expected a device that {path} does not know; {device} has a token: --replace ends it")
        _write(path, {**known, device: hash_token(token)})


def remove_token(path: Path, device: str) -> None:
    """Remove a device from the server's file; its next frame is refused.

    Raises:
        ConfigError: the file does not name the device, or a line of it is invalid.
        StorageError: the file cannot be written.
    """
    with _turn(path):
        known = _read_to_change(path)
        if device not in known:
            raise ConfigError(
                f"expected a device of {path} ({', '.join(sorted(known)) or 'it has none'}); got {device!r}"
            )
        _write(path, {name: known[name] for name in known if name != device})


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Let one process at a time change the file, so that no change is lost."""
    try:
        with turn(path.parent):
            yield
    except OSError as error:
        raise StorageError(f"cannot write the tokens file {path}: {error}") from error


def _read_to_change(path: Path) -> dict[str, str]:
    found = read_tokens(path)
    if found.faults:
        raise ConfigError(found.faults[0])
    return found.hashes


def _write(path: Path, hashes: dict[str, str]) -> None:
    """Replace the file in one step, so that a server never reads half of it."""
    try:
        path.parent.stat()  # a mistyped folder is not made
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        content = _HEAD + "".join(f"{name} {digest}\n" for name, digest in hashes.items())
        write_whole(path, content, durable=True, mode=mode)
    except OSError as error:
        raise StorageError(f"cannot write the tokens file {path}: {error}") from error
