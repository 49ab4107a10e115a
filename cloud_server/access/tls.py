"""The server's side of TLS: its certificate, and the authority of the devices' certificates, renewed while it runs."""

from __future__ import annotations

import hashlib
import itertools
import logging
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc

from edge_sdk.durable.files import file_version
from edge_sdk.errors import ConfigError
from edge_sdk.security.pem import check_authority, check_pair, read_pem, signs_others
from edge_sdk.security.validity import Validity, read_validities
from edge_sdk.terminal.text import literal

_log = logging.getLogger(__name__)
_MAX_DEVICES = 10_000
_FEW = 5


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files.

    Attributes:
        cert: the server's certificate, with its chain.
        key: its key, not encrypted.
        client_ca: the authority of the devices; given, a device without a certificate of it cannot connect.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    def __iter__(self) -> Iterator[Path]:
        yield from (path for path in (self.cert, self.key, self.client_ca) if path is not None)


@dataclass(frozen=True, slots=True)
class _Content:
    cert: bytes
    key: bytes
    client_ca: bytes | None

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(self.key, self.cert)], self.client_ca)


class ServerCertificate:
    """The files of TLS, read at the start, and again at the first connection after they have changed.

    Files that do not fit together, as in the middle of a renewal, are logged; those read before go on to serve.

    Args:
        files: the PEM files.

    Raises:
        ConfigError: one is missing, is not what it should be, or certificate and key do not belong together.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._guard = threading.Lock()  # gRPC asks on threads of its own
        self._versions = _versions_of(files)
        self._content = _read(files)
        self._number = 0
        self._fault = ""
        self._handshakes = 0
        self._told: dict[bytes, datetime] = {}
        if files.client_ca is not None and not signs_others(files.client_ca):
            _log.warning(
                "no certificate in %s may sign others: is it the authority's? Only a device whose own certificate is "
                "in the file can connect",
                files.client_ca,
            )
        if files.key.stat().st_mode & stat.S_IROTH:
            _log.warning("every user of this machine may read the key %s: run `chmod o-r %s`", files.key, files.key)

    def credentials(self) -> grpc.ServerCredentials:
        """For one port; the certificate that holds when a connection begins is that which it gets."""
        with self._guard:
            number, content = self._number, self._content

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal number
            with self._guard:
                self._handshakes += 1
                if number == self._number and _versions_of(self._files) != self._versions:
                    with suppress(ConfigError):  # which is logged
                        self._read_again()
                if number == self._number:
                    return None
                number = self._number
                return self._content.configuration()

        return grpc.dynamic_ssl_server_credentials(
            content.configuration(), fetch, require_client_authentication=content.client_ca is not None
        )

    def for_browsers(self) -> ssl.SSLContext:
        """For HTTP, where nobody needs a certificate; each connection gets the certificate that holds when it begins.

        Raises:
            ConfigError: the files cannot be used.
        """
        first = self._context()
        with self._guard:
            newest, number = first, self._number

        def renew(connection: ssl.SSLObject | ssl.SSLSocket, _: str | None, __: ssl.SSLContext) -> None:
            nonlocal newest, number
            with self._guard, suppress(ConfigError):  # which is logged
                if _versions_of(self._files) != self._versions:
                    self._read_again()
                if number != self._number:
                    newest, number = self._context(), self._number
            connection.context = newest

        first.sni_callback = renew
        return first

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._files.cert, self._files.key)
        except (OSError, ssl.SSLError) as error:  # they are being renewed just now
            raise ConfigError(f"cannot use {self._files.cert} with {self._files.key}: {error}") from error
        return context

    def reload(self) -> str:
        """Read the files now; returns what is new, empty where nothing is.

        Raises:
            ConfigError: they cannot be used; those read before go on to serve.
        """
        with self._guard:
            return self._read_again()

    def take_handshakes(self) -> int:
        """Connections begun since the last call."""
        with self._guard:
            count, self._handshakes = self._handshakes, 0
        return count

    def tell_dates(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Log each certificate that does not hold, or soon will not."""
        content, moment = self._content, now()
        if self._fault:
            _log.error("the renewed certificate is still not taken: %s", self._fault)
        own = read_validities(content.cert)
        _tell(own[:1], f"devices will refuse the certificate {self._files.cert}", moment)
        _tell(own[1:], f"the chain in {self._files.cert}", moment)
        if content.client_ca is not None:
            authorities = read_validities(content.client_ca)
            if len(authorities) > _FEW and any(one.holds(moment) for one in authorities):
                authorities = []  # the public ones, of which some always are about to end
            _tell(authorities, f"the authority of the devices {self._files.client_ca}", moment)
        for number, (one, above) in enumerate(itertools.pairwise(own), 1):
            if one.issuer != above.subject:
                _log.warning(
                    "devices may refuse the chain in %s: its certificate %d is not the issuer of certificate %d",
                    self._files.cert,
                    number + 1,
                    number,
                )

    def tell_date_of(self, device: str, pem: bytes, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Log, once a day, that the certificate of a device that is connected will soon expire."""
        key, moment = hashlib.sha256(pem).digest(), now()
        before = self._told.get(key)
        if before is not None and abs((moment - before).total_seconds()) < 86_400:
            return
        if len(self._told) >= _MAX_DEVICES:
            self._told.clear()
        self._told[key] = moment
        for one in read_validities(pem)[:1]:
            if fault := one.fault(moment):
                _log.warning("the certificate of %s: %s", literal(device), fault)

    def _read_again(self) -> str:
        versions = _versions_of(self._files)
        try:
            content = _read(self._files)
            if _versions_of(self._files) != versions:
                raise ConfigError("they change while they are read")
        except ConfigError as error:
            if str(error) != self._fault:
                _log.error("the renewed certificate is not taken, the one before goes on to serve: %s", error)
            self._fault = str(error)
            raise
        self._versions, self._fault = versions, ""
        if content == self._content:
            return ""
        before, self._content = self._content, content
        self._number += 1
        parts = [
            f"{path}{_until(new)}"
            for path, new, old in (
                (self._files.cert, content.cert, before.cert),
                (self._files.key, b"", b"" if content.key == before.key else b"another"),
                (self._files.client_ca, content.client_ca, before.client_ca),
            )
            if new != old
        ]
        said = f"new connections get what was renewed: {', '.join(parts)}"
        _log.info("%s", said)
        return said


def _read(files: TlsFiles) -> _Content:
    check_pair(files.cert, files.key)
    authority = None
    if files.client_ca is not None:
        check_authority(files.client_ca)
        authority = read_pem(files.client_ca, "client CA")
    return _Content(read_pem(files.cert, "certificate"), read_pem(files.key, "key"), authority)


def _versions_of(files: TlsFiles) -> list[tuple[int, ...] | None]:
    return [file_version(path) for path in files]


def _tell(found: list[Validity], what: str, now: datetime) -> None:
    for one in found:
        if fault := one.fault(now):
            _log.log(logging.WARNING if one.holds(now) else logging.ERROR, "%s: %s", what, fault)


def _until(pem: bytes | None) -> str:
    found = read_validities(pem or b"")
    return f" (valid until {found[0].ends:%Y-%m-%d})" if found else ""
