"""What the file's own keys refuse."""

from __future__ import annotations

from typing import Any

import pytest

from edge_sdk.device_config.sections import (
    SECTIONS,
    AlertsSection,
    Budgets,
    CameraSource,
    Cloud,
    Deployment,
    LittleModelSection,
    ServiceSection,
    StateFolder,
)
from edge_sdk.errors import ConfigError


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        (Deployment, {"name": "cam 7"}, "name: expected device as"),
        (Deployment, {"place": "1,2,3"}, "place: expected latitude,longitude"),
        (Deployment, {"place": "95,2"}, "place: expected the latitude"),
        (Deployment, {"zone": "Europe/Nowhere"}, 'expected zone as a time zone such as "Europe/Berlin"'),
        (Deployment, {"zone": "../../etc/passwd"}, "expected zone"),
        (CameraSource, {"address": "ftp://cam"}, "address: expected"),
        (CameraSource, {"address": "0", "address_file": "f"}, "not both"),
        (CameraSource, {"address": "0", "fps": 0.0}, "expected fps"),
        (LittleModelSection, {"threshold": 3.0}, "expected threshold"),
        (LittleModelSection, {"threads": 0}, "expected threads"),
        (Cloud, {"server": "vm"}, "server: expected the cloud's address"),
        (Budgets, {"upload": "5MB"}, 'upload: .*did you mean "5MB/day"'),
        (Budgets, {"compute": "5MB/day"}, "compute: expected a budget"),
        (Budgets, {"cloud": ("1TMAC/day", "much")}, "cloud: expected a budget"),
        (StateFolder, {"spool_bytes": -1}, "expected spool_bytes"),
        (AlertsSection, {"mqtt": "a", "mqtt_file": "b"}, "expected mqtt or mqtt_file, not both"),
        (AlertsSection, {"budget_share": 0.0}, "expected budget_share"),
        (AlertsSection, {"most_waiting": 0}, "expected most_waiting"),
        (AlertsSection, {"longest_wait_s": 0.0}, "expected longest_wait_s"),
        (ServiceSection, {"drain_s": float("nan")}, "expected drain_s"),
    ],
)
def test_bad_values_name_their_key(part: type, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        part(**values)


def test_names_differ() -> None:
    assert len({section.name for section in SECTIONS}) == len(SECTIONS)
