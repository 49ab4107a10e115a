"""Settings say what was expected and what came."""

from __future__ import annotations

from typing import Any

import pytest

from edge_sdk.config import PowerModel, StorageSettings, UplinkSettings, check_address
from edge_sdk.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (UplinkSettings, {"window": 0}, "UplinkSettings.window as a whole number of frames, 1 or more; got 0"),
        (UplinkSettings, {"window": 1.5}, "UplinkSettings.window .* got 1.5"),
        (UplinkSettings, {"reply_timeout_s": -5}, "UplinkSettings.reply_timeout_s as seconds above 0; got -5"),
        (UplinkSettings, {"connect_timeout_s": float("nan")}, "connect_timeout_s as seconds above 0; got nan"),
        (UplinkSettings, {"backoff_s": "1"}, "backoff_s as seconds above 0; got '1'"),
        (PowerModel, {"active_watts": -1}, "expected a PowerModel of values of at least 0"),
        (StorageSettings, {"journal_rows": -1}, "expected journal_rows above 0; got -1"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(kind: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**wrong)


@pytest.mark.parametrize("address", ["vm.example:50051", "10.0.0.1:1", "[::1]:65535"])
def test_addresses(address: str) -> None:
    assert check_address(address) == address
    for bad in (address.rpartition(":")[0], f"{address}000000", ""):
        with pytest.raises(ConfigError, match="host:port"):
            check_address(bad)
