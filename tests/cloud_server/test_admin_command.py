from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from settings_parts import Operator

from cloud_server.cli import main
from cloud_server.fleet.database.opening import open_database
from cloud_server.fleet.database.users import Role
from cloud_server.fleet.fleet import Fleet


@pytest.fixture
def run(tmp_path: Path) -> Any:
    def command(*words: str, given: str | None = None, **options: str) -> Result:
        before = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        return CliRunner().invoke(main, ["admin", "--state", str(tmp_path), *before, *words], given)

    return command


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


@pytest.fixture
def fleet(tmp_path: Path) -> Any:
    opened = Fleet(open_database(tmp_path / "fleet.db"))
    yield opened
    opened.close()


def test_users_are_made_changed_and_removed(run: Any, fleet: Fleet) -> None:
    assert "no users yet" in said(run("user", "list"))
    said(run("user", "add", "ada", "--role", "operate", "--password-stdin", given="a long password\n"))
    assert fleet.users.check("ada", "a long password")
    said(run("user", "add", "bob", "--no-password"))
    said(run("user", "role", "bob", "label"))
    said(run("user", "password", "bob", given="a new password\na new password\n"))
    assert fleet.users.check("bob", "a new password")
    assert [(one.name, one.role) for one in fleet.users.all()] == [("ada", Role.OPERATE), ("bob", Role.LABEL)]
    assert "bob" in said(run("user", "list"))
    said(run("user", "remove", "bob"))
    assert "there is ada already" in run("user", "add", "ada", "--no-password").output


def test_keys_are_printed_once_and_ended(run: Any, fleet: Fleet) -> None:
    fleet.users.add("ada", Role.LOOK, None, "")
    secret = said(run("key", "add", "ada", "--note", "grafana")).strip()
    found = fleet.users.by_key(secret)
    assert found is not None and found.name == "ada"
    listed = said(run("key", "list"))
    assert "grafana" in listed and secret not in listed
    said(run("key", "remove", fleet.users.all_keys()[0].key_id))
    assert fleet.users.by_key(secret) is None


def test_tokens_are_issued_and_revoked(run: Any, fleet: Fleet) -> None:
    token = said(run("token", "issue", "cam-1")).strip()
    assert list(fleet.tokens.hashes().values()) == ["cam-1"]
    assert token not in said(run("token", "list"))
    assert said(run("token", "issue", "cam-1", "--replace")).strip() != token
    said(run("token", "revoke", "cam-1"))
    assert fleet.tokens.hashes() == {}


def test_a_user_without_a_name_is_a_number_in_the_history(
    run: Any, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs as a user of the caller's choice."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    said(run("token", "issue", "cam-1"))
    assert "uid 987654 (command)" in {one.issued_by for one in fleet.tokens.all()}


def test_settings_are_set_with_the_key_alone(run: Any, fleet: Fleet, tmp_path: Path) -> None:
    key = Operator(tmp_path / "keys").key
    wanted = json.dumps({"threshold": 0.8})
    assert "expected a settings key" in run("settings", "set", "cam-1", wanted).output
    said(run("settings", "set", "cam-1", wanted, settings_key=str(key)))
    assert fleet.settings.of("cam-1") == {"threshold": 0.8}
    assert "(command)" in said(run("settings", "show", "cam-1"))
    assert "expected settings as JSON" in run("settings", "set", "cam-1", "[1]").output


def test_labels_are_exported(run: Any, fleet: Fleet, tmp_path: Path) -> None:
    fleet.labels.add("cam-1", "a", "fox", "ada")
    assert "1 labels" in said(run("labels", "export", str(tmp_path / "out.csv")))
    assert "a,fox,a,,fox,cam-1,ada" in (tmp_path / "out.csv").read_text()
    asked = tmp_path / "asked.csv"
    asked.write_text("id,answer\na,\nb,\n")
    assert "1 of 2 questions" in said(run("labels", "export", str(tmp_path / "answers.csv"), "--asked", str(asked)))


def test_a_database_that_is_not_there_is_made_by_the_first_word_alone_and_that_is_said(
    run: Any, tmp_path: Path
) -> None:
    place = tmp_path / "elsewhere" / "fleet.db"
    for words in (
        ("user", "list"),
        ("user", "remove", "ada"),
        ("key", "list"),
        ("token", "list"),
        ("settings", "show"),
    ):
        result = run(*words, database=str(place))
        assert result.exit_code == 2
        assert f"expected the server's database as {place}; there is none" in result.output
    assert not place.parent.exists()
    assert f"made the database {place}" in said(run("user", "add", "ada", "--no-password", database=str(place)))
    assert "made the database" not in said(run("user", "add", "bob", "--no-password", database=str(place)))


@pytest.mark.parametrize("words", [("user",), ("user", "add"), ("user", "add", "bob", "--role", "king")])
def test_a_wrong_word_names_the_help_of_its_command(words: tuple[str, ...]) -> None:
    result = subprocess.run([sys.executable, "-m", "cloud_server", "admin", *words], capture_output=True, text=True)
    told = " ".join(("cloud_server admin", *words[:2]))
    assert result.returncode == 2 and f"{told} --help` lists the options)" in result.stderr
