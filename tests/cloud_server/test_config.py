from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud_server.access.tls import TlsFiles
from cloud_server.cli import main as command
from cloud_server.config import MOST, MOST_IMAGE_BYTES, ServerConfig
from cloud_server.model.decode import Limits
from edge_sdk.errors import ConfigError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_batch": 0}, "max_batch from 1 to 65536; got 0"),
        ({"threads": 100_000}, "threads from 1 to 1024; got 100000"),
        ({"limits": Limits(max_bytes=2 << 30)}, "max_image_bytes of at most 1073741824; got 2147483648"),
        ({"queue": 0}, "queue"),
        ({"stream_window": 0}, "stream_window"),
        ({"decoders": 0}, "decoders"),
        ({"port": 65536}, "port from 0 to 65535; got 65536"),
        ({"http_port": 70000}, "port from 0 to 65535; got 70000"),
        ({"drain_s": -1}, "drain_s of at least 0; got -1"),
        ({"max_wait_ms": -1}, "max_wait_ms of at least 0; got -1"),
        ({"burst": 0}, "burst"),
        ({"max_frames_per_s": 0.0}, "max_frames_per_s above 0, or None; got 0"),
        ({"max_streams_per_device": 0}, "max_streams_per_device"),
        ({"cached_replies": 0}, "cached_replies"),
        ({"archive_limit_bytes": 0}, "archive_limit_bytes"),
        ({"archive_fraction": 0.0}, "archive_fraction above 0, up to 1; got 0.0"),
        ({"archive_fraction": 1.5}, "archive_fraction above 0, up to 1; got 1.5"),
    ],
)
def test_a_bad_setting_is_explained(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ServerConfig(**change)


def test_other_machines_are_served_with_encryption_or_on_request() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.7", "cloud.example"):
        with pytest.raises(ConfigError, match=f"expected an encrypted link on {host}"):
            ServerConfig(host=host)
        ServerConfig(host=host, insecure=True)
        ServerConfig(host=host, tls=TlsFiles(Path("cert"), Path("key")))
    for host in ("127.0.0.1", "::1", "localhost"):
        ServerConfig(host=host)


def test_its_own_port_for_devices_is_not_called_another_programs() -> None:
    own = "another port for --http than this server's own for devices, --port 8080; got the same"
    for host, http_host in (
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("::1", "localhost"),
        ("[::]", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("cloud.example", "cloud.example"),
    ):
        with pytest.raises(ConfigError, match=own):
            ServerConfig(host=host, port=8080, http_host=http_host, http_port=8080, insecure=True)
    ServerConfig(host="192.168.1.7", port=8080, http_host="127.0.0.1", http_port=8080, insecure=True)
    ServerConfig(host="0.0.0.0", port=8080, http_host="::1", http_port=8080, insecure=True)
    ServerConfig(port=8080, http_port=8081)
    ServerConfig(port=0, http_port=0)


def test_the_command_has_the_same_bounds() -> None:
    options = {one.name: one for one in command.params}
    for name, most in (MOST | {"max_image_bytes": MOST_IMAGE_BYTES}).items():
        assert getattr(options[name].type, "max", None) == most, name
