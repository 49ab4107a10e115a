from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifier_parts import LABELS
from settings_parts import Operator

from edge_sdk import EdgeClassifier, Prediction, Preferences, RemoteSettings, StorageSettings
from edge_sdk.archive_rule import Exits
from edge_sdk.budget.limits import Resource
from edge_sdk.config import SETTING_KINDS


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "keys")


def device(operator: Operator, folder: Path, accept: tuple[str, ...] = SETTING_KINDS, **given: Any) -> EdgeClassifier:
    return EdgeClassifier(state_dir=folder, remote=RemoteSettings(operator.public, accept=accept), **given)


def offer(edge: EdgeClassifier, content: bytes) -> bool:
    """As if the server had sent it with a reply."""
    return edge._parts.remote.store.offer(content)


def limit(edge: EdgeClassifier, resource: Resource) -> int | None:
    return edge.ledger.limit(resource)


def test_the_servers_settings_hold_over_the_arguments_and_again_after_a_restart(
    operator: Operator, tmp_path: Path
) -> None:
    wanted: dict[str, Any] = {
        "threshold": 0.7,
        "budget": {"upload": "1MB/day"},
        "audit": 0.25,
        "archive": "1MB, 2 days",
    }
    private = {"never_upload": [LABELS[1]], "above": 0.1}
    with device(operator, tmp_path, threshold=0.9, budget="5MB/day") as edge:
        assert (edge.threshold, limit(edge, Resource.UPLOAD)) == (0.9, 5_000_000)
        assert edge.settings_from == ()
        assert offer(edge, operator.signed(3, **wanted, private=private))
        assert (edge.threshold, limit(edge, Resource.UPLOAD)) == (0.7, 1_000_000)
    with device(operator, tmp_path, threshold=0.9, budget="5MB/day") as edge:
        assert (edge.threshold, limit(edge, Resource.UPLOAD)) == (0.7, 1_000_000)
        settings = edge._settings
        assert settings.preferences.audit == 0.25
        assert settings.preferences.never_upload == (LABELS[1],)
        assert settings.preferences.private_above == 0.1
        rule = edge._parts.store.archive.rule
        assert rule is not None and rule.max_bytes == 1_000_000
        lines = edge.settings_from
        assert len(lines) == 5
        assert lines[0].startswith("threshold 0.7, set by server ")
        assert lines[0].endswith(f"signed by {operator.key_id}, version 3")


def test_what_settings_do_not_name_is_the_devices_own_again(operator: Operator, tmp_path: Path) -> None:
    with device(operator, tmp_path, threshold=0.9, budget="5MB/day") as edge:
        offer(edge, operator.signed(1, threshold=0.7, budget={"upload": None}))
        assert (edge.threshold, limit(edge, Resource.UPLOAD)) == (0.7, None)
        offer(edge, operator.signed(2))
        assert (edge.threshold, limit(edge, Resource.UPLOAD)) == (0.9, 5_000_000)


def test_reconfigure_changes_the_devices_own_beneath(operator: Operator, tmp_path: Path) -> None:
    with device(operator, tmp_path, accept=("threshold",)) as edge:
        offer(edge, operator.signed(1, threshold=0.7))
        edge.reconfigure(threshold=0.3, budget="2MB/day")
        assert (edge.threshold, limit(edge, Resource.UPLOAD)) == (0.7, 2_000_000)
        offer(edge, operator.signed(2))
        assert edge.threshold == 0.3


def test_kinds_that_the_device_does_not_accept_are_refused_and_said(operator: Operator, tmp_path: Path) -> None:
    with device(operator, tmp_path, accept=("budget",), threshold=0.9) as edge:
        offer(edge, operator.signed(1, threshold=0.0, budget={"upload": "1MB/day"}, camera="off"))
        assert (edge.threshold, limit(edge, Resource.UPLOAD)) == (0.9, 1_000_000)
        held = edge._parts.remote.held
        assert held.refused == {
            "threshold": "this device does not accept it",
            "camera": "this version of edge_sdk does not know it",
        }
        assert any("threshold of the server is not followed" in line for line in edge.settings_from)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("threshold", 7),
        ("threshold", "0.7"),
        ("threshold", True),
        ("budget", "5MB/day"),
        ("budget", {"upload": 5}),
        ("budget", {"upload": "5"}),
        ("budget", {"disk": "5MB/day"}),
        ("budget", {}),
        ("private", ["person"]),
        ("private", {"never_upload": "person"}),
        ("private", {"never_upload": ["unicorn"]}),
        ("private", {"above": 0}),
        ("private", {"above": "x"}),
        ("audit", 2),
        ("audit", "x"),
        ("archive", 5),
        ("archive", "5"),
        ("archive", "1GB, never: unicorn"),
    ],
)
def test_what_cannot_be_used_is_refused_and_the_rest_holds(
    operator: Operator, tmp_path: Path, kind: str, value: object
) -> None:
    other: dict[str, Any] = {"audit": 0.5} if kind == "threshold" else {"threshold": 0.5}
    wanted = {kind: value, **other}
    with device(operator, tmp_path, threshold=0.9, budget="5MB/day") as edge:
        assert offer(edge, operator.signed(1, **wanted))
        held = edge._parts.remote.held
        assert set(held.refused) == {kind} and held.refused[kind]
        assert set(held.applied) == set(other)
        assert limit(edge, Resource.UPLOAD) == 5_000_000


def test_private_classes_can_only_be_added(operator: Operator, tmp_path: Path) -> None:
    own = Preferences(never_upload=(LABELS[0],), private_above=0.1)
    storage = StorageSettings(archive=f"1MB, never: {LABELS[0]}")
    with device(operator, tmp_path, preferences=own, storage=storage) as edge:
        offer(edge, operator.signed(1, private={"never_upload": [], "above": 0.9}, archive="2MB"))
        wants, rule = edge._settings.preferences, edge._parts.store.archive.rule
        assert (wants.never_upload, wants.private_above) == ((LABELS[0],), 0.1)
        assert rule is not None and (rule.never_store, rule.max_bytes) == ((LABELS[0],), 2_000_000)


def test_without_an_archive_the_classes_that_are_never_stored_stay_so(operator: Operator, tmp_path: Path) -> None:
    own = f"1MB, exits of {LABELS[1]}: all, crop: yes, never: {LABELS[0]}, never above: 0.1"
    with device(operator, tmp_path, storage=StorageSettings(archive=own)) as edge:
        offer(edge, operator.signed(1, archive=None))
        rule = edge._parts.store.archive.rule
        assert rule is not None and (rule.never_store, rule.never_above) == ((LABELS[0],), 0.1)
        assert not (rule.offloads or rule.audits or rule.crop)
        assert all(rule.exits_of(label) is Exits.NONE for label in LABELS)
        hidden = Prediction(tuple(LABELS), np.eye(len(LABELS), dtype=np.float32)[0])
        assert edge._walk.rules.frames.is_private(hidden)


def test_settings_need_a_key(operator: Operator, tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path / "state", threshold=0.9) as edge:
        assert not offer(edge, operator.signed(1, threshold=0.1))
        assert edge.threshold == 0.9
        assert edge.settings_from == ()
