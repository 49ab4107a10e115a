from __future__ import annotations

from pathlib import Path

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from cloud_server.fleet.database.opening import open_database
from cloud_server.fleet.fleet import Fleet
from cloud_server.fleet.tallies import Tallies
from cloud_server.http.page.page import PageParts
from cloud_server.http.page.routes import add_page


async def test_a_database_that_fails_is_said_and_what_is_there_again_works(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "fleet.db")
    api = FastAPI()
    add_page(api, PageParts(Fleet(engine, reports=tmp_path), Tallies(tmp_path)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://server") as http:
        assert "Nobody can sign in yet" in (await http.get("/sign-in")).text
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE users RENAME TO others"))
        reply = await http.get("/sign-in")
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "60")
        assert "others" not in reply.text
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE others RENAME TO users"))
        assert (await http.get("/sign-in")).status_code == 200
        missing = await http.get("/none")
        assert missing.status_code == 404
        assert "default-src 'none'" in missing.headers["content-security-policy"]
        none = await http.get("/api/v1/none")
        assert none.json()["detail"] == "Not Found" and none.headers["content-type"] == "application/problem+json"
    engine.dispose()
