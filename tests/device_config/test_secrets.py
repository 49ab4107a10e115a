"""Secrets in the file are refused and never repeated."""

from __future__ import annotations

import pytest

from edge_sdk.device_config.secrets import public, secret_fault, shown
from edge_sdk.security.tokens import new_token


@pytest.mark.parametrize(
    ("section", "name", "value", "key"),
    [
        ("security", "token", "hunter22", "security.token_file"),
        ("camera", "password", "hunter22", "camera.address_file"),
        ("alerts", "webhook_secret", "whsec_hunter22", "alerts.webhook_secret_file"),
        ("bugets", "api_key", "hunter22", "security.token_file"),
    ],
)
def test_a_key_for_a_secret_names_the_key_of_its_file(section: str, name: str, value: str, key: str) -> None:
    fault = secret_fault(section, name, value, known=False, is_path=False)
    assert f'{key} = "FILE"' in fault and "chmod 600" in fault
    assert "hunter22" not in fault


@pytest.mark.parametrize("value", [new_token(), "-----BEGIN PRIVATE KEY-----\nMII", "whsec_hunter22"])
def test_a_secret_in_place_of_its_file(value: str) -> None:
    assert "FILE" in secret_fault("security", "token_file", value, known=True, is_path=True)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("camera", "address", "rtsp://user:hunter22@cam/1"),
        ("camera", "address", "http://cam/snap?user=x&pwd=hunter22"),
        ("cloud", "proxy", "http://user:hunter22@proxy:3128"),
        ("alerts", "mqtt", "mqtts://user:hunter22@broker"),
        ("alerts", "mqtt", "user:hunter22@broker:1883"),
        ("alerts", "webhook", "https://hooks.example/x?token=hunter22"),
    ],
)
def test_an_address_with_a_password(section: str, name: str, value: str) -> None:
    fault = secret_fault(section, name, value, known=True, is_path=False)
    assert f'{section}.{name}_file = "FILE"' in fault and "hunter22" not in fault
    assert "hunter22" not in shown(section, name, value) + public(section, name, value)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("camera", "address", "rtsp://cam/stream?channel=1"),
        ("camera", "address", "photos/?again=yes&zone=Europe/Berlin"),
        ("camera", "address", "/dev/v4l/by-id/usb-a:b"),
        ("cloud", "proxy", "http://proxy:3128"),
        ("cloud", "server", "vm.example:50051"),
        ("security", "token_file", "cam-1.token"),
        ("security", "token_file", "/run/credentials/edge-sdk.service/token-of-this-device"),
        ("alerts", "mqtt", "mqtts://user@broker"),
    ],
)
def test_what_is_no_secret_passes(section: str, name: str, value: str) -> None:
    assert not secret_fault(section, name, value, known=True, is_path=name.endswith("_file"))


def test_the_path_of_a_webhook_is_not_shown() -> None:
    assert public("alerts", "webhook", "https://hooks.example/T0/B0/abcdef") == "https://hooks.example/***"
    assert public("budgets", "upload", "5MB/day") == "5MB/day"
