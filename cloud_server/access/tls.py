"""The server's side of TLS: its certificate, and the authority of the devices' certificates."""

from __future__ import annotations

import logging
import ssl
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
    if why := _validity_fault(files):
        _log.error("devices will refuse the certificate %s: %s", files.cert, why)
    authority = None
    if files.client_ca is not None:
        check_authority(files.client_ca)
        authority = read_pem(files.client_ca, "client CA")
    return grpc.ssl_server_credentials([(key, cert)], authority, require_client_auth=authority is not None)


def _validity_fault(files: TlsFiles) -> str:
    """Why the certificate is not valid today ("certificate has expired"); empty where it is.

    Found by a handshake with itself in memory, in which the certificate alone is trusted.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.cert, files.key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(files.cert)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True))
    for side in sides * 3:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except ssl.SSLError:
            return ""  # whatever else it is, gRPC says it
    return ""
