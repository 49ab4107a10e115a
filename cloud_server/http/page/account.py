"""What everybody may do with their own account: another password, and signing out on all browsers."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from cloud_server.fleet.database.users import LONGEST, SHORTEST, Role
from cloud_server.http.page.access import SESSION, set_cookie
from cloud_server.http.page.forms import Text
from cloud_server.http.page.page import Page
from edge_sdk.errors import ConfigError


def add_account(router: APIRouter, page: Page) -> None:
    """Put these addresses into a router."""
    access, users = page.access, page.parts.fleet.users

    def shown(request: Request, status: int = 200, **more: Any) -> Response:
        return page.render(request, "account.html", status=status, shortest=SHORTEST, longest=LONGEST, **more)

    @router.get("/account")
    def account(request: Request, changed: bool = False) -> Response:
        access.need(request, Role.LOOK)
        return shown(request, changed=changed)

    @router.post("/account/password")
    async def password(request: Request, key: Text, present: Text, new: Text, again: Text) -> Response:
        access.check_form(request, key)
        person = await asyncio.to_thread(access.need, request, Role.LOOK)
        keys = f"address {access.address(request)}", f"name {person.name}"
        if wait_s := access.tries.wait_s(*keys):
            return shown(request, 429, why=f"too many wrong passwords: try again in {wait_s / 60:.0f} minutes")
        if new != again:
            return shown(request, 422, why="expected the new password twice; the two differ: nothing is changed")
        async with access.turn:
            if await asyncio.to_thread(users.check, person.name, present) is None:
                access.tries.failed(*keys)
                return shown(request, 401, why="this is not your present password: nothing is changed")
            try:
                await asyncio.to_thread(users.change, person.name, password=new)
            except ConfigError as error:
                return shown(request, 422, why=str(error))
        response = RedirectResponse("/account?changed=true", 303)
        set_cookie(request, response, SESSION, await asyncio.to_thread(users.open_session, person.name))
        return response

    @router.post("/account/sign-out")
    def sign_out(request: Request, key: Text) -> Response:
        access.check_form(request, key)
        person = access.need(request, Role.LOOK)
        users.end_sessions(person.name)
        response = RedirectResponse("/sign-in", 303)
        set_cookie(request, response, SESSION, "")
        return response
