"""A request that Ray Serve hands to a replica, answered by an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message


async def response_of(app: ASGIApp, request: Request) -> Response:
    """What the application sends, as one response.

    Args:
        app: answers with one body.
        request: as Ray made it.
    """
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(request.scope, request.receive, send)
    start, *bodies = sent
    response = Response(b"".join(message.get("body", b"") for message in bodies), start["status"])
    response.raw_headers = list(start.get("headers", ()))
    return response
