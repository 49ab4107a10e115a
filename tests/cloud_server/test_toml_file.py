from __future__ import annotations

from pathlib import Path

import pytest

from cloud_server.toml_file import meant, read_toml
from edge_sdk.errors import ConfigError


def test_faults_are_told_in_the_order_of_the_file_five_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("".join(f"k{number} = 1\n" for number in range(7)))
    file = read_toml(path, "config file")
    file.refuse()
    for number in reversed(range(7)):
        file.blame(f"no k{number}", f"k{number}")
    assert file.told()[0] == f"{path}:1: no k0"
    with pytest.raises(ConfigError, match=r":1: no k0; .*:5: no k4 \(and 2 more\)$"):
        file.refuse()


def test_a_key_that_is_not_there_is_told_by_what_would_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1\n\n[[models]]\nname = 'x'\n")
    file = read_toml(path, "config file")
    assert (file.line("models", 0, "weights"), file.line("models", 0, "name"), file.line("none")) == (3, 4, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = 1\nb = \n", ":2: expected TOML: Invalid value"),
        (b'a = """x\n\n', ":3: expected TOML: "),
        (b"a = 'r\xe4h'\n", "expected UTF-8 in the config file .*; line 1 has the byte 0xe4"),
        (b"a = " + b"[" * 200_000, ":1: expected TOML"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_toml(path, "config file")


def test_what_was_meant() -> None:
    assert meant("prot", ("port", "host")) == "; did you mean port?"
    assert meant("zzz", ("port",)) == meant(3, ("port",)) == ""
