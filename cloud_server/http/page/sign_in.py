"""Signing in and out, and the files that every page loads."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from cloud_server.http.page.access import SESSION, set_cookie
from cloud_server.http.page.forms import Text
from cloud_server.http.page.page import FOLDER, Page

_STATIC = {"page.css": "text/css", "label.js": "text/javascript", "icon.svg": "image/svg+xml"}


def add_sign_in(router: APIRouter, page: Page) -> None:
    """Put these addresses into a router."""
    access, users = page.access, page.parts.fleet.users
    turn = access.turn

    @router.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in _STATIC:
            raise HTTPException(404, "there is no such file")
        return FileResponse(FOLDER / name, media_type=_STATIC[name], headers={"Cache-Control": "max-age=300"})

    @router.get("/sign-in")
    def sign_in(request: Request, to: str = "/") -> Response:
        if access.person(request) is not None or access.proxy is not None:
            return RedirectResponse("/", 303)
        return page.render(request, "sign_in.html", to=_inside(to), nobody=not len(users))

    @router.post("/sign-in")
    async def signed_in(request: Request, key: Text, name: Text, password: Text, to: Text = "/") -> Response:
        access.check_form(request, key)
        keys = f"address {access.address(request)}", f"name {name}"
        wait_s = access.tries.wait_s(*keys)
        if wait_s:
            why = f"too many wrong passwords: try again in {wait_s / 60:.0f} minutes"
            return page.render(request, "sign_in.html", status=429, to=_inside(to), why=why, name=name)
        async with turn:
            user = await asyncio.to_thread(users.check, name, password)
        if user is None:
            access.tries.failed(*keys)
            why = "this name and this password do not belong together"
            return page.render(request, "sign_in.html", status=401, to=_inside(to), why=why, name=name)
        await asyncio.to_thread(users.end_session, request.cookies.get(SESSION, ""))  # this browser's earlier one
        response = RedirectResponse(_inside(to), 303)
        set_cookie(request, response, SESSION, await asyncio.to_thread(users.open_session, user.name))
        return response

    @router.post("/sign-out")
    def sign_out(request: Request, key: Text) -> Response:
        access.check_form(request, key)
        users.end_session(request.cookies.get(SESSION, ""))
        response = RedirectResponse("/sign-in", 303)
        set_cookie(request, response, SESSION, "")
        return response


def _inside(to: str) -> str:
    """A path of this page, whatever was asked for."""
    is_path = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable() and len(to) < 500
    return to if is_path else "/"
