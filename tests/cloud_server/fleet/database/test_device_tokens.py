from __future__ import annotations

import pytest
from sqlalchemy import Engine

from cloud_server.fleet.database.device_tokens import DeviceToken, DeviceTokens
from edge_sdk.errors import ConfigError
from edge_sdk.security.tokens import hash_token


def test_a_token_is_issued_replaced_and_revoked(engine: Engine) -> None:
    tokens = DeviceTokens(engine, clock=lambda: 5.0)
    first = tokens.issue("cam-1", "ada")
    assert tokens.hashes() == {hash_token(first): "cam-1"}
    with pytest.raises(ConfigError, match="cam-1 has one: replace it, or revoke it"):
        tokens.issue("cam-1", "ada")
    second = tokens.issue("cam-1", "bob", replace=True)
    assert tokens.hashes() == {hash_token(second): "cam-1"}
    tokens.revoke("cam-1", "ada")
    assert tokens.hashes() == {}
    with pytest.raises(ConfigError, match="expected a device with a token"):
        tokens.revoke("cam-1", "ada")
    assert tokens.all() == [
        DeviceToken("cam-1", hash_token(first), "ada", 5000, "bob", 5000),
        DeviceToken("cam-1", hash_token(second), "bob", 5000, "ada", 5000),
    ]
    assert tokens.issue("cam-1", "ada")


def test_a_device_has_a_plain_name(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="expected a device name"):
        DeviceTokens(engine).issue("a b", "ada")
