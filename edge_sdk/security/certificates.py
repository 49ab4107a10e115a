"""A development authority and the certificates it signs: EC P-256, PEM files in one folder.

Keep the authority's key off all devices and servers: who holds it can sign new devices. Private files have mode 0600.
An existing file is overwritten only where `replace` is set.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.durable.files import rewrite, write_whole
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.security.tokens import check_device_name

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTHORITY_DAYS = 3650
LEAF_DAYS = 825
_SKEW = timedelta(days=1)  # a device without a battery clock starts in the past


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as files."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority in a folder: `ca.pem` and `ca.key`. Both are made if the folder has neither.

    Args:
        folder: made with mode 0700 if it is missing.
        now: the time of signing, from which certificates are valid; None: the present.

    Attributes:
        files: the authority's certificate and key.
        is_new: whether they were made just now.

    Raises:
        ConfigError: one of the two files is missing or unreadable, or the key is not the certificate's.
        StorageError: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        self._folder = folder
        self._now = now or datetime.now(UTC)
        self.files = Pair(folder / "ca.pem", folder / "ca.key")
        self.is_new = not self.files.cert.exists() and not self.files.key.exists()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make the folder {folder}: {error}") from error
        self._cert, self._key = self._make() if self.is_new else self._load()

    def issue_server(self, names: Sequence[str], *, days: int = LEAF_DAYS, replace: bool = False) -> Pair:
        """Make `server.pem` and `server.key`.

        Args:
            names: host names and IP addresses that devices dial, without ports.
            days: how long the certificate is valid.
            replace: overwrite existing files.

        Raises:
            ConfigError: `names` is empty or holds another text, or a file exists and `replace` is not set.
            StorageError: a file cannot be written.
        """
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        if not names:
            raise ConfigError("expected the server's names, such as vm.example or 10.0.0.5; got none")
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        return self._issue("server", names[0], alternatives, ExtendedKeyUsageOID.SERVER_AUTH, days, replace)

    def issue_device(self, device: str, *, days: int = LEAF_DAYS, replace: bool = False) -> Pair:
        """Make `DEVICE.pem` and `DEVICE.key`; the certificate's common name is the device's.

        Args:
            device: 1 to 64 letters, digits, dots and dashes; not "ca" or "server".
            days: how long the certificate is valid.
            replace: overwrite existing files.

        Raises:
            ConfigError: `device` is no such name, or a file exists and `replace` is not set.
            StorageError: a file cannot be written.
        """
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        if check_device_name(device) in ("ca", "server"):
            raise ConfigError(f"expected a device name other than ca and server; got {device!r}")
        alternatives = x509.SubjectAlternativeName([x509.DNSName(device)])
        return self._issue(device, device, alternatives, ExtendedKeyUsageOID.CLIENT_AUTH, days, replace)

    def _make(self) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("edge-sdk development authority")
        builder = _builder(name, name, key, self._now, AUTHORITY_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        cert = _sign(builder, key)
        _write(self.files, cert, key, replace=False)
        return cert, key

    def _load(self) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            cert = x509.load_pem_x509_certificate(self.files.cert.read_bytes())
            key = serialization.load_pem_private_key(self.files.key.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"expected an authority, ca.pem and ca.key, in {self._folder}: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or cert.public_key() != key.public_key():
            raise ConfigError(f"expected {self.files.key} to be the EC key of {self.files.cert}; it is another key")
        return cert, key

    def _issue(
        self,
        stem: str,
        common_name: str,
        alternatives: x509.SubjectAlternativeName,
        purpose: x509.ObjectIdentifier,
        days: int,
        replace: bool,
    ) -> Pair:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        pair = Pair(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        if not replace and (there := [str(path) for path in (pair.cert, pair.key) if path.exists()]):
            raise ConfigError(f"expected no {' or '.join(there)} yet: --replace makes new ones in their place")
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(common_name), self._cert.subject, key, self._now, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        builder = builder.add_extension(alternatives, critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        _write(pair, _sign(builder, self._key), key, replace=replace)
        return pair


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography.hazmat.primitives import hashes

    return builder.sign(key, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    try:
        if not name or ":" in name or "/" in name:
            raise ValueError
        return x509.DNSName(name)
    except ValueError:
        raise ConfigError(f"expected a host name or an IP address, without a port; got {name!r}") from None


def _write(pair: Pair, cert: x509.Certificate, key: EllipticCurvePrivateKey, *, replace: bool) -> None:
    """Write both files. If one fails, neither stays."""
    from cryptography.hazmat.primitives import serialization

    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    contents = (
        (pair.key, key.private_bytes(serialization.Encoding.PEM, *form), 0o600),
        (pair.cert, cert.public_bytes(serialization.Encoding.PEM), 0o644),
    )
    with ExitStack() as undo:
        for path, content, mode in contents:
            write_new(path, content, mode, replace=replace)
            undo.callback(path.unlink, missing_ok=True)
        undo.pop_all()


def write_new(path: Path, content: bytes, mode: int, *, replace: bool = False) -> None:
    """Write a file that has the permissions `mode` from its first byte on.

    Args:
        path: the file.
        content: all of it.
        mode: permission bits of a new file, such as 0o600.
        replace: overwrite an existing file, which keeps its owner, group and mode.

    Raises:
        ConfigError: the file exists and `replace` is not set.
        StorageError: it cannot be written.
    """
    try:
        if replace and path.exists():  # as root too, the service that reads it still may
            rewrite(path, content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            _take_name(path, mode)
            undo.callback(path.unlink, missing_ok=True)
            write_whole(path, content, durable=True, mode=mode)
            undo.pop_all()
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error


def _take_name(path: Path, mode: int) -> None:
    """Make an empty file where there is none; of several processes at once, one succeeds."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    except FileExistsError:
        raise ConfigError(f"expected no file {path} yet: --replace makes a new one in its place") from None
