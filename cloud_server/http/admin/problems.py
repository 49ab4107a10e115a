"""Refusals of the admin API as problems (RFC 9457): one form for what was wrong with a request and with the server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteException

from cloud_server.fleet.database.opening import Overtaken
from cloud_server.http.admin.forms import Problem
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.terminal.line import one_line

_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)

_MOST = 5
_NOT_NOW = "the server cannot read or keep this now; what it confirmed is kept: ask again later"
"""Why is for the log: whoever calls, with a known key or without, is not told where the database is."""
_WORDS = {"content": {_TYPE: {"schema": Problem.model_json_schema()}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {**_WORDS, "description": "What is asked cannot be done; the detail says why."},
    401: {**_WORDS, "description": "No key, or one that is not known."},
    403: {**_WORDS, "description": "The user's role does not allow it."},
    404: {**_WORDS, "description": "There is no such thing."},
    409: {**_WORDS, "description": "Somebody else changed the same since `since_ms`: read it again."},
    413: {**_WORDS, "description": "The body is too large."},
    422: {**_WORDS, "description": "The request is not as described."},
    429: {**_WORDS, "description": "Too many calls."},
    503: {**_WORDS, "description": "The database does not answer: ask again later."},
}
"""The replies of each route beside its own."""


class ProblemRoute(APIRoute):
    """A route whose refusals are problems."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with refusals turned into replies."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except RequestValidationError as error:
                return problem(422, "; ".join(map(_fault, error.errors()[:_MOST])))
            except (HTTPException, StarletteException) as error:
                return problem(error.status_code, str(error.detail), error.headers)
            except Overtaken as error:
                return problem(409, str(error))
            except ConfigError as error:
                return problem(400, str(error))
            except StorageError as error:
                _log.error("the admin API cannot answer %s: %s", one_line(request.url.path, 100), error)
                return problem(503, _NOT_NOW, {"Retry-After": "5"})

        return handle


async def refused(request: Request, error: Exception) -> Response:
    """The reply where no route takes a request, or none by this method: a problem below `/api`, else FastAPI's own."""
    assert isinstance(error, StarletteException)
    if request.url.path.startswith("/api/"):
        return problem(error.status_code, str(error.detail), error.headers)
    return await http_exception_handler(request, error)


def problem(status: int, detail: str, headers: Any = None) -> JSONResponse:
    """A refusal."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=one_line(detail, 1000))
    return JSONResponse(body.model_dump(), status, headers, _TYPE)


def _fault(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    return f"{one_line(where, 100)}: {one_line(error['msg'], 200)}"
