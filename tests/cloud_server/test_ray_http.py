from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from cloud_server.ray_http import response_of

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')


async def test_an_applications_parts_become_one_response() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        headers = [(b"content-type", b"text/plain"), (b"x-told", b"a")]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"!"})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"hello", "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/v2", "headers": []}
    response = await response_of(app, Request(scope, receive))
    assert (response.status_code, response.body) == (429, b"hello!")
    assert response.raw_headers == [(b"content-type", b"text/plain"), (b"x-told", b"a")]
