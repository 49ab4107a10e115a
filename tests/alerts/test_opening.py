"""Channels by their addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.alerts.opening import DEVICE_RULE, SECRET_VARIABLE, open_channels
from edge_sdk.alerts.signature import new_secret
from edge_sdk.errors import ConfigError


def test_none_where_none_is_named() -> None:
    assert list(open_channels(None, None)) == []


def test_the_secret_comes_from_its_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:9/hook"
    secret = tmp_path / "secret"
    secret.write_text(new_secret())
    secret.chmod(0o600)
    assert len(list(open_channels(None, url, secret))) == 1
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        list(open_channels(None, url, secret))
    monkeypatch.setenv(SECRET_VARIABLE, "no secret")
    with pytest.raises(ConfigError):
        list(open_channels(None, url))


def test_the_device_s_own_rule_names_no_class() -> None:
    assert "class" not in DEVICE_RULE.kinds
