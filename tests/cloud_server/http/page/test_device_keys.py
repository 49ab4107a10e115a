from __future__ import annotations

from pathlib import Path

import pytest

from cloud_server.fleet.database.device_tokens import DeviceTokens
from cloud_server.fleet.database.opening import open_database
from cloud_server.http.page.device_keys import Keys
from edge_sdk.errors import ConfigError
from edge_sdk.security.tokens import add_token, hash_token


@pytest.mark.parametrize("in_database", [True, False])
def test_tokens_are_issued_and_revoked(tmp_path: Path, in_database: bool) -> None:
    file, engine = tmp_path / "tokens", open_database(tmp_path / "fleet.db")
    add_token(file, "old-cam", "a" * 43)
    keys = Keys(DeviceTokens(engine) if in_database else None, file)
    token = keys.issue("cam-1", "ada")
    known = {one.name: one for one in keys.known()}
    assert known["cam-1"].digest == hash_token(token)[:12]
    assert known["cam-1"].issued_by == ("ada" if in_database else "")
    for device in ("cam-1", "old-cam"):
        with pytest.raises(ConfigError, match="revoke it first"):
            keys.issue(device, "ada")
        keys.revoke(device, "ada")
    assert keys.known() == []
    engine.dispose()


def test_without_tokens_none_are_issued() -> None:
    keys = Keys(None, None)
    assert not keys.can_issue
    for work in (keys.issue, keys.revoke):
        with pytest.raises(ConfigError, match="--require-tokens"):
            work("cam-1", "ada")
