"""The page's addresses in an application, their headers, and pages for what is refused."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from cloud_server.http.admin.problems import problem
from cloud_server.http.page.account import add_account
from cloud_server.http.page.label_view import add_labelling
from cloud_server.http.page.looking import add_looking
from cloud_server.http.page.operating import add_operating
from cloud_server.http.page.page import Page, PageParts
from cloud_server.http.page.sign_in import add_sign_in
from edge_sdk.errors import StorageError

_log = logging.getLogger(__name__)

POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def add_page(api: FastAPI, parts: PageParts) -> None:
    """Put the page's addresses, and its headers, into an application."""
    page = Page(parts)
    access = page.access

    @api.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        access.begin(request)
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if response.headers.get("content-type", "").startswith("text/html"):
            access.remember(request, response)
        return response

    @api.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        if 300 <= error.status_code < 400:
            return RedirectResponse((error.headers or {})["Location"], error.status_code)
        if request.url.path.startswith("/api/"):
            return problem(error.status_code, str(error.detail), error.headers)
        return page.render(request, "refused.html", status=error.status_code, why=error.detail)

    @api.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        return page.render(request, "refused.html", status=422, why="a field of this form is missing or too long")

    @api.exception_handler(StorageError)
    def unavailable(request: Request, error: StorageError) -> Response:
        _log.error("the page cannot answer %s: %s", request.url.path[:100], error)
        text = "The server cannot read or keep this now. What it confirmed is kept; try again in a minute.\n"
        return PlainTextResponse(text, 503, {"Retry-After": "60"})

    router = APIRouter(include_in_schema=False)
    add_sign_in(router, page)
    add_account(router, page)
    add_looking(router, page)
    add_labelling(router, page)
    add_operating(router, page)
    api.include_router(router)
