"""The text of the units."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.systemd.unit import Unit, device_unit, in_a_home, quoted, server_unit, volatile_journal

UNITS = (
    device_unit("/usr/bin/python3", "/etc/edge-sdk/edge-sdk.toml"),
    server_unit(
        "/usr/bin/python3",
        ("--host", "0.0.0.0", "--reports", "/srv/a b", "--archive=/var/lib/cloud-server/a"),
        writes=(Path("/srv/a b"), Path("/var/lib/cloud-server/a")),
    ),
)


def split(line: str) -> list[str]:
    """A command line as systemd.service(5) reads it: quotes, backslashes, then specifiers and variables."""
    words, word, quote, at = [], None, "", 0
    while at < len(line):
        one = line[at]
        if one == "\\":
            at += 1
            word = (word or "") + {"n": "\n", "t": "\t"}.get(line[at], line[at])
        elif quote:
            quote, word = ("", word) if one == quote else (quote, (word or "") + one)
        elif one in "\"'":
            quote, word = one, word or ""
        elif one in " \t\n":
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + one
        at += 1
    return [one.replace("%%", "%").replace("$$", "$") for one in [*words, *([word] if word is not None else [])]]


@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r\f\v\x85\u2028\u2029"), min_size=1))
)
def test_words_reach_the_program_as_they_are(words: list[str]) -> None:
    assert split(" ".join(map(quoted, words))) == words
    assert "\n" not in "".join(map(quoted, words))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
@pytest.mark.parametrize("release", [0, 252, 257])
def test_systemd_has_nothing_to_say(unit: Unit, release: int, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    path = tmp_path / f"{unit.name}.service"
    path.write_text(unit.text(release=min(release, 252)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
    assert unit.name not in done.stderr, done.stderr
    assert ("RestartSteps=" in unit.text(release=release)) == (release >= 254)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_little_is_exposed(unit: Unit, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    path = tmp_path / f"{unit.name}.service"
    path.write_text(unit.text())
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]  # an exposure of at most 2.0 of 10


def test_what_a_server_writes_beside_its_state_it_may() -> None:
    text = UNITS[1].text()
    assert 'ReadWritePaths=-"/srv/a b"' in text and text.count("ReadWritePaths") == 1
    assert "After=network-online.target" in text
    assert "network-online" not in UNITS[0].text()


def test_homes_are_hidden_unless_the_program_lies_there(tmp_path: Path) -> None:
    assert in_a_home("/home/pi/.venv/bin/python") and in_a_home("/root/x")
    link = tmp_path / "python"
    link.symlink_to("/home/pi/python")
    assert in_a_home(str(link))
    assert "ProtectHome=read-only" in device_unit(str(link), "/etc/x.toml").text()
    assert "ProtectHome=yes" in UNITS[0].text()
    package = Path("/home/pi/edge-sdk/edge_sdk/__init__.py")  # installed by `pip install -e`
    assert "ProtectHome=read-only" in device_unit("/opt/python", "/etc/x.toml", reads=[package]).text()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_service_that_says_the_same_again_and_again_does_not_fill_the_log(unit: Unit) -> None:
    assert "\nLogRateLimitIntervalSec=30s\nLogRateLimitBurst=300\n" in unit.text()


def test_the_log_in_memory_is_bounded() -> None:
    assert "Storage=volatile\nRuntimeMaxUse=16M\n" in volatile_journal()


def test_users_are_in_the_groups_of_their_devices() -> None:
    assert UNITS[0].users() == 'u edge-sdk - "Camera of edge-sdk"\nm edge-sdk video\n'
    assert UNITS[1].users().startswith("u cloud-server - ")
