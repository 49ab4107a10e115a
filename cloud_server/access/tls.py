"""The server's side of TLS: its certificate, and the authority of the devices' certificates."""

from __future__ import annotations

import logging
import stat
from dataclasses import dataclass
from pathlib import Path

import grpc

from edge_sdk.security.credentials import check_authority, check_pair, read_pem

_log = logging.getLogger(__name__)


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


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Read and check the files.

    Raises:
        ConfigError: one is missing, is not what it should be, or certificate and key do not belong together.
    """
    check_pair(files.cert, files.key)
    key, cert = read_pem(files.key, "key"), read_pem(files.cert, "certificate")
    if files.key.stat().st_mode & stat.S_IROTH:
        _log.warning("every user of this machine may read the key %s: run `chmod o-r %s`", files.key, files.key)
    authority = None
    if files.client_ca is not None:
        check_authority(files.client_ca)
        authority = read_pem(files.client_ca, "client CA")
    return grpc.ssl_server_credentials([(key, cert)], authority, require_client_auth=authority is not None)
