"""A development authority and what it issues."""

from __future__ import annotations

import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.security.certificates import Authority, Pair, write_new


def loaded(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.cert.read_bytes())


def test_an_authority_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = Authority(tmp_path / "keys")
    assert first.is_new
    again = Authority(tmp_path / "keys")
    assert not again.is_new
    assert loaded(first.files) == loaded(again.files)


def test_a_server_is_known_by_its_names_and_signed_by_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue_server(["vm.example", "192.0.2.1"])
    names = loaded(pair).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["vm.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    loaded(pair).verify_directly_issued_by(loaded(authority.files))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair.cert, pair.key)


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for pair in (authority.files, authority.issue_device("cam-1")):
        assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600


def test_a_device_is_not_made_twice_unless_asked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    first = loaded(authority.issue_device("cam-1"))
    with pytest.raises(ConfigError, match="replace"):
        authority.issue_device("cam-1")
    assert loaded(authority.issue_device("cam-1", replace=True)) != first


def test_a_certificate_lasts_as_many_days_as_asked(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    pair = Authority(tmp_path, now=now).issue_device("cam-1", days=10)
    assert loaded(pair).not_valid_after_utc - now <= timedelta(days=10)


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_new(path, b"one", 0o600)
    with pytest.raises(ConfigError):
        write_new(path, b"two", 0o600)
    write_new(path, b"two", 0o600, replace=True)
    assert path.read_bytes() == b"two"


_WRITE = """
import sys
from pathlib import Path
from edge_sdk.security.certificates import write_new
sys.stdin.read()
write_new(Path(sys.argv[1]), sys.argv[2].encode() * 100_000, 0o600)
print(sys.argv[2])
"""


def test_of_processes_that_make_the_same_file_at_once_one_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "key"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITE, str(path), word],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for word in "abcdef"
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.close()  # they go on from here
    made = []
    for process in running:
        assert process.stdout is not None
        made += process.stdout.read().split()
        process.stdout.close()
        process.wait(60)
    assert len(made) == 1
    assert path.read_bytes() == made[0].encode() * 100_000


def test_a_write_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge_sdk.security.certificates.write_whole", full)
    with pytest.raises(StorageError, match="No space left"):
        write_new(tmp_path / "key", b"content", 0o600)
    assert not (tmp_path / "key").exists()
