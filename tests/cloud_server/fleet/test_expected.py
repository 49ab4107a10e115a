from __future__ import annotations

from pathlib import Path

import pytest
from settings_parts import Operator
from sqlalchemy import Engine

from cloud_server.fleet.database.cards import Card
from cloud_server.fleet.expected import Expected, expected, forget
from cloud_server.fleet.fleet import Fleet
from edge_sdk.errors import ConfigError


def test_what_was_said_of_devices_that_never_reported_is_told_and_can_be_forgotten(
    engine: Engine, tmp_path: Path
) -> None:
    fleet = Fleet(engine, settings_key=Operator(tmp_path / "keys").key)
    reported = {"cam-1", "Front Gate 3"}
    for name in ("cam-1", "cam-l", "Front Gate 3"):
        fleet.cards.put(Card(name, group="north"), "ada")
    for target in ("cam-1", "cam-7", "group:north", "*"):
        fleet.settings.put(target, {"threshold": 0.7}, "bob")
    found = expected(fleet, ["cam-1", "cam-9"], reported)
    assert [one.name for one in found] == ["cam-7", "cam-9", "cam-l"]
    assert found[1] == Expected("cam-9", True, None, None)
    assert found[0].settings is not None and found[0].settings.changed_by == "bob" and not found[0].has_token
    assert found[2].card is not None and found[2].card.changed_by == "ada"
    for name in ("cam-7", "cam-l", "cam-9"):
        forget(fleet, name, "ada")
    assert [one.name for one in expected(fleet, ["cam-9"], reported)] == ["cam-9"]
    assert [one.changed_by for one in fleet.settings.history("cam-7")] == ["ada", "bob"]
    assert fleet.cards.get("cam-1").group == "north"


def test_settings_that_cannot_be_taken_back_keep_a_device_from_being_forgotten(engine: Engine, tmp_path: Path) -> None:
    Fleet(engine, settings_key=Operator(tmp_path / "keys").key).settings.put("cam-7", {"audit": 0.1}, "bob")
    fleet = Fleet(engine)
    fleet.cards.put(Card("cam-7"), "bob")
    with pytest.raises(ConfigError, match="expected a settings key"):
        forget(fleet, "cam-7", "ada")
    assert fleet.cards.get("cam-7").changed_by == "bob"
