from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from settings_parts import MADE_AT, Operator

from edge_sdk.errors import ConfigError
from edge_sdk.fleet.signed import (
    MOST_BYTES,
    Body,
    SettingsKey,
    Untrusted,
    has_expired,
    new_settings_key,
    read_signed,
    sign,
)
from edge_sdk.security.certificates import Authority


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(tmp_path_factory.mktemp("keys"))


def test_what_was_signed_is_read_and_checked(operator: Operator) -> None:
    signed = read_signed(operator.signed(3, "cam-1", threshold=0.7))
    SettingsKey(operator.public).check(signed)
    assert (signed.body.device, signed.body.version, signed.body.settings) == ("cam-1", 3, {"threshold": 0.7})
    assert signed.key == operator.key_id == SettingsKey(operator.public).key_id


def test_another_key_s_signature_is_not_trusted(operator: Operator, tmp_path: Path) -> None:
    stranger = Operator(tmp_path)
    with pytest.raises(Untrusted, match=f"not of this device's settings key {operator.key_id}.*{stranger.key_id}"):
        SettingsKey(operator.public).check(read_signed(stranger.signed()))


@given(data=st.data())
def test_no_changed_byte_is_trusted(operator: Operator, data: st.DataObject) -> None:
    content = bytearray(operator.signed(3, "cam-1", threshold=0.7))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        signed = read_signed(bytes(content))
        SettingsKey(operator.public).check(signed)
    except Untrusted:
        return
    # what is left is another spelling of the same: of the key's name, which is for people, or of white space
    assert signed.body == read_signed(operator.signed(3, "cam-1", threshold=0.7)).body


@given(st.binary(max_size=300))
def test_anything_else_is_no_settings(content: bytes) -> None:
    with pytest.raises(Untrusted):
        read_signed(content)


@pytest.mark.parametrize(
    "body",
    [
        {"device": "*", "version": 0, "made_at": "2026-11-27T12:00:00Z"},
        {"device": "*", "version": 1 << 60, "made_at": "2026-11-27T12:00:00Z"},
        {"device": "*", "version": 1, "made_at": "2026-11-27T12:00:00"},
        {"device": 1, "version": 1, "made_at": "2026-11-27T12:00:00Z"},
        {"version": 1, "made_at": "2026-11-27T12:00:00Z"},
        {"device": "*", "version": 1, "made_at": "2026-11-27T12:00:00Z", "settings": [1]},
    ],
    ids=str,
)
def test_a_body_that_says_no_such_thing_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(Untrusted, match="expected signed settings"):
        read_signed(json.dumps({"settings": json.dumps(body), "key": "x", "signature": ""}).encode())


def test_fields_of_later_versions_are_ignored(operator: Operator) -> None:
    file = json.loads(operator.signed())
    assert read_signed(json.dumps({**file, "later": 1}).encode()).body.version == 1


def test_size_is_bounded(operator: Operator) -> None:
    with pytest.raises(Untrusted, match="at most"):
        read_signed(b" " * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match="at most"):
        sign(operator.key, Body(device="*", version=1, made_at=MADE_AT, settings={"archive": "x" * MOST_BYTES}))
    with pytest.raises(Untrusted):
        read_signed(b"[" * MOST_BYTES)


def test_a_key_that_cannot_be_used_is_told(operator: Operator, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected an Ed25519 public key"):
        SettingsKey(operator.key)
    with pytest.raises(ConfigError, match="expected an Ed25519"):
        SettingsKey(Authority(tmp_path / "keys").files.cert)
    with pytest.raises(ConfigError, match="cannot read"):
        SettingsKey(tmp_path / "none")
    with pytest.raises(ConfigError, match="expected no file"):
        new_settings_key(operator.key, operator.public)
    operator.key.chmod(0o644)
    try:
        with pytest.raises(ConfigError, match="owner only"):
            operator.signed()
    finally:
        operator.key.chmod(0o600)


def test_settings_expire() -> None:
    until = datetime(2026, 12, 1, tzinfo=UTC)
    body = Body(device="*", version=1, made_at=MADE_AT, expires_at=until)
    assert not has_expired(body, datetime(2026, 11, 30, tzinfo=UTC))
    assert has_expired(body, until)
    assert not has_expired(Body(device="*", version=1, made_at=MADE_AT), until)
