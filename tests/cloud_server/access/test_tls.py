"""The server's certificate: told when its days are over, renewed while the server runs."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from gated_model import GatedModel

from cloud_server.access.tls import ServerCertificate, TlsFiles
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority
from edge_sdk.security.credentials import Security, open_channel
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

NOW = datetime.now(UTC)


def files_in(folder: Path, *, made: datetime = NOW, days: int = 90) -> TlsFiles:
    authority = Authority(folder, now=made)
    pair = authority.issue_server(["localhost", "127.0.0.1"], days=days)
    return TlsFiles(pair.cert, pair.key, authority.files.cert)


def told(files: TlsFiles, caplog: pytest.LogCaptureFixture) -> list[str]:
    ServerCertificate(files).tell_dates()
    return caplog.messages


def test_a_pair_that_fits_is_taken_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = files_in(tmp_path)
    for some in (files, dataclasses.replace(files, client_ca=None)):
        assert told(some, caplog) == []
        assert ServerCertificate(some).credentials() is not None


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (NOW - timedelta(days=100), "it has expired on"),
        (NOW - timedelta(days=80), "it expires in 9 days"),
        (NOW + timedelta(days=2), "it is not yet valid"),
    ],
)
def test_a_certificate_that_devices_will_refuse_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, made: datetime, message: str
) -> None:
    files = files_in(tmp_path, made=made)
    assert [line for line in told(files, caplog) if str(files.cert) in line and message in line]


def test_an_authority_that_ends_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = files_in(tmp_path, made=NOW - timedelta(days=3640), days=3700)
    assert [line for line in told(files, caplog) if "authority of the devices" in line and "expires in 9 days" in line]


def test_a_chain_whose_links_do_not_hold_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files, other = files_in(tmp_path / "one"), Authority(tmp_path / "two").issue_server(["vm"])
    with files.cert.open("ab") as file:
        file.write(other.cert.read_bytes())
    assert ["its certificate 2 is not the issuer of certificate 1" in line for line in told(files, caplog)] == [True]


def test_a_devices_certificate_that_ends_is_told_once_a_day(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority, moment = Authority(tmp_path), [NOW]
    device = authority.issue_device("cam-1", days=10)
    it = ServerCertificate(files_in(tmp_path / "server"))
    for hours in (0, 1, 25):
        moment[0] = NOW + timedelta(hours=hours)
        it.tell_date_of("certificate cam\n1", device.cert.read_bytes(), lambda: moment[0])
    assert [line.split(":")[0] for line in caplog.messages] == ["the certificate of certificate cam\\n1"] * 2
    assert "it expires in 10 days" in caplog.messages[0]


def test_a_key_that_everyone_may_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = files_in(tmp_path)
    files.key.chmod(0o644)
    assert f"every user of this machine may read the key {files.key}" in told(files, caplog)[0]


def test_a_certificate_that_signs_no_others_is_no_authority(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = files_in(tmp_path)
    assert "may sign others" in told(dataclasses.replace(files, client_ca=files.cert), caplog)[0]


def test_files_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    files, others = files_in(tmp_path / "one"), files_in(tmp_path / "two")
    with pytest.raises(ConfigError, match="expected a PEM certificate"):
        ServerCertificate(dataclasses.replace(files, key=others.key))
    with pytest.raises(ConfigError, match="No such file"):
        ServerCertificate(dataclasses.replace(files, cert=tmp_path / "none"))
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(ConfigError, match="ca"):
        ServerCertificate(dataclasses.replace(files, client_ca=tmp_path / "text"))


def shown_by(address: str) -> str:
    """The certificate that a server shows, PEM."""
    host, _, port = address.rpartition(":")
    return ssl.get_server_certificate((host, int(port)))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_renewed_certificate_is_taken_without_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import asyncio

    caplog.set_level(logging.INFO)
    files, fresh = files_in(tmp_path / "old"), files_in(tmp_path / "new")
    alone = dataclasses.replace(files, client_ca=None)
    async with CloudServer(ServerConfig(port=0, max_batch=4, tls=alone), GatedModel()) as server:
        old = await asyncio.to_thread(shown_by, server.address)
        assert old.strip() == files.cert.read_text().strip()
        shutil.copy(fresh.cert, files.cert)  # the key has not come yet
        assert await asyncio.to_thread(shown_by, server.address) == old
        assert "the one before goes on to serve" in caplog.text
        assert not await server.reload()
        shutil.copy(fresh.key, files.key)
        assert (await asyncio.to_thread(shown_by, server.address)).strip() == fresh.cert.read_text().strip()
        assert "new connections get what was renewed" in caplog.text
        assert await server.reload()
        assert "reloaded, unchanged: certificate" in caplog.text


async def test_a_renewed_authority_lets_its_devices_in(tmp_path: Path) -> None:
    files, other = files_in(tmp_path / "one"), Authority(tmp_path / "two")
    device = other.issue_device("cam-1")
    async with CloudServer(ServerConfig(port=0, max_batch=4, tls=files), GatedModel()) as server:
        assert files.client_ca is not None
        ca = tmp_path / "ca.pem"
        shutil.copy(files.client_ca, ca)
        security = Security(ca=ca, cert=device.cert, key=device.key)

        async def ask() -> str:
            async with open_channel(
                server.address, server.address, security, [("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                said = await wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest())
                return str(said.model)

        with pytest.raises(grpc.aio.AioRpcError):
            await ask()
        with files.client_ca.open("ab") as file:
            file.write(other.files.cert.read_bytes())
        assert await ask() == "gated"


async def test_connections_without_a_call_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import asyncio

    files = files_in(tmp_path)
    async with CloudServer(ServerConfig(port=0, max_batch=4, tls=files), GatedModel()) as server:
        for _ in range(3):
            await asyncio.to_thread(shown_by, server.address)  # shows no certificate, and calls nothing
        server._tell_handshakes()
        server._tell_handshakes()
    assert caplog.text.count("encrypted connections began within a minute, and no call came of them") == 1
