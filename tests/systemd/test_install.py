"""Writing the files of a service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.systemd.install import Named, complaints, files_of, install, out_of_reach, put, systemd_release
from edge_sdk.systemd.unit import device_unit

UNIT = device_unit("/usr/bin/python3", "/etc/edge-sdk/edge-sdk.toml")


def test_files_are_written_and_replaced_where_the_command_wrote_them(tmp_path: Path) -> None:
    files = files_of(UNIT, journal_in_memory=True)
    assert len(files) == 3
    install(files, root=tmp_path)
    install(files_of(device_unit("/opt/python", "/etc/other.toml"), journal_in_memory=True), root=tmp_path)
    unit = tmp_path / "etc/systemd/system/edge-sdk.service"
    assert "/opt/python" in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o644
    unit.write_text("[Unit]\nDescription=mine\n")
    with pytest.raises(ConfigError, match="move it away first"):
        install(files, root=tmp_path)
    assert "mine" in unit.read_text()


def test_a_link_is_left_alone(tmp_path: Path) -> None:
    unit = tmp_path / "etc/systemd/system/edge-sdk.service"
    unit.parent.mkdir(parents=True)
    unit.symlink_to("/dev/null")  # a masked unit
    with pytest.raises(ConfigError, match="move it away first"):
        install(files_of(UNIT), root=tmp_path)
    assert unit.is_symlink()


def test_systemd_is_asked_where_it_is() -> None:
    if not systemd_release():
        pytest.skip("needs systemd")
    assert complaints(UNIT) == []
    (said,) = complaints(device_unit("/no/such/python", "/etc/x.toml"))
    assert said.startswith("edge-sdk.service: Command /no/such/python is not executable")


def test_a_program_that_others_cannot_reach(tmp_path: Path) -> None:
    program = tmp_path / "home" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.touch()
    for folder in (*tmp_path.parents[: len(tmp_path.parents) - 2], tmp_path):  # pytest's own folders are private
        folder.chmod(folder.stat().st_mode | 0o001)
    assert out_of_reach(program) is None
    (tmp_path / "home").chmod(0o700)
    assert out_of_reach(program) == tmp_path / "home"
    link = tmp_path / "python"
    link.symlink_to(program)
    assert out_of_reach(link) == tmp_path / "home"


def test_a_service_that_the_next_start_does_not_find_is_not_installed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    passing = device_unit("/tmp/venv/bin/python", "/etc/edge-sdk/edge-sdk.toml")
    said = "the service will not find /tmp/venv/bin/python (the interpreter): /tmp is hidden from it"
    with pytest.raises(ConfigError, match=f"{re.escape(said)}.*a folder that stays, such as /opt/edge-sdk"):
        put(passing, "edge-sdk", only_print=False, packages=[])
    with pytest.raises(ConfigError, match=r"will not find /run/packages \(its packages\)"):
        put(UNIT, "edge-sdk", only_print=False, packages=[Path("/run/packages")])
    put(passing, "edge-sdk", only_print=True, packages=[], named=[Named("--tls-key", Path("/var/tmp/server.key"))])
    warned = capsys.readouterr().err
    assert said in warned and "will not find /var/tmp/server.key (--tls-key): /var/tmp is hidden" in warned


def test_a_named_file_that_the_user_cannot_reach_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "tokens").touch()
    put(UNIT, "edge-sdk", only_print=True, packages=[], named=[Named("--tokens", closed / "tokens")])
    told = capsys.readouterr().err
    assert "the user edge-sdk cannot enter /" in told and f"not reach {closed / 'tokens'} (--tokens)" in told
