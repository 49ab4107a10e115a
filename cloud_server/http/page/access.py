"""Who looks at the page: sign-in with a password or by a proxy's header, forms that only the page sends, few tries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cloud_server.fleet.database.users import SESSION_S, Role, User, Users
from cloud_server.http.connection import LOOPBACK

SESSION, VISITOR = "edge-sdk-session", "edge-sdk-visitor"
TRIES, TRIES_S = 10, 600.0
"""Wrong passwords from one address, or for one name, within so many seconds; further tries are refused meanwhile."""
_MOST_TRIES = 10_000


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that signs people in, such as oauth2-proxy.

    Attributes:
        address: of the proxy; the header of others is ignored.
        header: that names the person.
    """

    address: str
    header: str


class Tries:
    """Counts wrong passwords by address and by name; used on one event loop.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, *keys: str) -> float:
        """Seconds until one more try is let in; 0: now."""
        now = self._clock()
        waits = [0.0]
        for key in keys:
            recent = [at for at in self._found.get(key, ()) if now - at < TRIES_S]
            if len(recent) >= TRIES:
                waits.append(recent[-TRIES] + TRIES_S - now)
        return max(waits)

    def failed(self, *keys: str) -> None:
        """Count a wrong password."""
        for key in keys:
            self._found[key] = [*self._found.get(key, ())[-TRIES:], self._clock()]
            self._found.move_to_end(key)
        while len(self._found) > _MOST_TRIES:
            self._found.popitem(last=False)


class Access:
    """Tells who asks, and whether a form is the page's own.

    Args:
        users: knows names, passwords and sessions.
        proxy: signs people in; None: they sign in with passwords.
    """

    def __init__(self, users: Users, proxy: Proxy | None = None) -> None:
        self.users, self.proxy = users, proxy
        self.tries = Tries()
        self.turn = asyncio.Semaphore(1)  # one check of a password takes 19 MiB and a while

    def person(self, request: Request) -> User | None:
        """Who is signed in; None: nobody."""
        if self.proxy is not None:
            if _peer(request) != self.proxy.address:
                return None
            names = request.headers.getlist(self.proxy.header)  # a second one is the visitor's own, passed on
            return self.users.get(names[0]) if len(names) == 1 and names[0] else None
        secret = request.cookies.get(SESSION, "")
        return self.users.by_session(secret) if 0 < len(secret) < 200 else None

    def need(self, request: Request, role: Role) -> User:
        """Who asks, if they may; the way to sign in, or a refusal, otherwise."""
        person = self.person(request)
        if person is None and self.proxy is not None:
            raise HTTPException(403, "the proxy named nobody whom this server knows (`cloud-server admin user add`)")
        if person is None:
            asked = quote(request.scope["path"], safe="/") + (f"?{request.url.query}" if request.url.query else "")
            raise HTTPException(303, headers={"Location": f"/sign-in?to={quote(asked, safe='/')}"})
        if not person.role.allows(role):
            raise HTTPException(403, f"your role is {person.role}; this needs the role {role}")
        return person

    def address(self, request: Request) -> str:
        """Where a request comes from; behind the proxy that signs people in, or one on this machine, what that names.

        Else all who come through a proxy that encrypts would be one, and ten wrong passwords would keep everybody out.
        """
        peer = _peer(request)
        if peer in LOOPBACK or (self.proxy is not None and peer == self.proxy.address):
            return request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip() or peer
        return peer

    def form_key(self, request: Request) -> str:
        """What the page's own forms carry."""
        return _key_of(request.state.visitor)

    def check_form(self, request: Request, key: str) -> None:
        """Refuse a form that another site made.

        Browsers say themselves whether the form is of this site, over encrypted links and on this machine; only where
        one does not, the name of the site is compared with the one that was asked, which some proxies change.
        """
        origin, said = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        is_ours = origin in (None, "null") or urlsplit(origin).netloc == request.headers.get("host")
        is_same = is_ours if said is None else said in ("same-origin", "none")
        if not (is_same and hmac.compare_digest(key.encode(), self.form_key(request).encode())):
            raise HTTPException(403, "this form is not of this page, or too old: load the page again")

    def begin(self, request: Request) -> None:
        """Give the browser a number of its own, if it has none; forms are tied to it."""
        known = request.cookies.get(VISITOR, "")
        request.state.visitor = known if len(known) == 43 else secrets.token_urlsafe(32)

    def remember(self, request: Request, response: Response) -> None:
        """Send that number."""
        if request.cookies.get(VISITOR) != request.state.visitor:
            set_cookie(request, response, VISITOR, request.state.visitor)


def set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    """A cookie that scripts and other sites do not get, encrypted links alone where this one is."""
    is_secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "").lower() == "https"
    age = round(SESSION_S) if value else 0
    response.set_cookie(name, value, max_age=age, path="/", httponly=True, samesite="lax", secure=is_secure)


def _peer(request: Request) -> str:
    return request.client.host.removeprefix("::ffff:") if request.client else ""


def _key_of(visitor: str) -> str:
    return hashlib.sha256(b"edge-sdk form\n" + visitor.encode()).hexdigest()
