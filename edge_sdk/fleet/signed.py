"""Signed settings: what an operator wants of one device or of all, in a file that only the holder of a key can make.

The file is JSON on one line, `{"settings": TEXT, "key": KEY ID, "signature": BASE64}`. TEXT is JSON again, and signed
as it stands (Ed25519, RFC 8032, of `DOMAIN` and TEXT): device or "*", version, when it was made, until when it holds,
and the settings by kind. The server hands it out and needs no key; the device has the public one.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edge_sdk.errors import ConfigError
from edge_sdk.security.credentials import check_private
from edge_sdk.security.files import read_given
from edge_sdk.terminal.line import one_line

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

DOMAIN = b"edge-sdk settings 1\n"
"""Signed before the text, so that a signature of anything else under the same key is none of settings."""
EVERY_DEVICE = "*"
MOST_BYTES = 16 << 10
MOST_VERSION = (1 << 53) - 1
_MISSING = "signed settings need the package cryptography: pip install '.[keys]'"


class Untrusted(ValueError):
    """Settings are not to be followed; the message says why."""


class _File(msgspec.Struct, frozen=True):
    settings: str
    key: str
    signature: str


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed.

    Attributes:
        device: the device's name, or "*" for all.
        version: settings of a lower or the same version are not taken after these.
        made_at: when they were signed, with a time zone.
        expires_at: from when on they do not hold, with a time zone; None: they hold until others come.
        settings: by kind; what is not named is the device's own.
    """

    device: str
    version: int
    made_at: datetime
    expires_at: datetime | None = None
    settings: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if not 1 <= self.version <= MOST_VERSION:
            raise ValueError(f"expected a version from 1 to {MOST_VERSION}; got {self.version}")
        for moment in (self.made_at, self.expires_at):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"expected times with a time zone; got {moment.isoformat()}")


@dataclass(frozen=True, slots=True)
class SignedSettings:
    """A file of signed settings, whose signature may not have been checked.

    Attributes:
        body: what it says.
        key: names the key that it claims to be signed with: 16 hexadecimal digits.
        content: the file.
        text: what is signed.
        signature: of `DOMAIN` and `text`.
    """

    body: Body
    key: str
    content: bytes
    text: bytes
    signature: bytes


def read_signed(content: bytes) -> SignedSettings:
    """Read a file of signed settings; its signature is not checked.

    Raises:
        Untrusted: it is no such file.
    """
    if len(content) > MOST_BYTES:
        raise Untrusted(f"expected signed settings of at most {MOST_BYTES:,} bytes; got {len(content):,}")
    try:
        file = msgspec.json.decode(content, type=_File)
        text = file.settings.encode()
        body = msgspec.json.decode(text, type=Body)
        signature = base64.b64decode(file.signature, validate=True)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise Untrusted(f"expected signed settings; {one_line(error)}") from None
    return SignedSettings(body, one_line(file.key, 64), content, text, signature)


class SettingsKey:
    """The public key that a device checks settings with.

    Args:
        path: PEM file of an Ed25519 public key, as `edge-sdk settings key` makes it.

    Attributes:
        key_id: names it: the first 16 hexadecimal digits of its SHA-256.

    Raises:
        ConfigError: there is no such key, or the package cryptography is missing.
    """

    def __init__(self, path: Path) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
            from cryptography.hazmat.primitives.serialization import load_pem_public_key
        except ImportError:
            raise ConfigError(_MISSING) from None
        try:
            key = load_pem_public_key(read_given(path, "settings key"))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"expected an Ed25519 public key (PEM) in {path}: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError(f"expected an Ed25519 public key in {path}; got another kind of key")
        self._key = key
        self.key_id = key_id_of(key)

    def check(self, signed: SignedSettings) -> None:
        """Check a signature.

        Raises:
            Untrusted: it is not this key's.
        """
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signed.signature, DOMAIN + signed.text)
        except InvalidSignature:
            raise Untrusted(
                f"the signature is not of this device's settings key {self.key_id}; the file names the key {signed.key}"
            ) from None


def new_settings_key(key: Path, public: Path) -> str:
    """Write a new key, for the operator alone, and its public part, for the devices; returns the key's id.

    Raises:
        ConfigError: a file is there already.
        StorageError: one cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    from edge_sdk.security.certificates import write_new

    if there := [str(path) for path in (key, public) if path.exists()]:
        raise ConfigError(f"expected no file {' or '.join(there)} yet; it may be in use: name another folder")
    made = Ed25519PrivateKey.generate()
    write_new(key, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    write_new(public, made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return key_id_of(made.public_key())


def sign(key: Path, body: Body) -> bytes:
    """The file of signed settings.

    Args:
        key: PEM file of the operator's key, readable by its owner alone.
        body: what is to be signed.

    Raises:
        ConfigError: the key cannot be used, or the settings are too large.
    """
    private = _private_key(key)
    text = msgspec.json.encode(body)
    signature = base64.b64encode(private.sign(DOMAIN + text)).decode()
    content = msgspec.json.encode(_File(text.decode(), key_id_of(private.public_key()), signature)) + b"\n"
    if len(content) > MOST_BYTES:
        raise ConfigError(f"expected settings of at most {MOST_BYTES:,} bytes; got {len(content):,}")
    return content


def has_expired(body: Body, now: datetime) -> bool:
    """Whether settings do not hold any more."""
    return body.expires_at is not None and now >= body.expires_at


def key_id_of(key: Ed25519PublicKey) -> str:
    """Names a key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    check_private(path, "settings key")
    try:
        key = load_pem_private_key(read_given(path, "settings key"), None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"expected an Ed25519 key (PEM) in {path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"expected an Ed25519 key in {path}; got another kind of key")
    return key
