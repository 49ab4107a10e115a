"""The command `edge-sdk keys`, and the certificates it makes."""

from __future__ import annotations

import ipaddress
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from edge_sdk.cli import cli
from edge_sdk.errors import ConfigError, EdgeError
from edge_sdk.security.certificates import Authority
from edge_sdk.security.tokens import hash_token, read_tokens


def run(*arguments: object) -> str:
    done = CliRunner().invoke(cli, ["keys", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.output


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_it_makes_all_files_and_says_what_each_is_for(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "keys"
    text = run("make", "--out", folder, "--server", "vm.example", "--server", "10.0.0.5", "--device", "cam-1")
    names = ("ca", "server", "cam-1")
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{n}.{e}" for n in names for e in ("key", "pem"))
    for name in names:
        assert stat.S_IMODE((folder / f"{name}.key").stat().st_mode) == 0o600
        assert f"{name}.pem" in text
        assert f"{name}.key" in text
    for words in ("--tls-cert", "--client-ca", "--ca", "--cert", "--key", "no device needs it"):
        assert words in text


def test_the_certificates_are_what_they_should_be(tmp_path: Path) -> None:
    run("make", "--out", tmp_path, "--server", "vm.example", "--server", "[::1]", "--device", "cam-1", "--days", 30)
    ca, server, device = (load(tmp_path / f"{name}.pem") for name in ("ca", "server", "cam-1"))
    for certificate in (ca, server, device):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
        certificate.verify_directly_issued_by(ca)
    limits = ca.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["vm.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("::1")]
    purposes = [
        certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value for certificate in (server, device)
    ]
    assert [next(iter(purpose))._name for purpose in purposes] == ["serverAuth", "clientAuth"]
    assert device.subject.rfc4514_string() == "CN=cam-1"
    for certificate, days in ((server, 30), (device, 30), (ca, 3650)):
        left = certificate.not_valid_after_utc - datetime.now(UTC)
        assert timedelta(days=days - 1) < left <= timedelta(days=days)
        assert certificate.not_valid_before_utc < datetime.now(UTC) - timedelta(hours=23)
    ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))


def test_a_device_is_added_later_from_the_same_authority(tmp_path: Path) -> None:
    run("make", "--out", tmp_path, "--server", "vm", "--device", "cam-1")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run("make", "--out", tmp_path, "--device", "cam-2")
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    load(tmp_path / "cam-2.pem").verify_directly_issued_by(load(tmp_path / "ca.pem"))


def test_nothing_is_written_over_but_on_demand(tmp_path: Path) -> None:
    run("make", "--out", tmp_path, "--server", "vm", "--device", "cam-1")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for option in (("--server", "vm"), ("--device", "cam-1")):
        with pytest.raises(ConfigError, match="--replace"):
            run("make", "--out", tmp_path, *option)
    (tmp_path / "cam-1.pem").unlink()
    with pytest.raises(ConfigError, match="--replace"):
        run("make", "--out", tmp_path, "--device", "cam-1")
    run("make", "--out", tmp_path, "--server", "other", "--replace")
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"server.pem", "server.key"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "neither"),
        (("--server", "vm:50051"), "without a port; got 'vm:50051'"),
        (("--server", ""), "host name or an IP address"),
        (("--device", "two words"), "device name"),
        (("--device", "server"), "other than ca and server"),
    ],
)
def test_bad_names_are_explained(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run("make", "--out", tmp_path, *arguments)


def test_half_an_authority_is_none(tmp_path: Path) -> None:
    Authority(tmp_path)
    (tmp_path / "ca.key").rename(tmp_path / "offline.key")
    with pytest.raises(ConfigError, match=r"expected an authority, ca\.pem and ca\.key"):
        Authority(tmp_path)
    Authority(tmp_path / "other").files.key.rename(tmp_path / "ca.key")
    with pytest.raises(ConfigError, match="it is another key"):
        Authority(tmp_path)


def test_a_token_is_printed_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    token = run("token", "cam-1", "--tokens", tokens).strip()
    assert read_tokens(tokens).hashes == {"cam-1": hash_token(token)}
    with pytest.raises(ConfigError, match="--replace"):
        run("token", "cam-1", "--tokens", tokens)
    assert "may not call" in run("revoke", "cam-1", "--tokens", tokens)
    assert read_tokens(tokens).hashes == {}


def test_a_token_goes_to_a_file_of_its_owner(tmp_path: Path) -> None:
    tokens, out = tmp_path / "tokens", tmp_path / "cam-1.token"
    text = run("token", "cam-1", "--tokens", tokens, "--out", out)
    token = out.read_text().strip()
    assert token not in text
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert read_tokens(tokens).device_of(hash_token(token)) == "cam-1"
    with pytest.raises(EdgeError, match="--replace"):
        run("token", "cam-2", "--tokens", tokens, "--out", out)
    assert set(read_tokens(tokens).hashes) == {"cam-1"}
