from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud_server.access.tls import TlsFiles, server_credentials
from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority

NOW = datetime.now(UTC)


def files_in(folder: Path, *, made: datetime = NOW, days: int = 30) -> TlsFiles:
    authority = Authority(folder, now=made)
    pair = authority.issue_server(["localhost"], days=days)
    return TlsFiles(pair.cert, pair.key, authority.files.cert)


def test_a_pair_that_fits_is_taken_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = files_in(tmp_path)
    assert server_credentials(files) is not None
    assert server_credentials(dataclasses.replace(files, client_ca=None)) is not None
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("made", "message"),
    [(NOW - timedelta(days=60), "certificate has expired"), (NOW + timedelta(days=2), "not yet valid")],
)
def test_a_certificate_that_devices_will_refuse_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, made: datetime, message: str
) -> None:
    files = files_in(tmp_path, made=made)
    server_credentials(files)
    assert [line for line in caplog.messages if str(files.cert) in line and message in line]


def test_a_key_that_everyone_may_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = files_in(tmp_path)
    files.key.chmod(0o644)
    server_credentials(files)
    assert f"every user of this machine may read the key {files.key}" in caplog.text


def test_files_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    files, others = files_in(tmp_path / "one"), files_in(tmp_path / "two")
    with pytest.raises(ConfigError, match="expected a PEM certificate"):
        server_credentials(dataclasses.replace(files, key=others.key))
    with pytest.raises(ConfigError, match="No such file"):
        server_credentials(dataclasses.replace(files, cert=tmp_path / "none"))
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(ConfigError, match="authority"):
        server_credentials(dataclasses.replace(files, client_ca=tmp_path / "text"))
