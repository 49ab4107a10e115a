"""Files that an operator names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_given, read_given_text


def test_only_a_regular_file_within_bounds_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_given(tmp_path / "link", "list") == b"12345"
    for path, why in (
        (tmp_path, "it is a folder"),
        (tmp_path / "pipe", "it is a pipe or a device"),
        (Path("/dev/zero"), "it is a pipe or a device"),
        (tmp_path / "none", "cannot read the list .*none: No such file"),
        (tmp_path / "file" / "below", "Not a directory"),
        (Path("nul\0"), "null"),
    ):
        with pytest.raises(ConfigError, match=why) as caught:
            read_given(path, "list")
        assert str(caught.value).count("expected") + str(caught.value).count("cannot") == 1
    with pytest.raises(ConfigError, match="at most 4 bytes"):
        read_given(tmp_path / "file", "list", max_bytes=4)


def test_other_encodings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("räume\n", "utf-8-sig")
    assert read_given_text(path, "map") == "räume\n"
    path.write_text("one\nräume\n", "cp1252")
    with pytest.raises(ConfigError, match=r"line 2 has the byte 0xe4.*save it as UTF-8"):
        read_given_text(path, "map")
    path.write_text("räume\n", "utf-16")
    with pytest.raises(ConfigError, match="it is UTF-16"):
        read_given_text(path, "map")
