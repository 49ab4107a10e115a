from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from prometheus_client import CollectorRegistry, Counter

from cloud_server.access.tls import ServerCertificate, TlsFiles
from cloud_server.http.app import make_app
from cloud_server.http.endpoint import Endpoint
from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority

_open = build_opener(ProxyHandler({})).open


def get(address: str, path: str, method: str = "GET") -> tuple[int, str]:
    try:
        with _open(Request(f"http://{address}{path}", method=method)) as reply:
            return reply.status, reply.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def states() -> list[bool]:
    return [True]


@pytest.fixture
def endpoint(states: list[bool]) -> Iterator[Endpoint]:
    registry = CollectorRegistry()
    Counter("seen", "Things.", registry=registry).inc(3)
    it = Endpoint("127.0.0.1", 0, make_app(registry, lambda: states[-1])[1])
    yield it
    it.close()


def test_metrics_and_health(endpoint: Endpoint, states: list[bool]) -> None:
    status, text = get(endpoint.address, "/metrics")
    assert status == 200
    assert "seen_total 3.0" in text.splitlines()
    for path in ("/healthz", "/readyz"):
        assert get(endpoint.address, path) == (200, "serving\n")
        assert get(endpoint.address, path, "HEAD") == (200, "")
    states.append(False)
    for path in ("/healthz", "/readyz"):
        assert get(endpoint.address, path) == (503, "not serving\n")


def test_other_paths_and_methods_are_refused(endpoint: Endpoint) -> None:
    assert get(endpoint.address, "/")[0] == 404
    assert get(endpoint.address, "/metrics", "POST")[0] == 405


def test_a_silent_client_holds_up_no_one(endpoint: Endpoint) -> None:
    host, _, port = endpoint.address.partition(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"GET /met")
        assert get(endpoint.address, "/healthz") == (200, "serving\n")


def test_a_taken_port_is_explained(endpoint: Endpoint) -> None:
    port = int(endpoint.address.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: the port is taken"):
        Endpoint("127.0.0.1", port, make_app(CollectorRegistry(), lambda: True)[1])


def test_ipv6() -> None:
    try:
        endpoint = Endpoint("::1", 0, make_app(CollectorRegistry(), lambda: True)[1])
    except ConfigError as error:
        pytest.skip(str(error))
    try:
        assert endpoint.address.startswith("[::1]:")
        assert get(endpoint.address, "/healthz") == (200, "serving\n")
    finally:
        endpoint.close()


def test_it_ends_while_a_client_is_silent(endpoint: Endpoint) -> None:
    host, _, port = endpoint.address.partition(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"POST /none HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        endpoint.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_over_tls_a_real_client_is_served_and_gets_the_renewed_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "keys")
    pair = authority.issue_server(["127.0.0.1"])
    first = pair.cert.read_text().strip()
    files = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem", authority.files.cert)
    shutil.copy(pair.cert, files.cert)
    shutil.copy(pair.key, files.key)
    app = make_app(CollectorRegistry(), lambda: True)[1]
    endpoint = Endpoint("127.0.0.1", 0, app, ServerCertificate(files).for_browsers())
    host, _, port = endpoint.address.partition(":")
    try:
        asked = ["curl", "-sS", "--noproxy", "*", "--cacert", str(authority.files.cert)]
        said = subprocess.run([*asked, f"https://{endpoint.address}/healthz"], capture_output=True, text=True)
        assert (said.returncode, said.stdout, said.stderr) == (0, "serving\n", "")
        plain = subprocess.run([*asked, f"http://{endpoint.address}/healthz"], capture_output=True, text=True)
        assert plain.returncode != 0

        def shown() -> str:
            return ssl.get_server_certificate((host, int(port))).strip()

        assert shown() == first
        files.cert.write_text("in the middle of a renewal")
        assert shown() == first
        other = authority.issue_server(["127.0.0.1"], replace=True)
        shutil.copy(other.cert, files.cert)
        shutil.copy(other.key, files.key)
        assert shown() == other.cert.read_text().strip()
        with socket.create_connection((host, int(port))) as silent:
            assert silent.fileno() > 0
            assert shown() == other.cert.read_text().strip()
    finally:
        endpoint.close()
