"""Opening the channels of alerts that options or a config file name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge_sdk.alerts.alert import Kind
from edge_sdk.alerts.channel import Channel
from edge_sdk.alerts.rule import AlertRule
from edge_sdk.security.credentials import check_private
from edge_sdk.security.files import read_given_text

SECRET_VARIABLE = "EDGE_SDK_WEBHOOK_SECRET"

DEVICE_RULE = AlertRule(kinds=(Kind.FAULT, Kind.BUDGET, Kind.DRIFT, Kind.AUDIT), at_most="20/h")
"""What is told of the device itself where no rule says otherwise."""


def open_channels(
    mqtt: str | None, webhook: str | None, secret_file: Path | None = None, ca: Path | None = None
) -> Iterator[Channel]:
    """The channels that the addresses name.

    Args:
        mqtt: broker; None: none.
        webhook: URL; None: none.
        secret_file: with the webhook's secret; None: the environment's, if there is one.
        ca: PEM file of the other side's authority.

    Raises:
        ConfigError: a value cannot be used.
    """
    if mqtt is not None:
        from edge_sdk.alerts.mqtt import MqttAlerts

        yield MqttAlerts(mqtt, ca=ca)
    if webhook is not None:
        from edge_sdk.alerts.webhook import Webhook

        yield Webhook(webhook, secret=_secret(secret_file), ca=ca)


def _secret(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(SECRET_VARIABLE) or None
    check_private(path, "secret file")
    return read_given_text(path, "secret file").strip()
