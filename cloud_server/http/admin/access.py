"""Who calls the admin API: a key in the header, a role for what is asked, a rate for each user."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cloud_server.access.rates import RateLimited, RateLimiter
from cloud_server.fleet.database.users import Role, User
from cloud_server.fleet.fleet import Fleet

CALLS_PER_S, BURST = 20.0, 200
"""Calls of one user, and of all without a known key from one address."""
_BEARER = HTTPBearer(auto_error=False, description="A user's key: `cloud-server admin key add USER`.")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with; the application's state has it as `admin`.

    Attributes:
        fleet: what is asked and changed.
        is_serving: whether the server answers devices.
        limiter: bounds the calls of each.
        guard: of the limiter, which calls on several threads ask.
    """

    fleet: Fleet
    is_serving: Callable[[], bool]
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(CALLS_PER_S, BURST))
    guard: threading.Lock = field(default_factory=lambda: threading.Lock())


async def desk_of(request: Request) -> Desk:
    """The application's."""
    desk: Desk = request.app.state.admin
    return desk


def caller(
    request: Request,
    desk: Annotated[Desk, Depends(desk_of)],
    given: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> User:
    """The user whose key came.

    Raises:
        HTTPException: 401 without a known key, 429 for too many calls.
        Unavailable: the database does not answer.
    """
    user = None if given is None else desk.fleet.users.by_key(given.credentials)
    address = "" if request.client is None else request.client.host
    try:
        with desk.guard:
            desk.limiter.spend(f"address {address}" if user is None else f"user {user.name}")
    except RateLimited:
        raise HTTPException(429, "expected fewer calls: ask again in a second", {"Retry-After": "1"}) from None
    if user is None:
        wanted = "expected `Authorization: Bearer KEY` with a user's key (`cloud-server admin key add USER`)"
        raise HTTPException(401, wanted, {"WWW-Authenticate": "Bearer"})
    return user


def _looker(user: Annotated[User, Depends(caller)]) -> User:
    return _checked(user, Role.LOOK)


def _labeller(user: Annotated[User, Depends(caller)]) -> User:
    return _checked(user, Role.LABEL)


def _operator(user: Annotated[User, Depends(caller)]) -> User:
    return _checked(user, Role.OPERATE)


def _checked(user: User, needed: Role) -> User:
    if not user.role.allows(needed):
        raise HTTPException(403, f"expected a user with the role {needed}; {user.name} has {user.role}")
    return user


TheDesk = Annotated[Desk, Depends(desk_of)]
Looker = Annotated[User, Depends(_looker)]
Labeller = Annotated[User, Depends(_labeller)]
Operator = Annotated[User, Depends(_operator)]
