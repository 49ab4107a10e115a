"""A development authority and what it issues."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from edge_sdk.errors import ConfigError
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
