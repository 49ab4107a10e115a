from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.security.tokens import add_token, check_token, hash_token, new_token, read_tokens, remove_token


def test_tokens_hold_256_bits_and_are_never_the_same() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert {len(token) for token in made} == {43}  # 256 bits in base64
    assert all(check_token(f"{token}\n", "a file") == token for token in made)


@pytest.mark.parametrize("text", ["", "short", "x" * 513, "a b " * 10, "ü" * 40, "token\r\nx-admin: 1" + "x" * 32])
def test_another_text_is_no_token_and_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="one token of 32 to 512") as caught:
        check_token(text, "some.file")
    assert "some.file" in str(caught.value)
    assert text.strip() not in str(caught.value) or not text


def test_the_file_holds_hashes_alone_and_is_its_owners(tmp_path: Path) -> None:
    path, tokens = tmp_path / "tokens", {name: new_token() for name in ("cam-1", "cam-2")}
    for name, token in tokens.items():
        add_token(path, name, token)
    text = path.read_text()
    assert not any(token in text for token in tokens.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    known = read_tokens(path)
    assert known.faults == ()
    assert {name: known.device_of(hash_token(token)) for name, token in tokens.items()} == {
        "cam-1": "cam-1",
        "cam-2": "cam-2",
    }
    assert known.device_of(hash_token(new_token())) is None


def test_a_token_is_replaced_only_on_demand_and_the_mode_is_kept(tmp_path: Path) -> None:
    path, old, new = tmp_path / "tokens", new_token(), new_token()
    add_token(path, "cam", old)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="--replace"):
        add_token(path, "cam", new)
    assert read_tokens(path).device_of(hash_token(old)) == "cam"
    add_token(path, "cam", new, replace=True)
    assert read_tokens(path).device_of(hash_token(old)) is None
    assert read_tokens(path).device_of(hash_token(new)) == "cam"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_revoked_device_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    add_token(path, "cam", new_token())
    with pytest.raises(ConfigError, match=r"expected a device of .* \(cam\); got 'kam'"):
        remove_token(path, "kam")
    assert remove_token(path, "cam") == ()
    assert read_tokens(path).hashes == {}
    assert path.read_text().startswith("#")  # an empty file could be one that is being written


def test_bad_lines_are_named_and_good_ones_hold(tmp_path: Path) -> None:
    path, good = tmp_path / "tokens", hash_token(new_token())
    path.write_text(f"cam {good}  # north\n\nkam {good[:-1]}\ncam {good}\n../x {good}\n")
    known = read_tokens(path)
    assert known.hashes == {"cam": good}
    assert [fault.split(", ")[1].split(":")[0] for fault in known.faults] == ["line 3", "line 4", "line 5"]
    with pytest.raises(ConfigError, match="line 3"):
        add_token(path, "other", new_token())


def test_files_that_cannot_be_used_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the tokens file"):
        read_tokens(tmp_path / "none")
    with pytest.raises(StorageError, match="cannot write the tokens file"):
        add_token(tmp_path / "no" / "folder", "cam", new_token())
    with pytest.raises(ConfigError, match="expected a device name"):
        add_token(tmp_path / "tokens", "two words", new_token())


_ADD = """
import sys
from pathlib import Path
from edge_sdk.security.tokens import add_token, new_token
add_token(Path(sys.argv[1]), sys.argv[2], new_token())
"""


def test_processes_that_add_tokens_at_once_lose_none(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    names = [f"cam-{number}" for number in range(8)]
    running = [subprocess.Popen([sys.executable, "-c", _ADD, str(path), name]) for name in names]
    assert [process.wait(60) for process in running] == [0] * 8
    assert sorted(read_tokens(path).hashes) == names


def test_comments_order_and_line_ends_stay(tmp_path: Path) -> None:
    path, tokens = tmp_path / "tokens", {name: new_token() for name in ("b", "a", "c")}
    lines = [f"{name} {hash_token(token)}" for name, token in tokens.items()]
    path.write_bytes(b"\xef\xbb\xbf# fleet \xe4\r\n\r\n" + "  # north, r\u00e4ume\r\n".join([*lines, ""]).encode())
    before = path.read_bytes().splitlines(keepends=True)
    add_token(path, "d", new_token())
    assert path.read_bytes().splitlines(keepends=True)[:-1] == before
    add_token(path, "a", new := new_token(), replace=True)
    remove_token(path, "b")
    now = path.read_bytes().splitlines(keepends=True)
    assert now[:2] == before[:2]
    assert now[2] == before[3].replace(hash_token(tokens["a"]).encode(), hash_token(new).encode())
    assert now[3] == before[4]
    assert list(read_tokens(path).hashes) == ["a", "c", "d"]
    assert read_tokens(path).faults == ()


def test_a_last_line_without_its_end_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"a {hash_token('x')}")
    add_token(path, "b", new_token())
    assert list(read_tokens(path).hashes) == ["a", "b"]


def test_a_device_is_revoked_though_other_lines_are_not_valid(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"bad line here\ncam {hash_token('x')}\nkam {hash_token('y')}\ncam 123\n")
    remove_token(path, "cam")
    assert path.read_text() == f"bad line here\nkam {hash_token('y')}\n"


def test_a_token_that_two_devices_have_is_told(tmp_path: Path) -> None:
    path, digest = tmp_path / "tokens", hash_token(new_token())
    path.write_text(f"one {digest}\ntwo {digest.upper()}\n")
    known = read_tokens(path)
    assert known.hashes == {"one": digest}
    assert "two has the same token as one" in known.faults[0]
    assert remove_token(path, "one") == ("two",)
    path.write_text(f"one {digest}\ntwo {digest}\n")
    add_token(path, "two", new_token(), replace=True)  # as the fault says
    assert read_tokens(path).faults == ()


def test_another_kind_of_file_is_explained(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="it is a pipe"):
        read_tokens(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="it is a folder"):
        read_tokens(tmp_path)
