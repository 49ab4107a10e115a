from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from settings_parts import Operator

from edge_sdk.config import RemoteSettings
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.remote import FILE, RemoteStore, read_kept
from edge_sdk.security.certificates import Authority
from edge_sdk.security.credentials import Security
from edge_sdk.testing import FakeClock

NOW = datetime.fromtimestamp(1_800_000_000, UTC)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "keys")


def opened(operator: Operator, folder: Path, clock: FakeClock | None = None, **given: object) -> RemoteStore:
    wants = RemoteSettings(operator.public, **given)  # type: ignore[arg-type]
    return RemoteStore(wants, folder, Security(), "vm:50051", (clock or FakeClock()).wall_s)


def test_settings_are_kept_and_hold_again_after_a_restart(operator: Operator, tmp_path: Path) -> None:
    store = opened(operator, tmp_path)
    changes: list[float] = []
    store.on_change(lambda: changes.append(store.values.get("threshold", 0.0)))
    assert store.offer(operator.signed(3, threshold=0.7))
    assert changes == [0.0, 0.7]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    again = opened(operator, tmp_path)
    assert (again.version, again.values) == (3, {"threshold": 0.7})
    held = again.held({}, {})
    assert (held.key, held.server, held.received_at) == (operator.key_id, "vm:50051", NOW)


def test_what_came_of_settings_is_put_down_once_for_each_change(operator: Operator, tmp_path: Path) -> None:
    store = opened(operator, tmp_path)
    store.remember(store.held({}, {}))
    assert not (tmp_path / FILE).exists()
    assert store.offer(operator.signed(3, threshold=0.7, budget={}))
    assert read_kept(tmp_path).judged_at is None
    store.remember(store.held({"threshold": "threshold 0.7"}, {"budget": "no"}))
    kept, before = read_kept(tmp_path), (tmp_path / FILE).stat()
    assert (kept.applied, kept.refused, kept.judged_at) == ({"threshold": "threshold 0.7"}, {"budget": "no"}, NOW)
    store.remember(store.held({"threshold": "threshold 0.7"}, {"budget": "no"}))
    assert (tmp_path / FILE).stat().st_ino == before.st_ino  # each write makes a file anew
    again = opened(operator, tmp_path)
    assert again.values == {"threshold": 0.7, "budget": {}}
    again.remember(again.held({}, {"threshold": "not accepted"}))
    assert read_kept(tmp_path).refused == {"threshold": "not accepted"}


def test_an_older_version_is_not_taken_again(operator: Operator, tmp_path: Path) -> None:
    store = opened(operator, tmp_path)
    first, second = operator.signed(1, threshold=0.1), operator.signed(2, threshold=0.2)
    assert store.offer(second)
    for replayed in (first, second):
        assert not store.offer(replayed)
        assert "expected a version above 2" in store.reason
    assert not opened(operator, tmp_path).offer(first)
    assert store.offer(operator.signed(3, threshold=0.3))
    assert store.reason == ""


def test_forged_settings_change_nothing(operator: Operator, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = opened(operator, tmp_path)
    stranger = Operator(tmp_path / "stranger")
    for _ in range(3):
        assert not store.offer(stranger.signed(9, threshold=0.0))
    assert (store.version, store.values) == (0, {})
    assert not (tmp_path / FILE).exists()
    assert caplog.text.count("are not followed") == 1  # told once
    assert not store.offer(b"\xff")


def test_settings_of_another_device_are_not_taken(operator: Operator, tmp_path: Path) -> None:
    store = opened(operator, tmp_path, device="cam-1")
    assert not store.offer(operator.signed(1, "cam-2"))
    assert store.reason == "they are for cam-2, and this is cam-1"
    assert store.offer(operator.signed(1, "cam-1"))
    assert store.offer(operator.signed(2, "*"))
    nameless = opened(operator, tmp_path / "other")
    (tmp_path / "other").mkdir()
    assert not nameless.offer(operator.signed(3, "cam-1"))
    assert "a device without a name" in nameless.reason


def test_a_device_is_named_by_its_certificate(operator: Operator, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    pair = authority.issue_device("cam-7")
    security = Security(ca=authority.files.cert, cert=pair.cert, key=pair.key)
    store = RemoteStore(RemoteSettings(operator.public), tmp_path, security, "", FakeClock().wall_s)
    assert store.offer(operator.signed(1, "cam-7"))


def test_settings_expire_and_the_devices_own_hold_again(operator: Operator, tmp_path: Path) -> None:
    clock = FakeClock()
    store = opened(operator, tmp_path, clock)
    assert not store.offer(operator.signed(1, expires_at=NOW))
    assert "expired" in store.reason
    assert store.offer(operator.signed(1, expires_at=NOW + timedelta(hours=1), threshold=0.5))
    changes: list[int] = []
    store.on_change(lambda: changes.append(len(store.values)))
    clock.pass_s(3599)
    store.look()
    clock.pass_s(1)
    store.look()
    store.look()
    assert changes == [1, 0]
    assert opened(operator, tmp_path, clock).values == {}
    assert not store.offer(operator.signed(1, threshold=0.5))  # the version counts on


def test_a_clock_that_is_not_set_expires_nothing(operator: Operator, tmp_path: Path) -> None:
    clock = FakeClock(wall_s=5.0)
    store = opened(operator, tmp_path, clock)
    assert store.offer(operator.signed(1, expires_at=NOW - timedelta(days=1), threshold=0.5))
    assert store.values


def test_without_a_key_settings_are_ignored_and_that_is_said_once(
    operator: Operator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = RemoteStore(None, tmp_path, Security(), "vm:50051", FakeClock().wall_s)
    assert not store.takes
    for _ in range(3):
        assert not store.offer(operator.signed())
    assert caplog.text.count("are ignored, since no key for them was named") == 1


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"signed": "x", "server": "", "received_at": "2026-01-01T00:00:00Z"}']
)
def test_a_damaged_file_is_not_followed(
    operator: Operator, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(content)
    store = opened(operator, tmp_path)
    assert (store.version, store.values) == (0, {})
    assert "are not followed" in caplog.text


def test_a_file_of_another_key_or_device_is_not_followed(operator: Operator, tmp_path: Path) -> None:
    opened(operator, tmp_path, device="cam-1").offer(operator.signed(1, "cam-1", threshold=0.5))
    assert opened(operator, tmp_path, device="cam-2").values == {}
    assert opened(Operator(tmp_path / "new"), tmp_path, device="cam-1").values == {}
    assert opened(operator, tmp_path, device="cam-1").values == {"threshold": 0.5}


def test_what_cannot_be_kept_does_not_hold(operator: Operator, tmp_path: Path) -> None:
    store = opened(operator, tmp_path)
    (tmp_path / FILE).mkdir()
    assert not store.offer(operator.signed(1, threshold=0.5))
    assert store.values == {}


def test_kinds_are_checked(operator: Operator) -> None:
    with pytest.raises(ConfigError, match="some of threshold, budget"):
        RemoteSettings(operator.public, accept=("treshold",))
    with pytest.raises(ConfigError, match="some of"):
        RemoteSettings(operator.public, accept="threshold")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="as a name"):
        RemoteSettings(operator.public, device="")
    with pytest.raises(ConfigError, match="as a file"):
        RemoteSettings(7)  # type: ignore[arg-type]
