from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from cloud_server.fleet.database.opening import transaction
from cloud_server.fleet.database.tables import passes
from cloud_server.fleet.database.users import Role, User, Users
from edge_sdk.errors import ConfigError

PASSWORD = "a long password"


@pytest.fixture
def now() -> list[float]:
    return [1_800_000_000.0]


@pytest.fixture
def users(engine: Engine, now: list[float]) -> Users:
    return Users(engine, clock=lambda: now[0])


def test_a_user_is_let_in_by_name_and_password_alone(users: Users) -> None:
    made = users.add("ada", Role.OPERATE, PASSWORD, "the command")
    assert made == User("ada", Role.OPERATE, True, "the command", 1_800_000_000_000)
    assert users.check("ada", PASSWORD) == made
    assert users.check("ada", PASSWORD + ".") is users.check("bob", PASSWORD) is users.check("ada", "") is None
    assert users.check("ada", "x" * 100_000) is None
    assert (users.all(), len(users)) == ([made], 1)


def test_a_user_without_a_password_is_let_in_by_none(users: Users) -> None:
    users.add("proxy-user", Role.LOOK, None, "ada")
    assert users.check("proxy-user", "") is users.check("proxy-user", "None") is None


def test_roles_allow_what_those_before_them_allow() -> None:
    order = [Role.LOOK, Role.LABEL, Role.OPERATE]
    for place, role in enumerate(order):
        assert [role.allows(wanted) for wanted in order] == [place >= other for other in range(3)]


def test_a_session_ends_by_time_by_log_out_and_by_a_new_password(users: Users, now: list[float]) -> None:
    users.add("ada", Role.OPERATE, PASSWORD, "")
    first, second = users.open_session("ada", 60), users.open_session("ada", 600)
    assert users.by_session(first) == users.by_session(second) == users.get("ada")
    assert users.by_key(first) is users.by_session("guess") is None
    now[0] += 60
    assert users.by_session(first) is None
    users.end_session(second)
    assert users.by_session(second) is None
    third, key = users.open_session("ada"), users.new_key("ada", "the exporter")
    users.change("ada", password="another password")
    assert users.by_session(third) is None
    assert users.by_key(key) == users.check("ada", "another password")


def test_secrets_are_not_in_the_database(users: Users, engine: Engine) -> None:
    users.add("ada", Role.OPERATE, PASSWORD, "")
    secrets = [users.open_session("ada"), users.new_key("ada")]
    with transaction(engine) as connection:
        found = repr(connection.execute(select(passes)).all())
    assert not any(secret in found for secret in secrets)


def test_keys_are_listed_and_ended_by_their_ids(users: Users) -> None:
    users.add("ada", Role.LOOK, None, "")
    secret = users.new_key("ada", "grafana")
    (key,) = users.all_keys()
    assert (key.user, key.note) == ("ada", "grafana")
    users.remove_key(key.key_id)
    assert users.by_key(secret) is None
    with pytest.raises(ConfigError, match="expected the id of a key"):
        users.remove_key(key.key_id)


def test_who_is_removed_is_out_at_once(users: Users) -> None:
    users.add("ada", Role.OPERATE, PASSWORD, "")
    users.add("bob", Role.LABEL, PASSWORD, "ada")
    session, key = users.open_session("bob"), users.new_key("bob")
    users.remove("bob")
    assert users.by_session(session) is users.by_key(key) is users.check("bob", PASSWORD) is None


def test_the_last_who_can_operate_stays(users: Users) -> None:
    users.add("ada", Role.OPERATE, PASSWORD, "")
    users.add("bob", Role.LABEL, PASSWORD, "ada")
    with pytest.raises(ConfigError, match="expected one user with the role operate to remain"):
        users.remove("ada")
    with pytest.raises(ConfigError, match="expected one user with the role operate to remain"):
        users.change("ada", role=Role.LOOK)
    assert [user.role for user in users.all()] == [Role.OPERATE, Role.LABEL]
    users.change("bob", role=Role.OPERATE)
    users.remove("ada")


@pytest.mark.parametrize("name", ["", "a b", "<script>", "x" * 65, "-a"])
def test_names_are_plain(users: Users, name: str) -> None:
    with pytest.raises(ConfigError, match="expected a user's name"):
        users.add(name, Role.LOOK, PASSWORD, "")


def test_what_is_refused_changes_nothing(users: Users) -> None:
    users.add("ada", Role.OPERATE, PASSWORD, "")
    with pytest.raises(ConfigError, match="there is ada already"):
        users.add("ada", Role.LOOK, "other password", "")
    for short in ("short", "x" * 257):
        with pytest.raises(ConfigError, match="expected a password of 10 to 256 characters"):
            users.change("ada", password=short)
    for change in (
        lambda: users.remove("bob"),
        lambda: users.new_key("bob"),
        lambda: users.change("bob", role=Role.LOOK),
    ):
        with pytest.raises(ConfigError, match="expected a user of this database; got 'bob'"):
            change()
    assert users.check("ada", PASSWORD) is not None
