"""Who may see and change what: users with a role, their passwords, and the passes that stand for them."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cloud_server.fleet.database.opening import transaction
from cloud_server.fleet.database.tables import passes, users
from edge_sdk.errors import ConfigError

if TYPE_CHECKING:
    from argon2 import PasswordHasher
    from sqlalchemy import Connection, Engine, Row

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
SHORTEST, LONGEST = 10, 256
"""Characters of a password."""
_SESSION, _KEY = "session", "key"
SESSION_S = 12 * 3600.0


class Role(StrEnum):
    """What a user may do; each role may do what those before it may."""

    LOOK = "look"
    LABEL = "label"
    OPERATE = "operate"

    def allows(self, wanted: Role) -> bool:
        """Whether this role may do what `wanted` may."""
        order = list(Role)
        return order.index(self) >= order.index(wanted)


@dataclass(frozen=True, slots=True)
class User:
    """A user.

    Attributes:
        name: unique.
        role: what it may do.
        has_password: whether a password lets it in.
        made_by: who made it.
        made_ms: when, milliseconds since 1970.
    """

    name: str
    role: Role
    has_password: bool = True
    made_by: str = ""
    made_ms: int = 0


@dataclass(frozen=True, slots=True)
class Key:
    """A program's key, without its secret.

    Attributes:
        key_id: the first 12 hexadecimal digits of its SHA-256.
        user: for whom it stands.
        note: what it is for.
        made_ms: when it was made, milliseconds since 1970.
    """

    key_id: str
    user: str
    note: str
    made_ms: int


class Users:
    """The users of a database; may be used on any thread.

    Args:
        engine: of the database.
        clock: seconds since 1970.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock
        self._nobody = ""

    def __len__(self) -> int:
        with transaction(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(users)) or 0

    def all(self) -> list[User]:
        """All users by name."""
        with transaction(self._engine) as connection:
            return [_user(row) for row in connection.execute(select(users).order_by(users.c.name))]

    def get(self, name: str) -> User | None:
        """A user, or None."""
        with transaction(self._engine) as connection:
            row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
        return None if row is None else _user(row)

    def add(self, name: str, role: Role, password: str | None, by: str) -> User:
        """Make a user.

        Args:
            name: letters, digits and `._@+-`, at most 64.
            role: what it may do.
            password: 10 to 256 characters; None: it has none, and comes in by a proxy or a key alone.
            by: who makes it.

        Raises:
            ConfigError: the name or the password is not as expected, or there is such a user.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"expected a user's name of 1 to 64 letters, digits and ._@+-; got {name!r}")
        hashed = "" if password is None else _hasher().hash(_checked(password))
        now_ms = self._now_ms()
        row = {"name": name, "role": role.value, "password": hashed, "made_by": by, "made_ms": now_ms}
        try:
            with transaction(self._engine) as connection:
                connection.execute(insert(users).values(row))
        except IntegrityError:
            raise ConfigError(f"expected a new user; there is {name} already") from None
        return User(name, role, password is not None, by, now_ms)

    def change(self, name: str, *, role: Role | None = None, password: str | None = None) -> None:
        """Give a user another role or password; its browsers must log in again.

        Raises:
            ConfigError: there is no such user, the password is not as expected, or nobody could operate any more.
        """
        values = {}
        if role is not None:
            values["role"] = role.value
        if password is not None:
            values["password"] = _hasher().hash(_checked(password))
        with transaction(self._engine) as connection:
            had_operators = _operators(connection)
            if not values or not connection.execute(update(users).where(users.c.name == name).values(values)).rowcount:
                raise ConfigError(f"expected a user of this database; got {name!r}")
            _check_operated(connection, had_operators)
            connection.execute(delete(passes).where(passes.c.name == name, passes.c.kind == _SESSION))

    def remove(self, name: str) -> None:
        """Remove a user, its sessions and its keys; what it said and decided stays.

        Raises:
            ConfigError: there is no such user, or nobody could operate any more.
        """
        with transaction(self._engine) as connection:
            had_operators = _operators(connection)
            if not connection.execute(delete(users).where(users.c.name == name)).rowcount:
                raise ConfigError(f"expected a user of this database; got {name!r}")
            _check_operated(connection, had_operators)
            connection.execute(delete(passes).where(passes.c.name == name))

    def check(self, name: str, password: str) -> User | None:
        """The user with this name and password, or None; it takes as long for names that nobody has."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with transaction(self._engine) as connection:
            row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
        hasher = _hasher()
        self._nobody = self._nobody or hasher.hash(secrets.token_urlsafe())
        try:
            hasher.verify(row.password if row is not None and row.password else self._nobody, password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return None
        return None if row is None or not row.password else _user(row)

    def open_session(self, name: str, lasts_s: float = SESSION_S) -> str:
        """A secret by which a browser is known as this user from now on."""
        return self._new_pass(name, _SESSION, "", lasts_s)

    def new_key(self, name: str, note: str = "") -> str:
        """A secret by which a program is known as this user until the key or the user is removed.

        Raises:
            ConfigError: there is no such user.
        """
        if self.get(name) is None:
            raise ConfigError(f"expected a user of this database; got {name!r}")
        return self._new_pass(name, _KEY, note[:200], None)

    def all_keys(self) -> list[Key]:
        """All keys, the oldest first."""
        wanted = select(passes).where(passes.c.kind == _KEY).order_by(passes.c.made_ms)
        with transaction(self._engine) as connection:
            return [Key(row.hash[:12], row.name, row.note, row.made_ms) for row in connection.execute(wanted)]

    def remove_key(self, key_id: str) -> None:
        """End a key.

        Raises:
            ConfigError: there is no such key.
        """
        with transaction(self._engine) as connection:
            ended = delete(passes).where(passes.c.kind == _KEY, func.substr(passes.c.hash, 1, 12) == key_id)
            if not connection.execute(ended).rowcount:
                raise ConfigError(f"expected the id of a key, 12 hexadecimal digits; got {key_id!r}")

    def by_session(self, secret: str) -> User | None:
        """The user whose open session this is, or None."""
        return self._by_pass(secret, _SESSION)

    def by_key(self, secret: str) -> User | None:
        """The user whose key this is, or None."""
        return self._by_pass(secret, _KEY)

    def end_session(self, secret: str) -> None:
        """End a session, if it is open."""
        with transaction(self._engine) as connection:
            connection.execute(delete(passes).where(passes.c.hash == _hash(secret)))

    def end_sessions(self, name: str) -> None:
        """End all sessions of a user, on whichever browser."""
        with transaction(self._engine) as connection:
            connection.execute(delete(passes).where(passes.c.name == name, passes.c.kind == _SESSION))

    def _new_pass(self, name: str, kind: str, note: str, lasts_s: float | None) -> str:
        secret, now_ms = secrets.token_urlsafe(32), self._now_ms()
        until_ms = None if lasts_s is None else now_ms + round(lasts_s * 1000)
        row = {"hash": _hash(secret), "name": name, "kind": kind, "note": note, "made_ms": now_ms, "until_ms": until_ms}
        with transaction(self._engine) as connection:
            connection.execute(delete(passes).where(passes.c.until_ms <= now_ms))
            connection.execute(insert(passes).values(row))
        return secret

    def _by_pass(self, secret: str, kind: str) -> User | None:
        found = (
            select(users, passes.c.until_ms)
            .join(passes, passes.c.name == users.c.name)
            .where(passes.c.hash == _hash(secret), passes.c.kind == kind)
        )
        with transaction(self._engine) as connection:
            row = connection.execute(found).one_or_none()
        if row is None or (row.until_ms is not None and row.until_ms <= self._now_ms()):
            return None
        return _user(row)

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)


def _operators(connection: Connection) -> int:
    wanted = select(func.count()).select_from(users).where(users.c.role == Role.OPERATE.value)
    return connection.scalar(wanted) or 0


def _check_operated(connection: Connection, before: int) -> None:
    """Whoever could operate before, somebody can after; raising undoes what was done in this transaction."""
    if before and not _operators(connection):
        raise ConfigError(f"expected one user with the role {Role.OPERATE} to remain; this one is the last")


def _user(row: Row[Any]) -> User:
    name, role, password, made_by, made_ms = tuple(row)[:5]
    return User(name, Role(role), bool(password), made_by, made_ms)


def _hash(secret: str) -> str:
    """A secret has 256 random bits: a slow hash is not needed."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _checked(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(f"expected a password of {SHORTEST} to {LONGEST} characters; got {len(password)}")
    return password


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 << 10, parallelism=1)  # OWASP's: a log-in takes 19 MiB, not 64
