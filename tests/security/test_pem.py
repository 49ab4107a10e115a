"""PEM files that are not what they should be, as operators hand them over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority, Pair
from edge_sdk.security.pem import check_authority, check_pair, read_pem, signs_others


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "keys")


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue_server(["vm"])


def refusal(cert: Path, key: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        check_pair(cert, key)
    text = str(caught.value)
    assert text.isprintable()
    return text


def test_what_fits_is_taken_with_its_chain_and_any_line_ends(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    check_pair(pair.cert, pair.key)
    chain = tmp_path / "chain.pem"
    chain.write_bytes((pair.cert.read_bytes() + authority.files.cert.read_bytes()).replace(b"\n", b"\r\n"))
    check_pair(chain, pair.key)
    check_authority(authority.files.cert)
    assert signs_others(authority.files.cert)
    assert not signs_others(pair.cert)


def test_a_key_of_another_certificate(authority: Authority, pair: Pair) -> None:
    assert refusal(pair.cert, authority.issue_device("cam").key).endswith("the key is that of another certificate")


def test_a_chain_the_wrong_way_round(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(authority.files.cert.read_bytes() + pair.cert.read_bytes())
    assert "the key is that of certificate 2 in the file: the server's own must come first" in refusal(chain, pair.key)


def test_files_in_each_others_place(authority: Authority, pair: Pair) -> None:
    assert "the two are swapped" in refusal(pair.key, pair.cert)
    assert "has no certificate" in refusal(pair.key, pair.key)
    assert "has no private key" in refusal(pair.cert, pair.cert)
    with pytest.raises(ConfigError, match="private key alone"):
        check_authority(authority.files.key)


def test_other_forms_are_named(pair: Pair, tmp_path: Path) -> None:
    der, marked, wide = tmp_path / "cert.der", tmp_path / "marked.pem", tmp_path / "wide.pem"
    made = x509.load_pem_x509_certificate(pair.cert.read_bytes())
    der.write_bytes(made.public_bytes(serialization.Encoding.DER))
    assert "it looks like DER" in refusal(der, pair.key)
    marked.write_bytes(b"\xef\xbb\xbf" + pair.cert.read_bytes())
    assert "byte order mark" in refusal(marked, pair.key)
    wide.write_text(pair.cert.read_text(), "utf-16")
    assert "byte order mark" in refusal(wide, pair.key)


def test_a_key_with_a_passphrase(pair: Pair, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        secret = tmp_path / "secret.key"
        secret.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"word"))
        )
        assert "the key has a passphrase" in refusal(pair.cert, secret)


def test_what_is_no_such_file_at_all(pair: Pair, tmp_path: Path) -> None:
    empty, cut = tmp_path / "empty", tmp_path / "cut.pem"
    empty.write_text("")
    cut.write_bytes(pair.cert.read_bytes()[:200])
    assert "got 0 bytes without a BEGIN line" in refusal(empty, pair.key)
    assert "expected a PEM certificate" in refusal(cut, pair.key)
    assert "it is a folder" in refusal(tmp_path, pair.key)
    assert "No such file" in refusal(pair.cert, tmp_path / "none")
    subprocess.run(["mkfifo", tmp_path / "pipe"], check=True)
    assert "it is a pipe" in refusal(pair.cert, tmp_path / "pipe")
    with pytest.raises(ConfigError, match="expected PEM certificates of an authority"):
        check_authority(cut)
    with pytest.raises(ConfigError, match="expected PEM in the ca"):
        read_pem(empty, "ca")
