"""The device's side of trust: certificates, a token, and which links may be unencrypted."""

from __future__ import annotations

import ipaddress
import logging
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_given
from edge_sdk.security.pem import check_authority, check_pair, read_pem
from edge_sdk.security.tokens import check_token
from edge_sdk.security.validity import read_validities

if TYPE_CHECKING:
    import grpc

_log = logging.getLogger(__name__)

TOKEN_VARIABLE = "EDGE_SDK_TOKEN"
HANDSHAKE_BYTES = 4_000
"""Most bytes that the device sends in a TLS 1.3 handshake, without its certificate: two hellos with post-quantum key
shares (the second only if the server asks for another group), a signature and the end."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Denied(ConnectionError):
    """One side does not accept the other. Retries do not help; a person must act."""


@dataclass(frozen=True, slots=True)
class Security:
    """How a device proves who it is and recognises its server. Files are read at each connection, not before.

    Attributes:
        ca: PEM file of the authority that signed the server's certificate. The link is encrypted if it is given.
        cert: PEM file of the device's certificate and its chain, for a server that demands one. Needs `key` and `ca`.
        key: PEM file of the key of `cert`.
        token_file: file with the device's token, readable by its owner alone; None: the token of the environment
            variable `EDGE_SDK_TOKEN`, if there is one.
        insecure: allow an unencrypted link to another machine. Excludes `ca`.

    Raises:
        ConfigError: `cert` without `key` or `ca`, `key` without `cert`, or both `ca` and `insecure`.
    """

    ca: str | Path | None = None
    cert: str | Path | None = None
    key: str | Path | None = None
    token_file: str | Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ConfigError(f"expected cert and key together; got cert {self.cert}, key {self.key}")
        if self.cert is not None and self.ca is None:
            raise ConfigError(
                f"expected ca, the server's authority, with the device's certificate; got {self.cert} alone"
            )
        if self.ca is not None and self.insecure:
            raise ConfigError(f"expected ca or insecure, not both; got ca {self.ca} and insecure=True")

    @property
    def encrypted(self) -> bool:
        """Whether the link is encrypted."""
        return self.ca is not None

    @property
    def handshake_bytes(self) -> int:
        """Most bytes that one TLS handshake sends, packet headers included; 0 for an unencrypted link."""
        if self.ca is None:
            return 0
        try:
            return HANDSHAKE_BYTES + (Path(self.cert).stat().st_size if self.cert is not None else 0)
        except OSError:
            return HANDSHAKE_BYTES

    def check(self, target: str) -> None:
        """Check everything that can be checked before `target`, "host:port", is dialled.

        A token that will travel unencrypted to another machine is logged as a warning.

        Raises:
            ConfigError: the link would be unencrypted to another machine without `insecure`, or a file is missing,
                readable by others, or not a certificate, key or token.
        """
        if not self.encrypted and not self.insecure and not is_loopback(host_of(target)):
            raise ConfigError(
                f"expected an encrypted link to {target}, which is not this machine; got no ca: name the server's "
                "authority (ca=..., --ca FILE; `edge-sdk keys make` makes one), or say insecure (insecure=True, "
                "--insecure) inside a private network"
            )
        self.credentials()
        for fault in self.date_faults():
            _log.warning("%s", fault)
        if self.metadata() and self.insecure and not is_loopback(host_of(target)):
            _log.warning("the token goes to %s unencrypted (insecure is set): anyone on the way can use it", target)

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Credentials for the gRPC channel; None for an unencrypted link.

        Raises:
            ConfigError: a file is missing, readable by others, or not a certificate or key.
        """
        if self.ca is None:
            return None
        import grpc

        ca = Path(self.ca)
        authority = read_pem(ca, "ca")
        check_authority(ca)
        if self.cert is None or self.key is None:
            return grpc.ssl_channel_credentials(authority)
        cert, key = Path(self.cert), Path(self.key)
        check_private(key, "key")
        check_pair(cert, key)
        return grpc.ssl_channel_credentials(authority, read_pem(key, "key"), read_pem(cert, "cert"))

    def date_faults(self, now: datetime | None = None) -> list[str]:
        """A sentence for each certificate of this device, and of its authority, that does not hold or soon will not.

        Args:
            now: with a time zone; None: the present, by this machine's clock.
        """
        moment = now or datetime.now(UTC)
        told = []
        for path, what in ((self.cert, "this device's certificate"), (self.ca, "the certificate of the authority")):
            if path is None:
                continue
            try:
                found = read_validities(read_pem(Path(path), "certificate"))
            except ConfigError:  # which `credentials` tells
                continue
            faults = [one.fault(moment) for one in found]
            if any(faults) and (what.startswith("this") or all(faults)):  # public authorities are many in one file
                told.append(f"{what} ({path}): {next(filter(None, faults))}")
        return told

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata for each gRPC call: the bearer token, or nothing where the device has none.

        Raises:
            ConfigError: the token file is missing or readable by others, or the text found is not a token.
        """
        token = self._token()
        return (("authorization", f"Bearer {token}"),) if token else ()

    def _token(self) -> str | None:
        if self.token_file is None:
            text = os.environ.get(TOKEN_VARIABLE)
            return check_token(text, f"the environment variable {TOKEN_VARIABLE}") if text else None
        path = Path(self.token_file)
        check_private(path, "token file")
        return check_token(read_given(path, "token file").decode("utf-8-sig", "replace"), f"{path}")


def open_channel(
    address: str, target: str, security: Security, options: Sequence[tuple[str, Any]] = ()
) -> grpc.aio.Channel:
    """Open a channel to the server `target` by way of `address`.

    Args:
        address: what is dialled: "host:port", or the socket of a relay, "unix:/path" or "unix-abstract:name".
        target: "host:port" of the server. Its certificate must be for this host, whatever is dialled.
        security: certificates and keys.
        options: further channel arguments.

    Raises:
        ConfigError: as `Security.credentials`.
    """
    import grpc

    credentials = security.credentials()
    named = [*options, ("grpc.default_authority", target)]
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=named)
    named.append(("grpc.ssl_target_name_override", host_of(target)))
    return grpc.aio.secure_channel(address, credentials, options=named)


def local_channel(address: str) -> grpc.Channel:
    """Open an unencrypted channel to a server on this machine, for calls that block.

    The environment's proxies are not asked: gRPC would look for this machine through them.

    Args:
        address: "host:port".
    """
    import grpc

    return grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])


def explain_failure(details: str, target: str, security: Security) -> ConnectionError:
    """Turn gRPC's report of a failed connection into an error that says what to do.

    Args:
        details: gRPC's message.
        target: "host:port" of the server.
        security: the settings that were used.

    Returns:
        `Denied` where a person must act; another `ConnectionError` where a retry may help.
    """
    if "CERTIFICATE_VERIFY_FAILED" in details:
        reason = details.rpartition("CERTIFICATE_VERIFY_FAILED:")[2].removesuffix(": OK").strip()
        if "expired" in reason or "not yet valid" in reason:
            return Denied(
                f"the certificate of {target} is not accepted ({reason}) by this device's clock, which says "
                f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC: set the clock if that is wrong, else renew the server's "
                "certificate"
            )
        return Denied(
            f"the certificate of {target} is not accepted ({reason}): check {security.ca}, the server's --tls-cert and "
            f"this device's clock, which says {time.strftime('%Y-%m-%d')}"
        )
    if "Hostname Verification" in details or "not in peer certificate" in details:  # by gRPC's release
        return Denied(
            f"the certificate of {target} is for another host: make one for {host_of(target)} "
            f"(`edge-sdk keys make --server {host_of(target)} --replace`)"
        )
    if "WRONG_VERSION_NUMBER" in details:
        return Denied(f"{target} does not speak TLS: start cloud-server with --tls-cert and --tls-key, or leave out ca")
    if "Socket closed" in details or "reset by peer" in details.lower():
        if faults := security.date_faults():
            return ConnectionError(f"{target} ends each connection at once: {faults[0]}")
        hint = (
            "does not accept this device's certificate" if security.cert else "demands a device certificate (cert, key)"
        )
        if not security.encrypted:
            hint = "speaks TLS (name its authority: ca)"
        return ConnectionError(f"{target} ends each connection at once: it may be that it {hint}")
    if "handshake failed" in details.lower():
        return ConnectionError(f"no encrypted link to {target}: {details.rpartition('last error: ')[2]}")
    return ConnectionError(f"no cloud server answers at {target}")


def host_of(target: str) -> str:
    """The host of "host:port", "[address]:port" or "unix:/path", without brackets."""
    if target.startswith("unix:"):
        return "unix:"
    return target.rpartition(":")[0].strip("[]")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback; names other than "localhost" are not resolved."""
    if host in ("localhost", "unix:"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_private(path: Path, what: str) -> None:
    """Check that only a file's owner has permissions on it.

    Args:
        path: the file.
        what: its name in messages, such as "key".

    Raises:
        ConfigError: others have permissions too, or the file is missing.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from error
    if mode & _OTHERS:
        raise ConfigError(
            f"expected the {what} {path} to be accessible to its owner only; its mode is {stat.S_IMODE(mode):04o}: "
            f"run `chmod 600 {path}`"
        )
