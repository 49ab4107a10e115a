"""Who talks to whom: certificates and a token on the device's side of the link, and what may go unencrypted."""

from __future__ import annotations

import ipaddress
import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.errors import ConfigError
from edge_sdk.security.tokens import check_token

if TYPE_CHECKING:
    import grpc

_log = logging.getLogger(__name__)

TOKEN_VARIABLE = "EDGE_SDK_TOKEN"
HANDSHAKE_BYTES = 4_000
"""What the device sends in a TLS 1.3 handshake, its certificate apart: a hello with a post-quantum key share, once more
if the server asks for another one, a signature and the end."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Denied(ConnectionError):
    """One side does not accept the other: trying again changes nothing until a person acts."""


@dataclass(frozen=True, slots=True)
class Security:
    """How a device proves who it is and knows its server. Files are read when a connection is made, not before.

    Attributes:
        ca: PEM file of the authority that the server's certificate comes from; the link is encrypted if it is given.
        cert: PEM file of the device's own certificate, with its chain, for a server that demands one.
        key: PEM file of the key of `cert`.
        token_file: file with the device's token, readable by its owner alone; None: the token of the environment
            variable `EDGE_SDK_TOKEN`, if there is one.
        insecure: speak unencrypted with a server that is not on this machine.

    Raises:
        ConfigError: values that do not go together.
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
            raise ConfigError(f"expected ca or insecure, which excludes it; got both, ca {self.ca}")

    @property
    def encrypted(self) -> bool:
        """Whether the link is encrypted."""
        return self.ca is not None

    @property
    def handshake_bytes(self) -> int:
        """What one TLS handshake sends at most, packet headers included; 0 for an unencrypted link."""
        if self.ca is None:
            return 0
        try:
            return HANDSHAKE_BYTES + (Path(self.cert).stat().st_size if self.cert is not None else 0)
        except OSError:
            return HANDSHAKE_BYTES

    def check(self, target: str) -> None:
        """Judge all that can be judged before dialling `target`, "host:port".

        Raises:
            ConfigError: an unencrypted link to another machine, or a file that is missing, unsafe or no certificate.
        """
        if not self.encrypted and not self.insecure and not is_loopback(host_of(target)):
            raise ConfigError(
                f"expected an encrypted link to {target}, which is not this machine; got no ca: name the server's "
                "authority (ca=..., --ca FILE; `edge-sdk keys make` makes one), or say insecure (insecure=True, "
                "--insecure) inside a private network"
            )
        self.credentials()
        if self.metadata() and self.insecure and not is_loopback(host_of(target)):
            _log.warning("the token goes to %s unencrypted, as insecure says: whoever listens can use it", target)

    def credentials(self) -> grpc.ChannelCredentials | None:
        """The channel's credentials, None for an unencrypted link.

        Raises:
            ConfigError: a file is missing, unsafe, or no certificate or key.
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

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with each call: the token, where the device has one.

        Raises:
            ConfigError: the file is missing, may be read by others, or what was found is no token.
        """
        token = self._token()
        return (("authorization", f"Bearer {token}"),) if token else ()

    def _token(self) -> str | None:
        if self.token_file is None:
            text = os.environ.get(TOKEN_VARIABLE)
            return check_token(text, f"the environment variable {TOKEN_VARIABLE}") if text else None
        path = Path(self.token_file)
        check_private(path, "token file")
        return check_token(_read(path, "token file").decode(errors="replace"), f"{path}")


def open_channel(
    address: str, target: str, security: Security, options: Sequence[tuple[str, Any]] = ()
) -> grpc.aio.Channel:
    """A channel to the server `target`, dialled at `address`.

    Args:
        address: what is dialled: "host:port", or "unix:/path" of a relay on the way.
        target: "host:port" of the server: its certificate must be for this host, whatever is dialled.
        security: certificates and keys.
        options: the channel's further arguments.

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


def explain_failure(details: str, target: str, security: Security) -> ConnectionError:
    """What to tell of a connection that failed.

    Args:
        details: gRPC's words for it.
        target: "host:port" of the server.
        security: what was tried.

    Returns:
        `Denied` where a person must act, another `ConnectionError` where waiting may help.
    """
    if "CERTIFICATE_VERIFY_FAILED" in details:
        reason = details.rpartition("CERTIFICATE_VERIFY_FAILED:")[2].removesuffix(": OK").strip()
        return Denied(
            f"the certificate of {target} is not accepted ({reason}): check {security.ca}, the server's --tls-cert and "
            "this device's clock"
        )
    if "Hostname Verification" in details or "not in peer certificate" in details:  # by gRPC's release
        return Denied(
            f"the certificate of {target} is for another host: make one for {host_of(target)} "
            f"(`edge-sdk keys make --server {host_of(target)} --replace`)"
        )
    if "WRONG_VERSION_NUMBER" in details:
        return Denied(f"{target} does not speak TLS: start cloud-server with --tls-cert and --tls-key, or leave out ca")
    if "Socket closed" in details or "reset by peer" in details.lower():
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
    """Whether a host's name or address stays on this machine."""
    if host in ("localhost", "unix:"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_private(path: Path, what: str) -> None:
    """Refuse a file that others than its owner may read.

    Raises:
        ConfigError: they may, or there is no such file.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from error
    if mode & _OTHERS:
        raise ConfigError(
            f"expected the {what} {path} to be its owner's alone; its mode is {stat.S_IMODE(mode):04o}: "
            f"run `chmod 600 {path}`"
        )


def check_pair(cert: Path, key: Path) -> None:
    """Refuse a certificate and a key that do not belong together, or are none.

    Raises:
        ConfigError: with the reason.
    """
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"expected a PEM certificate {cert} and its unencrypted key {key}: {reason}") from error


def check_authority(path: Path) -> None:
    """Refuse a file without certificates.

    Raises:
        ConfigError: with the reason.
    """
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:
        raise ConfigError(f"expected PEM certificates of an authority in {path}: {error.strerror}") from error


def read_pem(path: Path, what: str) -> bytes:
    """The content of a PEM file.

    Raises:
        ConfigError: it cannot be read, or is no PEM.
    """
    content = _read(path, what)
    if b"-----BEGIN" not in content:
        raise ConfigError(f"expected PEM in the {what} {path}; got {len(content)} bytes without a BEGIN line")
    return content


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from error
