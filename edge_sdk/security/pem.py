"""PEM files of certificates and keys: read, checked, and explained where they are not what they should be."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.errors import ConfigError
from edge_sdk.security.files import BYTE_ORDER_MARK, read_given

if TYPE_CHECKING:
    import ssl

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")


def read_pem(path: Path, what: str) -> bytes:
    """The content of a PEM file.

    Args:
        path: the file.
        what: its name in messages, such as "key".

    Raises:
        ConfigError: it cannot be read, or has no PEM block.
    """
    content = read_given(path, what)
    if content.startswith(BYTE_ORDER_MARK) or b"-----\0" in content or b"-\0-\0-\0" in content:
        raise ConfigError(
            f"expected PEM in the {what} {path}; it begins with a byte order mark, as some editors of Windows write "
            "it: save it as plain ASCII"
        )
    if b"-----BEGIN" not in content:
        hint = ""
        if content[:1] == b"\x30":  # how every DER certificate, key and PKCS #12 file begins
            hint = f": it looks like DER or PKCS #12: `openssl x509 -inform der -in {path}` writes a certificate as PEM"
        raise ConfigError(f"expected PEM in the {what} {path}; got {len(content)} bytes without a BEGIN line{hint}")
    return content


def check_pair(cert: Path, key: Path) -> None:
    """Check that two PEM files are a certificate, with its chain behind it, and its unencrypted key.

    Raises:
        ConfigError: they are not; the message gives the reason.
    """
    chain, secret = read_pem(cert, "certificate"), read_pem(key, "key")
    expected = f"expected a PEM certificate {cert} and its unencrypted key {key}"
    if _BEGIN not in chain:
        swapped = b"PRIVATE KEY-----" in chain and _BEGIN in secret
        raise ConfigError(f"{expected}: {'the two are swapped' if swapped else f'{cert} has no certificate'}")
    if b"PRIVATE KEY-----" not in secret:
        raise ConfigError(f"{expected}: {key} has no private key")
    if any(mark in secret for mark in _ENCRYPTED):
        raise ConfigError(f"{expected}: the key has a passphrase: `openssl pkey -in {key}` writes it without")
    reason = _fault_of(cert, key)
    if not reason:
        return
    if "MISMATCH" in reason:
        number = _number_that_fits(chain, key)
        reason = (
            f"the key is that of certificate {number} in the file: the server's own must come first, then those that "
            "issued it"
            if number
            else "the key is that of another certificate"
        )
    raise ConfigError(f"{expected}: {reason}")


def check_authority(path: Path) -> None:
    """Check that a PEM file holds certificates.

    Raises:
        ConfigError: it does not; the message gives the reason.
    """
    import ssl

    content = read_pem(path, "ca")
    if b"CERTIFICATE-----" not in content and b"PRIVATE KEY-----" in content:
        raise ConfigError(f"expected PEM certificates of an authority in {path}: it has a private key alone")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(f"expected PEM certificates of an authority in {path}: {why}") from error


def signs_others(path: Path) -> bool:
    """Whether a file that `check_authority` has passed holds the certificate of an authority."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return bool(context.get_ca_certs(binary_form=True))


def _fault_of(cert: Path, key: Path) -> str:
    """What OpenSSL says against the pair; empty where nothing."""
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
    return ""


def _number_that_fits(chain: bytes, key: Path) -> int:
    """Which certificate of the chain, from 1 on, the key is of; 0: none."""
    blocks = [block.partition(_END)[0] for block in chain.split(_BEGIN)[1:]]
    for number, block in enumerate(blocks, 1):
        descriptor, name = tempfile.mkstemp(suffix=".pem")
        try:
            with open(descriptor, "wb") as file:
                file.write(_BEGIN + block + _END + b"\n")
            if not _fault_of(Path(name), key):
                return number
        finally:
            with suppress(OSError):
                os.unlink(name)
    return 0


def client_context(
    ca: str | Path | None, cert: str | Path | None = None, key: str | Path | None = None
) -> ssl.SSLContext:
    """What a client checks a server by, and shows of itself; the files are checked first.

    Args:
        ca: file of the authority that the server's certificate must come from; None: those of this machine.
        cert: file of the client's own certificate, with `key`.
        key: its key.

    Raises:
        ConfigError: a file cannot be used.
    """
    import ssl

    if ca is not None:
        check_authority(Path(ca))
    context = ssl.create_default_context(cafile=ca)
    if cert is not None and key is not None:
        check_pair(Path(cert), Path(key))
        context.load_cert_chain(cert, key)
    return context
