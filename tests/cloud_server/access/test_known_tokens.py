"""The tokens file under a running server: changes of every kind, and files that are not what they should be."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from cloud_server.access.known_tokens import LOOK_S, SAY_AGAIN_S, SETTLE_S, KnownTokens
from edge_sdk.errors import ConfigError
from edge_sdk.security.tokens import add_token, hash_token, new_token, remove_token

NAMES = [f"cam-{number}" for number in range(5)]


class Steady:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Steady:
    return Steady()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for name in NAMES:
        add_token(tmp_path / "tokens", name, f"{name}-{'x' * 40}")
    return tmp_path / "tokens"


def digest(name: str) -> str:
    return hash_token(f"{name}-{'x' * 40}")


def let_in(known: KnownTokens) -> list[str]:
    return [name for name in NAMES if known.device_of(digest(name)) == name]


def test_a_token_that_is_revoked_ends_at_once_and_no_other(path: Path, clock: Steady) -> None:
    known = KnownTokens(path, clock=clock)
    assert let_in(known) == NAMES
    remove_token(path, "cam-1")
    assert let_in(known) == [name for name in NAMES if name != "cam-1"]
    assert known.ended_device_of(digest("cam-1")) == "cam-1"
    assert known.ended_device_of(digest("cam-2")) is None


@pytest.mark.parametrize("cut", [0, 1, 300])
def test_a_file_that_an_editor_is_writing_locks_no_one_out(
    path: Path, clock: Steady, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    known, whole = KnownTokens(path, clock=clock), path.read_bytes()
    path.write_bytes(whole[:cut])
    for _ in range(5):
        assert let_in(known) == NAMES
        clock.now += 10 * SETTLE_S
    assert len(caplog.messages) == 1
    assert "stay valid" in caplog.text
    path.write_bytes(whole.replace(digest("cam-1").encode(), b"0" * 64))
    clock.now += LOOK_S
    let_in(known)
    clock.now += max(LOOK_S, SETTLE_S)
    assert let_in(known) == [name for name in NAMES if name != "cam-1"]


def test_an_editor_that_saves_under_another_inode_locks_no_one_out(path: Path, clock: Steady) -> None:
    known, whole = KnownTokens(path, clock=clock), path.read_bytes()
    path.rename(path.with_name("tokens~"))
    assert let_in(known) == NAMES
    path.touch()
    assert let_in(known) == NAMES
    path.write_bytes(whole[:200])
    assert let_in(known) == NAMES
    path.write_bytes(whole)
    assert let_in(known) == NAMES


def test_whole_lines_that_an_edit_in_place_took_out_end_once_it_settles(path: Path, clock: Steady) -> None:
    known, lines = KnownTokens(path, clock=clock), path.read_text().splitlines(keepends=True)
    new = f"cam-9 {digest('cam-9')}\n"
    path.write_text("".join(lines[:3]) + new)
    assert let_in(known) == NAMES
    assert known.device_of(digest("cam-9")) == "cam-9"
    clock.now += SETTLE_S
    assert let_in(known) == NAMES[:2]


def test_a_file_that_cannot_be_read_is_read_again_and_told_again(
    path: Path, clock: Steady, caplog: pytest.LogCaptureFixture
) -> None:
    known, whole = KnownTokens(path, clock=clock), path.read_bytes()
    path.unlink()
    for _ in range(3):
        assert let_in(known) == NAMES
        clock.now += LOOK_S
    assert len(caplog.messages) == 1
    clock.now += SAY_AGAIN_S
    assert let_in(known) == NAMES
    assert len(caplog.messages) == 2
    path.mkdir()
    assert let_in(known) == NAMES
    assert "it is a folder" in caplog.text
    path.rmdir()
    path.write_bytes(whole)
    add_token(path, "cam-9", f"cam-9-{'x' * 40}")
    assert known.device_of(digest("cam-9")) == "cam-9"


def test_a_change_of_the_same_size_and_time_is_seen(path: Path, clock: Steady) -> None:
    known = KnownTokens(path, clock=clock)
    seen, text = path.stat(), path.read_text()
    path.write_text(text.replace(digest("cam-1"), digest("cam-9")))
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    known._version = (*(known._version or ())[:3], path.stat().st_ctime_ns, *(known._version or ())[4:])
    clock.now += LOOK_S  # a file system whose times are coarse shows nothing at all: the content is compared
    assert known.device_of(digest("cam-9")) == "cam-1"
    clock.now += SETTLE_S
    assert let_in(known) == [name for name in NAMES if name != "cam-1"]


def test_a_change_between_stat_and_read_is_seen(path: Path, clock: Steady, monkeypatch: pytest.MonkeyPatch) -> None:
    import cloud_server.access.known_tokens as module

    def read_and_change(file: Path, what: str) -> bytes:
        content = file.read_bytes()
        monkeypatch.undo()
        remove_token(file, "cam-1")
        return content

    monkeypatch.setattr(module, "read_given", read_and_change)
    known = KnownTokens(path, clock=clock)
    assert "cam-1" not in let_in(known)


def test_a_token_under_two_names_is_told(path: Path, clock: Steady, caplog: pytest.LogCaptureFixture) -> None:
    known = KnownTokens(path, clock=clock)
    with path.open("a") as file:
        file.write(f"cam-9 {digest('cam-1')}\n")
    assert let_in(known) == NAMES
    assert "cam-9 has the same token as cam-1" in caplog.text
    with pytest.raises(ConfigError, match=r"line 7.*cam-9 has the same token as cam-1"):
        KnownTokens(path)


def test_what_changed_is_told(path: Path, clock: Steady, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    known = KnownTokens(path, clock=clock)
    assert known.reload() == ""
    remove_token(path, "cam-1")
    add_token(path, "cam-2", new_token(), replace=True)
    add_token(path, "cam-9", new_token())
    said = "5 devices, 1 new (cam-9), 1 removed (cam-1), 1 with another token (cam-2)"
    assert known.reload() == said
    path.write_text("")
    with pytest.raises(ConfigError, match="it is empty"):
        known.reload()
    assert len(let_in(known)) == 3


def test_a_file_without_devices_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tokens").write_text("# none yet\n")
    KnownTokens(tmp_path / "tokens")
    assert "names no device" in caplog.text
