"""The admin API on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_parts import Api, fill
from fastapi import FastAPI
from settings_parts import Operator as Signer
from sqlalchemy import Engine
from starlette.testclient import TestClient

from cloud_server.fleet.database.users import Role
from cloud_server.fleet.fleet import Fleet
from cloud_server.http.admin.routes import mount_admin


@pytest.fixture
def api(engine: Engine, tmp_path: Path) -> Iterator[Api]:
    """On SQLite and on PostgreSQL."""
    fleet = Fleet(engine, reports=tmp_path / "reports", settings_key=Signer(tmp_path / "keys").key)
    asyncio.run(fill(fleet))
    headers = {}
    for role in reversed(Role):
        fleet.users.add(role, role, None, "a test")
        headers[role] = {"Authorization": f"Bearer {fleet.users.new_key(role)}"}
    app = FastAPI(openapi_url=None, docs_url=None)
    mount_admin(app, fleet, lambda: True)
    with TestClient(app) as client:
        yield Api(app, fleet, client, headers)
