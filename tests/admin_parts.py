"""An application with the admin API, for tests: a fleet behind it, and keys of each role."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from report_parts import report_of
from starlette.testclient import TestClient

from cloud_server.fleet.database.reports import SharedReports
from cloud_server.fleet.database.users import Role
from cloud_server.fleet.fleet import Fleet
from cloud_server.fleet.report_store import ReportStore
from edge_sdk.budget.usage import Usage
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.store.audits import AuditCounts

V1 = "/api/v1"
AUDITS = ReportedAudits("trailcam 3", (AuditCounts(0.5, 100, 50, 50, differ=5),))


@dataclass
class Api:
    """The application, and what tests ask it with."""

    app: FastAPI
    fleet: Fleet
    client: TestClient
    headers: dict[Role, dict[str, str]]

    def ask(self, method: str, path: str, role: Role | None = Role.OPERATE, **given: Any) -> Any:
        """The reply to a request by a user of this role; None: without a key."""
        headers = {} if role is None else self.headers[role]
        return self.client.request(method, V1 + path, headers=headers, **given)


async def fill(fleet: Fleet) -> None:
    """Two devices, with three answers and events, and one."""
    reports = fleet.reports
    store = ReportStore(reports) if isinstance(reports, Path) else SharedReports(fleet.engine)
    usage = Usage(frames=10, exits=8, offloads=2, bytes_sent=5000)
    await store.keep("cam-1", report_of(1, 2, 3, usage=usage, audits=AUDITS))
    await store.keep("cam-2", report_of(4, label=None))
    await store.close()
