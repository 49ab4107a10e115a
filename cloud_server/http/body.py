"""Bodies of HTTP requests: bounded in size and time, and dropped where a request is refused."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES = 1 << 20
"""Bytes of a body, other than those of the Open Inference Protocol, which has its own bounds."""
BODY_S = 15.0
"""Seconds in which such a body must have come."""
DROP_S = 5.0
"""Seconds in which the body of a refused request is read."""


class Bounds:
    """Bounds bodies in size and time around an application.

    Args:
        app: gets requests whose bodies keep the bounds; `HTTPException` is raised where it reads one that does not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        until, size, is_whole = asyncio.get_running_loop().time() + BODY_S, 0, False

        async def read() -> Message:
            nonlocal size, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise _refused(408, "expected the whole body; it did not come in time") from None
            size += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if size > BODY_BYTES:
                if not is_whole:
                    await drop_body(receive, 8 * BODY_BYTES)
                raise _refused(413, f"expected a body of at most {BODY_BYTES:,} bytes; got more")
            return message

        await self._app(scope, read, send)


async def drop_body(receive: Receive, most: int) -> None:
    """Read the rest of a refused request's body: a socket that is closed before that may take the reply with it.

    Args:
        receive: of the request.
        most: bytes that are read.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(DROP_S):
            while most > 0:
                message = await receive()
                if not message.get("more_body", False):
                    return
                most -= len(message["body"])


def _refused(status: int, message: str) -> HTTPException:
    """What becomes a reply: the application's own handlers turn it into one."""
    return HTTPException(status, message, {"Connection": "close"})
