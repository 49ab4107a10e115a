"""What Home Assistant is told of a device, so that it appears there by itself.

One retained message an entity (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery): a sensor with the
class that was seen last, a binary sensor that says whether there is a problem, and one for the way to the cloud.
"""

from __future__ import annotations

import json

from edge_sdk import __version__
from edge_sdk.alerts.channel import Status
from edge_sdk.terminal.line import one_line
from edge_sdk.types import LinkState

_LONGEST_STATE = 255  # of an entity in Home Assistant


def configurations(prefix: str, base: str, device: str) -> dict[str, bytes]:
    """The payload for each discovery topic.

    Args:
        prefix: of discovery topics; "homeassistant" unless it was changed there.
        base: the device's topic; below it are `state` and `availability`.
        device: the device's name.
    """
    shared = {
        "state_topic": f"{base}/state",
        "availability_topic": f"{base}/availability",
        "device": {
            "identifiers": [f"edge-sdk-{device}"],
            "name": device,
            "manufacturer": "edge-sdk",
            "model": "camera with a little model",
            "sw_version": __version__,
        },
        "origin": {"name": "edge-sdk", "sw_version": __version__},
    }
    entities = {
        ("sensor", "last_class"): {
            "name": "Last seen",
            "icon": "mdi:cctv",
            "value_template": "{{ value_json.last_class }}",
            "json_attributes_topic": f"{base}/state",
            "json_attributes_template": "{{ value_json.last | tojson }}",
        },
        ("binary_sensor", "problem"): {
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "value_template": "{{ value_json.problem }}",
            "json_attributes_topic": f"{base}/state",
            "json_attributes_template": "{{ value_json.problems | tojson }}",
        },
        ("binary_sensor", "cloud"): {
            "name": "Cloud",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "value_template": "{{ value_json.cloud }}",
        },
    }
    return {
        f"{prefix}/{component}/edge-sdk-{device}/{name}/config": json.dumps(
            {"unique_id": f"edge-sdk-{device}-{name}", **own, **shared}, ensure_ascii=False
        ).encode()
        for (component, name), own in entities.items()
    }


def state(status: Status) -> bytes:
    """The payload of the state topic, which the entities read."""
    return json.dumps(
        {
            "last_class": one_line(status.last_class or "none", _LONGEST_STATE),
            "last": {
                "confidence": None if status.confidence is None else round(status.confidence, 4),
                "captured_at": status.captured_at.isoformat() if status.captured_at else None,
            },
            "problem": "ON" if status.problem else "OFF",
            "problems": {"problems": list(status.problem)},
            "cloud": "ON" if status.link == LinkState.ONLINE else "OFF",
            "link": status.link,
        },
        ensure_ascii=False,
    ).encode()
