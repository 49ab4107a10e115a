"""What Home Assistant is told."""

from __future__ import annotations

import json

from alert_parts import NOON

from edge_sdk.alerts.channel import Status
from edge_sdk.alerts.discovery import configurations, state


def test_three_entities_of_one_device() -> None:
    found = {topic: json.loads(payload) for topic, payload in configurations("ha", "edge-sdk/cam-1", "cam-1").items()}
    assert set(found) == {
        "ha/sensor/edge-sdk-cam-1/last_class/config",
        "ha/binary_sensor/edge-sdk-cam-1/problem/config",
        "ha/binary_sensor/edge-sdk-cam-1/cloud/config",
    }
    for one in found.values():
        assert one["device"]["identifiers"] == ["edge-sdk-cam-1"]
        assert one["availability_topic"] == "edge-sdk/cam-1/availability"
        assert one["state_topic"] == "edge-sdk/cam-1/state"
    assert len({one["unique_id"] for one in found.values()}) == 3
    assert found["ha/binary_sensor/edge-sdk-cam-1/problem/config"]["device_class"] == "problem"
    assert found["ha/binary_sensor/edge-sdk-cam-1/cloud/config"]["device_class"] == "connectivity"


def test_the_state_has_what_the_entities_read() -> None:
    shown = json.loads(state(Status("online", ("camera: gone",), "fox", 0.93214, NOON)))
    assert (shown["last_class"], shown["problem"], shown["cloud"]) == ("fox", "ON", "ON")
    assert shown["last"] == {"confidence": 0.9321, "captured_at": "2027-01-15T12:00:00+00:00"}
    assert shown["problems"] == {"problems": ["camera: gone"]}
    shown = json.loads(state(Status()))
    assert (shown["last_class"], shown["problem"], shown["cloud"], shown["link"]) == ("none", "OFF", "OFF", "off")


def test_a_label_is_one_line_that_fits_a_state() -> None:
    shown = json.loads(state(Status(last_class="x\n" * 1000)))
    assert len(shown["last_class"]) <= 255
    assert "\n" not in shown["last_class"]
