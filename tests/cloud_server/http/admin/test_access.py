from __future__ import annotations

from admin_parts import Api

from cloud_server.access.rates import RateLimiter
from cloud_server.fleet.database.users import Role
from cloud_server.http.admin.access import Desk


def test_calls_of_one_user_are_bounded_and_others_are_not_held_back(api: Api) -> None:
    now = [0.0]
    limiter = RateLimiter(1.0, 3, clock=lambda: now[0])
    api.app.state.admin = Desk(api.fleet, lambda: True, limiter)
    assert [api.ask("GET", "/health", Role.LOOK).status_code for _ in range(4)] == [200] * 3 + [429]
    assert api.ask("GET", "/health", Role.LABEL).status_code == 200
    assert [api.ask("GET", "/health", None).status_code for _ in range(4)] == [401] * 3 + [429]
    now[0] += 1
    assert api.ask("GET", "/health", Role.LOOK).status_code == 200


def test_a_session_is_no_key(api: Api) -> None:
    session = api.fleet.users.open_session("operate")
    reply = api.client.get("/api/v1/health", headers={"Authorization": f"Bearer {session}"})
    assert reply.status_code == 401
