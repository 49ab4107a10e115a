"""Settings say what was expected and what came."""

from __future__ import annotations

from typing import Any

import pytest

from edge_sdk.config import PowerModel, StorageSettings, UplinkSettings, check_address, default_state_dir
from edge_sdk.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (UplinkSettings, {"window": 0}, "UplinkSettings.window as a whole number of frames, 1 or more; got 0"),
        (UplinkSettings, {"window": 1.5}, "UplinkSettings.window .* got 1.5"),
        (UplinkSettings, {"reply_timeout_s": -5}, "UplinkSettings.reply_timeout_s as seconds above 0; got -5"),
        (UplinkSettings, {"connect_timeout_s": float("nan")}, "connect_timeout_s as seconds above 0; got nan"),
        (UplinkSettings, {"backoff_s": "1"}, "backoff_s as seconds above 0; got '1'"),
        (UplinkSettings, {"idle_s": float("inf")}, "idle_s as seconds above 0; got inf"),
        (UplinkSettings, {"backoff_s": 5, "max_backoff_s": 1}, r"max_backoff_s of at least backoff_s \(5 s\); got 1 s"),
        (UplinkSettings, {"window": True}, "UplinkSettings.window .* got True"),
        (UplinkSettings, {"interface": ""}, "UplinkSettings.interface as a name such as .wwan0., or None; got ''"),
        (UplinkSettings, {"interface": "../lo"}, "UplinkSettings.interface .* got '../lo'"),
        (UplinkSettings, {"proxy": 3}, "UplinkSettings.proxy as a text; got a int"),
        (UplinkSettings, {"proxy": "https://vm:1"}, "only plain HTTP proxies are spoken to; got https://"),
        (UplinkSettings, {"interface": 3}, "UplinkSettings.interface .* got 3"),
        (PowerModel, {"active_watts": -1}, "expected a PowerModel of values of at least 0"),
        (PowerModel, {"active_watts": "3"}, "expected a PowerModel of values of at least 0"),
        (PowerModel, {"joules_per_byte": float("inf")}, "expected a PowerModel of values of at least 0"),
        (StorageSettings, {"journal_rows": -1}, "expected StorageSettings.journal_rows above 0; got -1"),
        (StorageSettings, {"archive": 30}, "expected an archive rule such as .*; got 30"),
        (StorageSettings, {"spool_age_s": float("inf")}, "StorageSettings.spool_age_s above 0; got inf"),
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


def test_settings_that_make_sense_are_taken_and_frozen() -> None:
    settings = UplinkSettings(window=1, reply_timeout_s=2, interface="wlan0.12")
    with pytest.raises(AttributeError):
        settings.window = 0  # type: ignore[misc]


def test_each_bundle_has_a_folder_of_its_own() -> None:
    assert default_state_dir("a") != default_state_dir("b")
    for name in ("../../etc", "..", "a/b", ""):
        assert default_state_dir(name).parent == default_state_dir("a").parent


@pytest.mark.parametrize(
    "address", ["a..b:50051", "-h:50051", "300.1.1.1:50051", "[x]:50051", "vm.example", "ä.example:1"]
)
def test_an_address_that_no_machine_can_have_is_refused_with_a_reason(address: str) -> None:
    with pytest.raises(ConfigError, match=r"the cloud's address as host:port, .*, (a host|no port|brackets|signs)"):
        check_address(address)
    assert check_address("[fe80::1%eth0]:50051") and check_address("cam_7.local:50051")


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "a" * 16])
def test_an_interface_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"UplinkSettings\.interface"):
        UplinkSettings(interface=name)
