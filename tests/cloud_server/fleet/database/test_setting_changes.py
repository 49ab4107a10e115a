from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from settings_parts import Operator
from sqlalchemy import Engine

from cloud_server.fleet.database.cards import Card, Cards
from cloud_server.fleet.database.opening import Overtaken
from cloud_server.fleet.database.setting_changes import Change, SettingChanges
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.signed import Body, SettingsKey, read_signed


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "keys")


def body(operator: Operator, content: bytes | None) -> Body:
    assert content is not None
    signed = read_signed(content)
    SettingsKey(operator.public).check(signed)
    return signed.body


def test_a_device_gets_its_own_over_its_groups_over_those_for_all(engine: Engine, operator: Operator) -> None:
    now = [1_800_000_000.0]
    changes = SettingChanges(engine, operator.key, clock=lambda: now[0])
    cards = Cards(engine, clock=lambda: now[0])
    assert changes.newest("cam-1", 0) is None
    changes.put("*", {"threshold": 0.5, "audit": 0.1}, "ada")
    changes.put("group:north", {"threshold": 0.6, "budget": {"upload": "1MB/day"}}, "ada")
    changes.put("cam-1", {"budget": {"upload": "2MB/day"}}, "bob")
    first = body(operator, changes.newest("cam-1", 0))
    assert changes.on_the_way("cam-1", 0) == first.settings and changes.on_the_way("cam-1", first.version) is None
    assert (first.device, first.settings) == (
        "cam-1",
        {"threshold": 0.5, "audit": 0.1, "budget": {"upload": "2MB/day"}},
    )
    assert body(operator, changes.newest("cam-2", 0)).settings == {"threshold": 0.5, "audit": 0.1}
    assert changes.newest("cam-1", first.version) is None

    now[0] += 1
    cards.put(Card("cam-1", group="north"), "ada")
    second = body(operator, changes.newest("cam-1", first.version))
    assert second.settings == {"threshold": 0.6, "audit": 0.1, "budget": {"upload": "2MB/day"}}
    now[0] += 1
    cards.put(Card("cam-1", group="north", note="a note alone sends nothing"), "ada")
    assert changes.newest("cam-1", second.version) is None

    changes.put("cam-1", {}, "ada")
    third = body(operator, changes.newest("cam-1", second.version))
    assert third.settings["budget"] == {"upload": "1MB/day"} == changes.wanted("cam-1")["budget"]


def test_versions_rise_though_the_clock_is_set_back(engine: Engine, operator: Operator) -> None:
    now = [1_800_000_000.0]
    changes = SettingChanges(engine, operator.key, clock=lambda: now[0])
    versions = []
    for back in (0, 1000, 5000):
        now[0] -= back
        changes.put("cam-1", {"threshold": 0.5}, "ada")
        versions.append(body(operator, changes.newest("cam-1", 0)).version)
    assert versions == sorted(set(versions))


def test_who_changed_what_and_when_is_kept(engine: Engine, operator: Operator) -> None:
    changes = SettingChanges(engine, operator.key, clock=lambda: 9.0)
    changes.put("cam-1", {"threshold": 0.5}, "ada")
    changes.put("*", {"audit": 0.1}, "bob")
    assert changes.history() == [
        Change("*", {"audit": 0.1}, "bob", 9001),
        Change("cam-1", {"threshold": 0.5}, "ada", 9000),
    ]
    assert changes.history("cam-1") == changes.history("cam-1", 1) == [changes.history()[1]]
    assert (changes.of("cam-1"), changes.of("cam-2")) == ({"threshold": 0.5}, {})


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("cam-1", {"speed": 3}),
        ("cam-1", {"threshold": 2}),
        ("cam 1 ", {}),
        ("group:", {}),
        ("cam-1", {"budget": {"upload": "much"}}),
        ("cam-1", {"private": {"never_upload": ["half \ud800"]}}),
    ],
)
def test_nonsense_is_refused(engine: Engine, operator: Operator, target: str, settings: dict[str, object]) -> None:
    changes = SettingChanges(engine, operator.key)
    with pytest.raises(ConfigError, match="expected"):
        changes.put(target, settings, "ada")
    assert changes.history() == []


def test_without_a_key_nothing_is_changed_and_the_command_is_told(engine: Engine, tmp_path: Path) -> None:
    changes = SettingChanges(engine)
    with pytest.raises(ConfigError, match="`edge-sdk settings sign`"):
        changes.put("cam-1", {}, "ada")
    assert not changes.can_sign and changes.newest("cam-1", 0) is None
    (tmp_path / "key").write_text("none")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(ConfigError, match="expected an Ed25519 key"):
        SettingChanges(engine, tmp_path / "key")


def test_settings_that_somebody_else_has_changed_meanwhile_are_not_put_over(engine: Engine, operator: Operator) -> None:
    changes = SettingChanges(engine, operator.key)
    seen = changes.latest("cam-1")
    assert seen == Change("cam-1", {}, "", 0)
    changes.put("*", {"audit": 0.1}, "eve")  # another target's
    changes.put("cam-1", {"threshold": 0.5}, "ada", seen.changed_ms)
    with pytest.raises(Overtaken, match="ada has changed them meanwhile"):
        changes.put("cam-1", {"audit": 0.2}, "bob", seen.changed_ms)
    assert changes.of("cam-1") == {"threshold": 0.5}
    changes.put("cam-1", {"audit": 0.2}, "bob", changes.latest("cam-1").changed_ms)
    changes.put("cam-1", {"audit": 0.3}, "program")
    assert changes.of("cam-1") == {"audit": 0.3}


def test_of_changes_at_one_time_that_go_out_from_the_same_one_holds(engine: Engine, operator: Operator) -> None:
    changes = SettingChanges(engine, operator.key)

    def change(number: int) -> bool:
        try:
            changes.put("cam-1", {"audit": number / 10}, f"user-{number}", 0)
        except Overtaken:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(change, range(8))) == 1
    assert len(changes.history("cam-1")) == 1


def test_devices_known_by_certificate_have_settings_whatever_their_names(engine: Engine, operator: Operator) -> None:
    changes = SettingChanges(engine, operator.key)
    for name in ("Gänsemarkt, 3rd lamp", "site a/b?c=d", "2001:db8::"):
        Cards(engine).put(Card(name, group="north"), "ada")
        changes.put(name, {"threshold": 0.6}, "ada")
        signed = body(operator, changes.newest(name, 0))
        assert (signed.device, signed.settings) == (name, {"threshold": 0.6})
    assert [one.target for one in changes.of_devices()] == ["2001:db8::", "Gänsemarkt, 3rd lamp", "site a/b?c=d"]
    for name in ("", "two\nlines", " cam-1", "group:", "group:a b", "c" * 201):
        with pytest.raises(ConfigError, match="expected a device"):
            changes.put(name, {"threshold": 0.6}, "ada")
