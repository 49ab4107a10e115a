"""The note of which server is in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.cli import cli
from edge_sdk.link.in_use import FILE, InUseFile, read_in_use
from edge_sdk.terminal.command import run
from edge_sdk.testing.clock import FakeClock
from edge_sdk.types import LinkState


def test_it_is_written_when_another_server_is_in_use_and_not_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = FakeClock()
    note = InUseFile(tmp_path, ("a:1", "b:1"), clock.wall_s)
    note.tell("a:1", LinkState.OFFLINE, "down")
    assert read_in_use(tmp_path) is None
    note.tell("b:1", LinkState.ONLINE, "b:1 is used: \x1b[31mnobody\nanswers at a:1")
    found = read_in_use(tmp_path)
    assert found is not None and (found.server, found.servers) == ("b:1", ("a:1", "b:1"))
    assert "\n" not in found.message and "\x1b" not in found.message
    written = (tmp_path / FILE).stat().st_mtime_ns, (tmp_path / FILE).stat().st_ino
    for again in (note, InUseFile(tmp_path, ("a:1", "b:1"), clock.wall_s)):
        again.tell("b:1", LinkState.ONLINE, "")
    assert ((tmp_path / FILE).stat().st_mtime_ns, (tmp_path / FILE).stat().st_ino) == written
    assert run(cli, "edge-sdk", ["info", "--state", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "server in use" in said and "b:1, since" in said and "a:1, b:1" in said


def test_one_server_has_no_note(tmp_path: Path) -> None:
    InUseFile(tmp_path, ("a:1", "b:1"), FakeClock().wall_s).tell("b:1", LinkState.ONLINE, "")
    note = InUseFile(tmp_path, ("a:1",), FakeClock().wall_s)
    note.tell("a:1", LinkState.ONLINE, "")
    assert not (tmp_path / FILE).exists()


def test_a_damaged_note_is_none(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff{")
    assert read_in_use(tmp_path) is None
