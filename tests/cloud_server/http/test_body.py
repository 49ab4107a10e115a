from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request

from cloud_server.http import body as body_module
from cloud_server.http.body import Bounds


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    api = FastAPI()

    @api.post("/told")
    async def told(request: Request) -> int:
        return len(await request.body())

    async with httpx.AsyncClient(transport=httpx.ASGITransport(Bounds(api)), base_url="http://server") as it:
        yield it


async def test_bodies_are_bounded_in_size() -> None:
    async with client() as http:
        assert (await http.post("/told", content=b"a" * body_module.BODY_BYTES)).json() == body_module.BODY_BYTES
        reply = await http.post("/told", content=b"a" * (body_module.BODY_BYTES + 1))
        assert (reply.status_code, reply.headers["connection"]) == (413, "close")


async def test_bodies_are_bounded_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "BODY_S", 0.01)

    async def sent() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.Event().wait()

    async with client() as http:
        assert (await http.post("/told", content=sent())).status_code == 408
