from __future__ import annotations

import httpx
from prometheus_client import CollectorRegistry

from cloud_server.http.app import make_app


async def test_nothing_is_loaded_from_elsewhere() -> None:
    _, app = make_app(CollectorRegistry(), lambda: True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as http:
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert (await http.get(path)).status_code == 404
